//! Labelled texts in memory, for fine-tuning and evaluation.

use std::collections::HashMap;
use std::path::PathBuf;

use burnformer_core::progress::{Interrupt, Progress};
use burnformer_core::random::{Key, Permutation, Purpose};

use crate::class_names::{self, OddClasses};
use crate::conflicts::{Conflicts, distinct, equal, excerpt, firsts, n_repeated, n_shared};
use crate::content::hash_of_texts;
use crate::source::{OnBadRow, Records, Skipped, Source};
use crate::{DataError, Record, Target};

/// A text, or a pair of texts, with its label: a class, several of them, or a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example<L = u32> {
    /// The text, or the first one of a pair.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
    /// Index of the class in [`LabelledTexts::labels`], those of the labels in
    /// [`MultiLabelTexts::labels`](crate::multi_label::MultiLabelTexts::labels), or the score.
    pub label: L,
}

/// Texts with a class each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledTexts {
    /// The names of the classes.
    pub labels: Vec<String>,
    /// The texts, in the order of the source.
    pub examples: Vec<Example>,
    /// Texts that have none of the classes: a classifier should be unsure of them. Their label means nothing.
    pub out_of_scope: Vec<Example>,
}

/// Errors of labels.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A text without a label.
    #[error("line {line} of `{}` has no class, name the column that holds it", path.display())]
    NoLabel {
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
    },
    /// A class that the model does not have.
    #[error("line {line} of `{}` has the unknown class `{label}`, known are `{}`", path.display(), known.join("`, `"))]
    Unknown {
        /// The class.
        label: String,
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
        /// The known classes, at most twenty.
        known: Vec<String>,
    },
    /// A class that the model has in another form.
    #[error(
        "line {line} of `{}` has the unknown class `{label}`, which differs from the known class `{known}` only in blanks, \
         case or form", path.display()
    )]
    Alike {
        /// The class.
        label: String,
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
        /// The known class.
        known: String,
    },
    /// A class that stands for a missing value.
    #[error("line {line} of `{}` has the class `{label}`, which stands for a missing value", path.display())]
    Missing {
        /// The class.
        label: String,
        /// The file.
        path: PathBuf,
        /// First line or row of the first text with it.
        line: u64,
    },
    /// Numbers with fractions as classes.
    #[error(
        "the {n_classes} classes are numbers with fractions such as `{label}`: set the task `regression` for scores"
    )]
    Scores {
        /// The first class with a fraction.
        label: String,
        /// Number of classes.
        n_classes: usize,
    },
    /// A text with a list of labels, where a class is needed.
    #[error(
        "line {line} of `{}` has a list of labels, expected one class: set the task `multi-label-classification` for texts \
         with any number of labels", path.display()
    )]
    Several {
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
    },
    /// Texts with one label each, where they should have any number of them.
    #[error(
        "every text has one label, expected any number of them in a list of JSON or Parquet, behind one another with a \
         `label_separator`, or in `label_columns`: set one of these, or the task `text-classification`"
    )]
    OneEach,
    /// No text has a label.
    #[error("no text has a label, expected at least one label")]
    NoLabels,
    /// A label without its column.
    #[error("`label_columns` lack the label `{label}` of the model: add its column")]
    NoColumn {
        /// The label.
        label: String,
    },
    /// A score that is no number.
    #[error("line {line} of `{}` has the score `{found}`, expected a finite number", path.display())]
    NotAScore {
        /// The score.
        found: String,
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
    },
    /// A score that is no probability.
    #[error(
        "line {line} of `{}` has the score `{found}`, expected a number from 0 to 1: divide scores by the greatest, or set \
         the task `regression`", path.display()
    )]
    OutsideUnit {
        /// The score.
        found: f64,
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
    },
    /// A question without answers.
    #[error(
        "line {line} of `{}` has no question with answers, expected the JSON of SQuAD, or columns of contexts, questions and \
         answers", path.display()
    )]
    NoAnswers {
        /// The file.
        path: PathBuf,
        /// First line or row of the question.
        line: u64,
    },
    /// No question to learn an answer from.
    #[error("none of the {questions} questions has an answer, expected some that have one")]
    NoneAnswered {
        /// Number of questions.
        questions: usize,
    },
    /// No question at all.
    #[error("there is no question with a context")]
    NoQuestion,
    /// All scores are equal.
    #[error("every text has the score `{score}`, expected at least two different scores")]
    OneScore {
        /// The score.
        score: f64,
    },
    /// No text at all.
    #[error("there is no text with a class")]
    Empty,
    /// Fewer than two classes.
    #[error("every text has the class `{label}`, expected at least two classes")]
    OneClass {
        /// The class.
        label: String,
    },
}

