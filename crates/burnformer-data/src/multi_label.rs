//! Texts with any number of labels in memory, for multi-label classification.

use std::collections::HashMap;

use burnformer_core::progress::{Interrupt, Progress};

use crate::class_names::OddClasses;
use crate::conflicts::{Conflicts, n_repeated, n_shared};
use crate::content::{hash, hash_behind};
use crate::labelled::{self, Example, LabelError, Numbers, keys};
use crate::source::{OnBadRow, Skipped, Source};
use crate::{DataError, Record, Target};

/// Texts, or pairs of texts, with any number of labels each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiLabelTexts {
    /// The names of the labels.
    pub labels: Vec<String>,
    /// The texts, in the order of the source; the labels of each in ascending order.
    pub examples: Vec<Example<Vec<u32>>>,
}

impl MultiLabelTexts {
    /// Reads texts. Their labels are those that have a column, in the order of the columns; else those that occur, in numerical
    /// order if all are whole numbers, else in alphabetical order.
    ///
    /// # Errors
    /// The first bad row, unless `policy` skips those, which are counted; [`LabelError`] if a text has no target, no text has a
    /// label, or all have one class; on request of `interrupt`.
    pub fn read(
        source: &dyn Source,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let (mut numbers, mut has_lists, mut has_columns) = (Numbers::default(), false, false);
        let number = |record: &Record| {
            let found = Found::of(record)?;
            // So that they have the first numbers.
            found.columns.iter().for_each(|column| _ = numbers.of(column));
            has_lists |= found.is_list;
            has_columns |= !found.columns.is_empty();
            Ok(found.labels.iter().map(|label| numbers.of(label)).collect::<Vec<u32>>())
        };
        let (mut examples, skipped) = labelled::examples(source, policy, progress, interrupt, number)?;
        if !has_lists {
            return Err(LabelError::OneEach.into());
        }
        let (labels, places) = if has_columns { numbers.in_order() } else { numbers.sorted() };
        if labels.is_empty() {
            return Err(LabelError::NoLabels.into());
        }
        for Example { label, .. } in &mut examples {
            label.iter_mut().for_each(|number| *number = places[*number as usize]);
            sort(label);
        }
        Ok((Self { labels, examples }, skipped))
    }

    /// Reads texts whose labels are among `labels`.
    ///
    /// # Errors
    /// As [`Self::read`], except that texts may have no label or one each; [`LabelError::Unknown`] for any other label, and
    /// [`LabelError::NoColumn`] if labels have columns, and one of `labels` has none.
    pub fn read_with_labels(
        source: &dyn Source,
        labels: Vec<String>,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let numbers: HashMap<&str, u32> = labels.iter().map(String::as_str).zip(0..).collect();
        let mut checked: Vec<String> = Vec::new();
        let number = |record: &Record| {
            let found = Found::of(record)?;
            if found.columns != checked {
                if let Some(label) = labels.iter().find(|label| !found.columns.contains(label)) {
                    return Err(LabelError::NoColumn { label: label.clone() });
                }
                checked = found.columns.to_vec();
            }
            let number = |label: &String| {
                numbers.get(label.as_str()).copied().ok_or_else(|| LabelError::unknown(label, record, &labels))
            };
            found.columns.iter().try_for_each(|column| number(column).map(|_| ()))?;
            let mut label = found.labels.iter().map(number).collect::<Result<Vec<u32>, _>>()?;
            sort(&mut label);
            Ok(label)
        };
        let (examples, skipped) = labelled::examples(source, policy, progress, interrupt, number)?;
        Ok((Self { labels, examples }, skipped))
    }

    /// What is odd about the names of the labels.
    #[must_use]
    pub fn odd_labels(&self) -> OddClasses {
        OddClasses::of(self.labels.iter().map(String::as_str).zip(self.label_counts()))
    }

    /// Number of texts with each label.
    #[must_use]
    pub fn label_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.labels.len()];
        self.examples.iter().flat_map(|example| &example.label).for_each(|&label| counts[label as usize] += 1);
        counts
    }

    /// Splits off a random share of the texts, at least one of two. The rows of a text stay in one part.
    #[must_use]
    pub fn split(self, share: f64, seed: u64) -> (Self, Self) {
        let (left, taken) = labelled::split(self.examples, share, seed);
        (Self { labels: self.labels.clone(), examples: left }, Self { labels: self.labels, examples: taken })
    }

    /// Texts that occur with different sets of labels.
    #[must_use]
    pub fn conflicts(&self) -> Conflicts {
        let set =
            |labels: &Vec<u32>| labels.iter().fold(hash(""), |before, label| hash_behind(before, &label.to_string()));
        labelled::conflicts(&self.examples, set, &[])
    }

    /// Number of rows with the text of an earlier row.
    #[must_use]
    pub fn n_repeated(&self) -> usize {
        n_repeated(&keys(&self.examples))
    }

    /// Number of rows whose text is among those of `others` too.
    #[must_use]
    pub fn n_shared(&self, others: &Self) -> usize {
        n_shared(&keys(&self.examples), &keys(&others.examples))
    }
}