impl LabelError {
    /// The error of a record without a label.
    pub(crate) fn none(record: &Record) -> Self {
        let (path, line) = place(record);
        Self::NoLabel { path, line }
    }

    /// The error of the label `label` of `record`, which is none of `labels`.
    pub(crate) fn unknown(label: &str, record: &Record, labels: &[String]) -> Self {
        let ((path, line), label) = (place(record), label.to_owned());
        match class_names::alike(&label, labels) {
            Some(known) => Self::Alike { label, path, line, known: known.to_owned() },
            None => Self::Unknown { label, path, line, known: labels.iter().take(20).cloned().collect() },
        }
    }

    /// `true` if it is an error of one row, behind which reading can go on.
    pub(crate) fn is_bad_row(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Alike { .. } | Self::NotAScore { .. } | Self::OutsideUnit { .. })
    }
}

/// File and line of a record, for errors.
pub(crate) fn place(record: &Record) -> (PathBuf, u64) {
    (record.path.to_path_buf(), record.line)
}

impl LabelledTexts {
    /// Reads texts whose classes become the labels: in numerical order if all are whole numbers, else in alphabetical
    /// order.
    ///
    /// # Errors
    /// The first bad row, unless `policy` skips those, which are counted; [`LabelError`] if a text has no class, or
    /// there are less than two classes; on request of `interrupt`.
    pub fn read(
        source: &dyn Source,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        Self::read_in_scope(source, None, None, policy, progress, interrupt)
    }

    /// Reads texts whose classes are among `labels`.
    ///
    /// # Errors
    /// As [`Self::read`]; [`LabelError::Unknown`] for any other class.
    pub fn read_with_labels(
        source: &dyn Source,
        labels: Vec<String>,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        Self::read_in_scope(source, Some(labels), None, policy, progress, interrupt)
    }

    /// [`Self::read_with_labels`], or [`Self::read`] without `labels`. Texts of the class `out_of_scope` have none of the classes.
    ///
    /// # Errors
    /// As there.
    pub fn read_in_scope(
        source: &dyn Source,
        labels: Option<Vec<String>>,
        out_of_scope: Option<&str>,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        // The class of each text is numbered as it comes, so that no name is kept twice.
        let mut numbers = Numbers::default();
        labels.iter().flatten().for_each(|label| _ = numbers.of(label));
        let known = labels.as_deref();
        let number = |record: &Record| match (class(record)?, known) {
            (class, _) if Some(class) == out_of_scope => Ok(None),
            (class, Some(labels)) => {
                numbers.get(class).map(Some).ok_or_else(|| LabelError::unknown(class, record, labels))
            }
            (class, None) => Ok(Some(numbers.of(class))),
        };
        let (all, skipped) = examples(source, policy, progress, interrupt, number)?;
        let (mut examples, mut outside) = (Vec::with_capacity(all.len()), Vec::new());
        for Example { text, pair, label } in all {
            let part = if label.is_some() { &mut examples } else { &mut outside };
            part.push(Example { text, pair, label: label.unwrap_or_default() });
        }
        if let Some(labels) = labels {
            return Ok((Self { labels, examples, out_of_scope: outside }, skipped));
        }
        let (labels, sorted) = numbers.sorted();
        examples.iter_mut().for_each(|example| example.label = sorted[example.label as usize]);
        match labels.as_slice() {
            [] => Err(LabelError::Empty.into()),
            [label] => Err(LabelError::OneClass { label: label.clone() }.into()),
            _ => Ok((Self { labels, examples, out_of_scope: outside }, skipped)),
        }
    }

    /// Refuses classes that no classifier can be meant to learn. `source` has the texts, `policy` is what they were read with.
    ///
    /// # Errors
    /// [`LabelError::Missing`] and [`LabelError::Scores`]; if the source cannot be read again, on request of `interrupt`.
    pub fn check_classes(
        &self,
        source: &dyn Source,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(), DataError> {
        if let Some(label) = class_names::first_score(&self.labels) {
            return Err(LabelError::Scores { label: label.to_owned(), n_classes: self.labels.len() }.into());
        }
        let Some(label) = self.labels.iter().find(|label| class_names::is_missing(label)) else { return Ok(()) };
        // Which row it is was not kept.
        for record in Records::new(source, policy, "find the row", progress, interrupt) {
            let record = record?;
            if record.class() == Some(label) {
                let (path, line) = (record.path.to_path_buf(), record.line);
                return Err(LabelError::Missing { label: label.clone(), path, line }.into());
            }
        }
        Ok(())
    }

    /// What is odd about the classes.
    #[must_use]
    pub fn odd_classes(&self) -> OddClasses {
        OddClasses::of(self.labels.iter().map(String::as_str).zip(self.class_counts()))
    }

    /// Number of texts of each class.
    #[must_use]
    pub fn class_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.labels.len()];
        self.examples.iter().for_each(|example| counts[example.label as usize] += 1);
        counts
    }

    /// At most `n` texts of each class, chosen at random, in the original order.
    #[must_use]
    pub fn at_most_per_class(self, n: usize, seed: u64) -> Self {
        let mut of_class = vec![Vec::new(); self.labels.len()];
        for (index, example) in self.examples.iter().enumerate() {
            of_class[example.label as usize].push(index);
        }
        let key = Key::new(seed, Purpose::Order, "examples of a class");
        let mut kept = vec![false; self.examples.len()];
        for (class, indices) in of_class.iter().enumerate() {
            let order = Permutation::new(key, class as u64, indices.len() as u64);
            for place in 0..n.min(indices.len()) {
                kept[indices[order.at(place as u64) as usize]] = true;
            }
        }
        let mut kept = kept.into_iter();
        let examples = self.examples.into_iter().filter(|_| kept.next() == Some(true)).collect();
        Self { examples, ..self }
    }

    /// Splits off a random share of the texts of each class, at least one of a class that has two. The rows of a text stay in
    /// one part; a text with several classes counts for the rarest of them.
    #[must_use]
    pub fn split(self, share: f64, seed: u64) -> (Self, Self) {
        let firsts = firsts(&self.texts());
        self.split_by(&firsts, share, seed)
    }

    /// [`Self::split`] of rows instead of texts, as version 0.1.0 made it: a text that is there twice may be in both parts.
    #[must_use]
    pub fn split_rows(self, share: f64, seed: u64) -> (Self, Self) {
        let rows: Vec<u32> = (0..).take(self.examples.len()).collect();
        self.split_by(&rows, share, seed)
    }

    /// Splits texts of which each goes where the one in `firsts` goes.
    fn split_by(self, firsts: &[u32], share: f64, seed: u64) -> (Self, Self) {
        let n_rows = self.class_counts();
        // The rarest class of each text, at its first row.
        let mut classes: Vec<u32> = self.examples.iter().map(|example| example.label).collect();
        for (&first, example) in firsts.iter().zip(&self.examples) {
            let rank = |class: u32| (n_rows[class as usize], class);
            if rank(example.label) < rank(classes[first as usize]) {
                classes[first as usize] = example.label;
            }
        }
        let mut counts = vec![0_usize; self.labels.len()];
        distinct(firsts).for_each(|text| counts[classes[text] as usize] += 1);
        let wanted: Vec<usize> =
            counts.iter().map(|&n| ((share * n as f64).round() as usize).clamp(usize::from(n > 1), n)).collect();
        let key = Key::new(seed, Purpose::Order, "validation examples");
        let orders: Vec<_> = counts.iter().zip(0..).map(|(&n, class)| Permutation::new(key, class, n as u64)).collect();
        let mut seen = vec![0_u64; counts.len()];
        let mut is_taken = vec![false; firsts.len()];
        for text in distinct(firsts) {
            let class = classes[text] as usize;
            seen[class] += 1;
            is_taken[text] = orders[class].at(seen[class] - 1) < wanted[class] as u64;
        }
        let (left, taken) = parted(self.examples, firsts, &is_taken);
        let Self { labels, out_of_scope, .. } = self;
        let taken = Self { labels: labels.clone(), examples: taken, out_of_scope: Vec::new() };
        (Self { labels, examples: left, out_of_scope }, taken)
    }

    /// Texts that occur with different classes.
    #[must_use]
    pub fn conflicts(&self) -> Conflicts {
        conflicts(&self.examples, |&label| u64::from(label), &self.labels)
    }

    /// The rows whose place in `is_kept` says `true`.
    #[must_use]
    pub fn retain(self, is_kept: &[bool]) -> Self {
        let rows = self.examples.into_iter().zip(is_kept);
        Self { examples: rows.filter(|(_, is_kept)| **is_kept).map(|(row, _)| row).collect(), ..self }
    }

    /// Number of rows with the text of an earlier row.
    #[must_use]
    pub fn n_repeated(&self) -> usize {
        n_repeated(&self.texts())
    }

    /// Number of rows whose text is among those of `others` too.
    #[must_use]
    pub fn n_shared(&self, others: &Self) -> usize {
        n_shared(&self.texts(), &others.texts())
    }

    fn texts(&self) -> Vec<(u64, &str, Option<&str>)> {
        keys(&self.examples)
    }
}