/// What a record says of its labels.
struct Found<'a> {
    labels: &'a [String],
    columns: &'a [String],
    /// `true` unless it is a class.
    is_list: bool,
}

impl<'a> Found<'a> {
    fn of(record: &'a Record) -> Result<Self, LabelError> {
        match &record.target {
            Some(Target::Labels { labels, columns }) => Ok(Self { labels, columns, is_list: true }),
            Some(Target::Class(label)) => {
                Ok(Self { labels: std::slice::from_ref(label), columns: &[], is_list: false })
            }
            _ => Err(LabelError::none(record)),
        }
    }
}

/// Puts the labels of a text in order, each once.
fn sort(labels: &mut Vec<u32>) {
    labels.sort_unstable();
    labels.dedup();
}

#[cfg(test)]
mod tests {
    use burnformer_core::progress::Silent;

    use super::*;
    use crate::testing::{Memory, record};

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn listed(text: &str, labels: &[&str], columns: &[&str]) -> Record {
        let target = Target::Labels { labels: owned(labels), columns: owned(columns) };
        Record { target: Some(target), ..record(&[text]) }
    }

    fn class(text: &str, label: &str) -> Record {
        Record { target: Some(Target::Class(label.to_owned())), ..record(&[text]) }
    }

    fn read(records: Vec<Record>) -> Result<MultiLabelTexts, DataError> {
        let source = Memory::of(records);
        MultiLabelTexts::read(&source, OnBadRow::Error, &Silent, &Interrupt::new()).map(|(texts, _)| texts)
    }

    fn numbers(texts: &MultiLabelTexts) -> Vec<&[u32]> {
        texts.examples.iter().map(|example| example.label.as_slice()).collect()
    }

    #[test]
    fn labels_are_sorted_or_in_the_order_of_their_columns() {
        let texts = read(vec![listed("a", &["c", "b", "c"], &[]), listed("b", &[], &[]), class("c", "a")]).unwrap();
        assert_eq!(texts.labels, ["a", "b", "c"]);
        assert_eq!(numbers(&texts), [&[1, 2][..], &[], &[0]]);
        assert_eq!(texts.label_counts(), [1, 1, 1]);
        let columns = ["z", "x", "y"];
        let texts = read(vec![listed("a", &[], &columns), listed("b", &["y", "z"], &columns)]).unwrap();
        assert_eq!((texts.labels.as_slice(), numbers(&texts)), (&owned(&columns)[..], vec![&[][..], &[0, 2]]));
    }

    #[test]
    fn texts_that_teach_nothing_are_refused() {
        let message = |records| read(records).unwrap_err().to_string();
        assert!(
            message(vec![class("a", "x"), class("b", "y,z")])
                .starts_with("every text has one label, expected any number")
        );
        assert_eq!(message(vec![listed("a", &[], &[])]), "no text has a label, expected at least one label");
        assert_eq!(message(vec![record(&["a"])]), "line 1 of `memory` has no class, name the column that holds it");
    }

    #[test]
    fn known_labels_keep_their_numbers_and_others_are_refused() {
        let read = |record| {
            let source = Memory::of(vec![record]);
            let texts = MultiLabelTexts::read_with_labels(
                &source,
                owned(&["dog", "cat"]),
                OnBadRow::Error,
                &Silent,
                &Interrupt::new(),
            );
            texts.map(|(texts, _)| texts.examples[0].label.clone()).map_err(|error| error.to_string())
        };
        assert_eq!(read(listed("a", &["cat"], &["cat", "dog"])), Ok(vec![1]));
        assert_eq!(read(class("a", "cat")), Ok(vec![1]));
        let unknown = "line 1 of `memory` has the unknown class `cow`, known are `dog`, `cat`";
        assert_eq!(read(listed("a", &["cow"], &[])), Err(unknown.to_owned()));
        assert_eq!(read(listed("a", &[], &["dog", "cat", "cow"])), Err(unknown.to_owned()));
        let missing = "`label_columns` lack the label `dog` of the model: add its column";
        assert_eq!(read(listed("a", &["cat"], &["cat"])), Err(missing.to_owned()));
    }

    #[test]
    fn no_text_is_in_both_parts() {
        let label = |i: usize| if i < 30 { &["x"][..] } else { &["x", "y"] };
        let texts = read((0..60).map(|i| listed(&format!("text {}", i % 20), label(i), &[])).collect()).unwrap();
        assert_eq!((texts.n_repeated(), texts.conflicts().texts), (40, 20));
        let (left, taken) = texts.split(0.25, 1);
        assert_eq!((taken.n_shared(&left), left.examples.len(), taken.examples.len()), (0, 45, 15));
    }
}