/// The class of a record.
fn class(record: &Record) -> Result<&str, LabelError> {
    match &record.target {
        Some(Target::Class(class)) => Ok(class),
        Some(Target::Labels { .. }) => {
            let (path, line) = place(record);
            Err(LabelError::Several { path, line })
        }
        _ => Err(LabelError::none(record)),
    }
}

/// Names, numbered as they come.
#[derive(Default)]
pub(crate) struct Numbers(HashMap<String, u32>);

impl Numbers {
    /// The number of `name`.
    pub(crate) fn of(&mut self, name: &str) -> u32 {
        let next = self.0.len() as u32;
        self.get(name).unwrap_or_else(|| *self.0.entry(name.to_owned()).or_insert(next))
    }

    /// The number of `name`, if it has one.
    fn get(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }

    /// The names as they came, and the place of each number there.
    pub(crate) fn in_order(self) -> (Vec<String>, Vec<u32>) {
        let mut names: Vec<(u32, String)> = self.0.into_iter().map(|(name, number)| (number, name)).collect();
        names.sort_unstable();
        names.into_iter().map(|(number, name)| (name, number)).unzip()
    }

    /// The names, in numerical order if all are whole numbers, else in alphabetical order; and the place of each number there.
    pub(crate) fn sorted(self) -> (Vec<String>, Vec<u32>) {
        let mut names: Vec<(String, u32)> = self.0.into_iter().collect();
        names.sort_unstable();
        if names.iter().all(|(name, _)| name.parse::<i64>().is_ok()) {
            names.sort_by_key(|(name, _)| name.parse::<i64>().unwrap_or_default());
        }
        let mut sorted = vec![0; names.len()];
        names.iter().zip(0..).for_each(|((_, number), place)| sorted[*number as usize] = place);
        (names.into_iter().map(|(name, _)| name).collect(), sorted)
    }
}

/// The texts of a source with what `label` makes of each record. Its error may be that of a bad row.
pub(crate) fn examples<L>(
    source: &dyn Source,
    policy: OnBadRow,
    progress: &dyn Progress,
    interrupt: &Interrupt,
    mut label: impl FnMut(&Record) -> Result<L, LabelError>,
) -> Result<(Vec<Example<L>>, Skipped), DataError> {
    let mut reader = Records::new(source, policy, "read texts", progress, interrupt);
    let mut examples = Vec::new();
    while let Some(record) = reader.next() {
        let record = record?;
        let label = label(&record).map_err(DataError::from);
        let Some(label) = reader.keep(label)? else { continue };
        examples.push(Example { text: record.text, pair: record.pair, label });
    }
    match examples.is_empty() {
        true => Err(reader.into_skipped().none_left(LabelError::Empty)),
        false => Ok((examples, reader.into_skipped())),
    }
}

/// The text of each row, or the pair of texts, behind its hash, by which most comparisons are decided.
pub(crate) fn keys<L>(examples: &[Example<L>]) -> Vec<(u64, &str, Option<&str>)> {
    let key = |example: &Example<L>| hash_of_texts(&example.text, example.pair.as_deref());
    examples.iter().map(|example| (key(example), example.text.as_str(), example.pair.as_deref())).collect()
}

/// Texts that occur with different labels: what stands for a label is a number in `names`, or any number without names.
pub(crate) fn conflicts<L>(examples: &[Example<L>], number: impl Fn(&L) -> u64, names: &[String]) -> Conflicts {
    let target = |text: u32| number(&examples[text as usize].label);
    let (mut conflicts, firsts) = Conflicts::among(&equal(&keys(examples)), target, names);
    for (example, text) in conflicts.examples.iter_mut().zip(firsts) {
        example.text = excerpt(&examples[text as usize].text);
    }
    conflicts
}

/// What is left of the texts, and a random share of them, at least one of two. The rows of a text stay in one part.
pub(crate) fn split<L>(examples: Vec<Example<L>>, share: f64, seed: u64) -> (Vec<Example<L>>, Vec<Example<L>>) {
    let firsts = firsts(&keys(&examples));
    let n = distinct(&firsts).count();
    let wanted = ((share * n as f64).round() as usize).clamp(usize::from(n > 1), n);
    let order = Permutation::new(Key::new(seed, Purpose::Order, "validation examples"), 0, n as u64);
    let mut is_taken = vec![false; examples.len()];
    for (text, place) in distinct(&firsts).zip(0..) {
        is_taken[text] = order.at(place) < wanted as u64;
    }
    parted(examples, &firsts, &is_taken)
}

/// What is left of the texts, and those that are taken; each goes where the one in `firsts` goes.
fn parted<L>(examples: Vec<Example<L>>, firsts: &[u32], is_taken: &[bool]) -> (Vec<Example<L>>, Vec<Example<L>>) {
    let mut firsts = firsts.iter();
    examples.into_iter().partition(|_| firsts.next().is_some_and(|&first| !is_taken[first as usize]))
}

/// All records of a source.
pub(crate) fn records(
    source: &dyn Source,
    policy: OnBadRow,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<(Vec<Record>, Skipped), DataError> {
    let mut reader = Records::new(source, policy, "read texts", progress, interrupt);
    let records = reader.by_ref().collect::<Result<_, _>>()?;
    Ok((records, reader.into_skipped()))
}

#[cfg(test)]
mod tests {
    use burnformer_core::progress::Silent;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Memory, record};

    fn labelled(text: &str, label: &str) -> Record {
        Record { target: Some(Target::Class(label.to_owned())), ..record(&[text]) }
    }

    fn read(records: Vec<Record>) -> Result<LabelledTexts, DataError> {
        LabelledTexts::read(&Memory::of(records), OnBadRow::Error, &Silent, &Interrupt::new()).map(|(texts, _)| texts)
    }

    fn of_labels(labels: &[&str]) -> LabelledTexts {
        read(labels.iter().map(|label| labelled("text", label)).collect()).unwrap()
    }

    #[test]
    fn labels_are_sorted_as_names_or_as_numbers() {
        assert_eq!(of_labels(&["b", "10", "2", "b"]).labels, ["10", "2", "b"]);
        let numbers = of_labels(&["10", "9", "-1", "9"]);
        assert_eq!(numbers.labels, ["-1", "9", "10"]);
        assert_eq!(numbers.examples.iter().map(|example| example.label).collect::<Vec<_>>(), [2, 1, 0, 1]);
    }

    #[test]
    fn known_labels_keep_their_numbers_and_others_are_refused() {
        let read = |label: &str, known: &[&str]| {
            let known = known.iter().map(ToString::to_string).collect();
            let source = Memory::of(vec![labelled("text", label)]);
            LabelledTexts::read_with_labels(&source, known, OnBadRow::Error, &Silent, &Interrupt::new())
        };
        assert_eq!(read("cat", &["dog", "cat"]).unwrap().0.examples[0].label, 1);
        let error = read("cow", &["dog", "cat"]).unwrap_err();
        assert_eq!(error.to_string(), "line 1 of `memory` has the unknown class `cow`, known are `dog`, `cat`");
        let error = read(" Cat", &["dog", "cat"]).unwrap_err().to_string();
        let expected = "line 1 of `memory` has the unknown class ` Cat`, which differs from the known class `cat` only in \
                        blanks, case or form";
        assert_eq!(error, expected);
    }

    #[test]
    fn texts_out_of_scope_are_kept_apart() {
        let rows = [("a", "x"), ("b", "oos"), ("c", "y"), ("d", "oos")];
        let source = Memory::of(rows.iter().map(|(text, label)| labelled(text, label)).collect());
        let read = |labels: Option<&[&str]>| {
            let labels = labels.map(|labels| labels.iter().map(ToString::to_string).collect());
            let (policy, interrupt) = (OnBadRow::Error, Interrupt::new());
            LabelledTexts::read_in_scope(&source, labels, Some("oos"), policy, &Silent, &interrupt)
                .map(|(texts, _)| texts)
        };
        let texts = read(None).unwrap();
        assert_eq!((texts.labels.as_slice(), texts.examples.len()), (&["x".to_owned(), "y".to_owned()][..], 2));
        assert_eq!(texts.out_of_scope.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(), ["b", "d"]);
        assert_eq!(read(Some(&["y", "x"])).unwrap().examples[0].label, 1);
        assert!(read(Some(&["y"])).unwrap_err().to_string().contains("unknown class `x`"));
    }

    #[test]
    fn texts_that_teach_nothing_are_refused() {
        let message = |records| read(records).unwrap_err().to_string();
        assert_eq!(message(vec![]), "there is no text with a class");
        let expected = "line 1 of `memory` has no class, name the column that holds it";
        assert_eq!(message(vec![record(&["text"])]), expected);
        let labels = Target::Labels { labels: vec!["a".to_owned()], columns: Vec::new() };
        let expected = "line 1 of `memory` has a list of labels, expected one class: set the task \
                        `multi-label-classification` for texts with any number of labels";
        assert_eq!(message(vec![Record { target: Some(labels), ..record(&["text"]) }]), expected);
        let expected = "every text has the class `a`, expected at least two classes";
        assert_eq!(message(vec![labelled("x", "a"), labelled("y", "a")]), expected);
    }

    #[test]
    fn classes_that_are_none_are_refused() {
        let check = |classes: &[&str]| {
            let records: Vec<Record> = classes.iter().map(|class| labelled("text", class)).collect();
            let source = Memory::of(records.clone());
            read(records).unwrap().check_classes(&source, OnBadRow::Error, &Silent, &Interrupt::new())
        };
        assert!(check(&["1.0", "2.0", "10"]).is_ok() && check(&["none", "None"]).is_ok());
        let error = check(&["3.7", "4.0", "4.7"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "the 3 classes are numbers with fractions such as `3.7`: set the task `regression` for scores"
        );
        let error = check(&["good", "nan"]).unwrap_err().to_string();
        assert_eq!(error, "line 1 of `memory` has the class `nan`, which stands for a missing value");
    }

    proptest! {
        #[test]
        fn a_share_of_each_class_is_taken_out(classes in prop::collection::vec(0_u32..4, 2..80), share in 0.0..0.9, seed: u64) {
            let example = |(i, &label): (usize, &u32)| Example { text: i.to_string(), pair: None, label };
            let examples = classes.iter().enumerate().map(example);
            let labels = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
            let all = LabelledTexts { labels, examples: examples.collect(), ..LabelledTexts::default() };
            let count = |texts: &LabelledTexts, class| texts.examples.iter().filter(|it| it.label == class).count();
            let (left, taken) = all.clone().split(share, seed);
            for class in 0..4 {
                let n = count(&all, class);
                let wanted = ((share * n as f64).round() as usize).clamp(usize::from(n > 1), n);
                prop_assert_eq!((count(&left, class), count(&taken, class)), (n - wanted, wanted));
            }
            let few = all.clone().at_most_per_class(3, seed);
            for class in 0..4 {
                prop_assert_eq!(count(&few, class), count(&all, class).min(3));
            }
        }
    }

    #[test]
    fn no_text_is_in_both_parts() {
        // Twelve texts, each ten times, with labels that it does not decide on.
        let records: Vec<Record> =
            (0..120).map(|i| labelled(&format!("text {}", i % 12), if i % 5 < 2 { "a" } else { "b" })).collect();
        let all = read(records).unwrap();
        assert_eq!((all.n_repeated(), all.conflicts().texts), (108, 12));
        assert_eq!(all.conflicts().examples[0].text, "text 0");
        for seed in 0..20 {
            let (left, taken) = all.clone().split(0.25, seed);
            assert_eq!((taken.n_shared(&left), left.examples.len(), taken.examples.len()), (0, 90, 30));
            let (left, taken) = all.clone().split_rows(0.25, seed);
            assert!(taken.n_shared(&left) > 15);
        }
    }

    #[test]
    fn a_class_all_of_whose_texts_have_another_class_too_is_in_both_parts() {
        let rows = |n: usize, label: &'static str| (0..n).map(move |i| labelled(&format!("text {i}"), label));
        let all = read(rows(100, "a").chain(rows(10, "b")).collect()).unwrap();
        let (left, taken) = all.split(0.1, 1);
        let of = |texts: &LabelledTexts, label| texts.examples.iter().filter(|it| it.label == label).count();
        assert_eq!((of(&left, 0), of(&taken, 0), of(&left, 1), of(&taken, 1)), (90, 10, 9, 1));
    }

    proptest! {
        /// So that runs of version 0.1.0 on texts without duplicates have the same parts either way.
        #[test]
        fn rows_are_split_as_texts_are_where_no_text_is_there_twice(classes in prop::collection::vec(0_u32..4, 2..80), seed: u64) {
            let labels = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
            let example = |(i, &label): (usize, &u32)| Example { text: i.to_string(), pair: None, label };
            let examples = classes.iter().enumerate().map(example).collect();
            let all = LabelledTexts { labels, examples, ..LabelledTexts::default() };
            prop_assert_eq!(all.clone().split(0.2, seed), all.split_rows(0.2, seed));
        }
    }

    #[test]
    fn which_texts_are_kept_depends_on_the_seed() {
        let records = (0..100).map(|i| labelled(&format!("text {i}"), if i % 2 == 0 { "a" } else { "b" })).collect();
        let all = read(records).unwrap();
        let kept = |seed| all.clone().at_most_per_class(10, seed).examples;
        assert_eq!(kept(1), kept(1));
        assert_ne!(kept(1), kept(2));
        let taken = |seed| all.clone().split(0.2, seed).1.examples;
        assert_ne!(taken(1), taken(2));
    }
}
