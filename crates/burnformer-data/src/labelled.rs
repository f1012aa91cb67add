//! Labelled texts in memory, for fine-tuning and evaluation.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use burnformer_core::progress::{Interrupt, Progress};
use burnformer_core::random::{Key, Permutation, Purpose};

use crate::source::{OnBadRow, Records, Skipped, Source};
use crate::{DataError, Record};

/// A text, or a pair of texts, with its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The text, or the first one of a pair.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
    /// Class index in [`LabelledTexts::labels`].
    pub label: u32,
}

/// Texts with a class each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledTexts {
    /// The names of the classes.
    pub labels: Vec<String>,
    /// The texts, in the order of the source.
    pub examples: Vec<Example>,
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
    /// No text at all.
    #[error("there is no text with a class")]
    Empty,
    /// A text without tags for its words.
    #[error("line {line} of `{}` has no tags, expected words with a tag each, in the format `conll`", path.display())]
    NoTags {
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
    },
    /// A tag that the model does not have.
    #[error(
        "the sentence in line {line} of `{}` has the unknown tag `{tag}`, known are `{}`", path.display(), known.join("`, `")
    )]
    UnknownTag {
        /// The tag.
        tag: String,
        /// The file.
        path: PathBuf,
        /// First line of the sentence.
        line: u64,
        /// The known tags, at most twenty.
        known: Vec<String>,
    },
    /// No sentence at all.
    #[error("there is no sentence with tags")]
    NoSentence,
    /// All words have the same tag.
    #[error("every word has the tag `{tag}`, expected at least two different tags")]
    OneTag {
        /// The tag.
        tag: String,
    },
    /// Fewer than two classes.
    #[error("every text has the class `{label}`, expected at least two classes")]
    OneClass {
        /// The class.
        label: String,
    },
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
        let (records, skipped) = records(source, policy, progress, interrupt)?;
        let names: BTreeSet<&str> = records.iter().filter_map(Record::class).collect();
        let mut labels: Vec<String> = names.into_iter().map(str::to_owned).collect();
        if labels.iter().all(|label| label.parse::<i64>().is_ok()) {
            labels.sort_by_key(|label| label.parse::<i64>().unwrap_or_default());
        }
        let texts = Self::label(records, labels)?;
        match texts.labels.as_slice() {
            [label] => Err(LabelError::OneClass { label: label.clone() }.into()),
            _ => Ok((texts, skipped)),
        }
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
        let (records, skipped) = records(source, policy, progress, interrupt)?;
        Ok((Self::label(records, labels)?, skipped))
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

    /// Splits off a random share of the texts of each class, at least one of a class that has two.
    #[must_use]
    pub fn split(self, share: f64, seed: u64) -> (Self, Self) {
        let mut counts = vec![0_usize; self.labels.len()];
        for example in &self.examples {
            counts[example.label as usize] += 1;
        }
        let wanted: Vec<usize> =
            counts.iter().map(|&n| ((share * n as f64).round() as usize).clamp(usize::from(n > 1), n)).collect();
        let key = Key::new(seed, Purpose::Order, "validation examples");
        let orders: Vec<_> = counts.iter().zip(0..).map(|(&n, class)| Permutation::new(key, class, n as u64)).collect();
        let mut seen = vec![0_u64; counts.len()];
        let (taken, left) = self.examples.into_iter().partition(|example| {
            let class = example.label as usize;
            seen[class] += 1;
            orders[class].at(seen[class] - 1) < wanted[class] as u64
        });
        (Self { labels: self.labels.clone(), examples: left }, Self { labels: self.labels, examples: taken })
    }

    fn label(records: Vec<Record>, labels: Vec<String>) -> Result<Self, LabelError> {
        if records.is_empty() {
            return Err(LabelError::Empty);
        }
        let numbers: HashMap<&str, u32> = labels.iter().map(String::as_str).zip(0..).collect();
        let example = |record: Record| {
            let place = || (record.path.to_path_buf(), record.line);
            let Some(label) = record.class() else {
                let (path, line) = place();
                return Err(LabelError::NoLabel { path, line });
            };
            let Some(&number) = numbers.get(label) else {
                let ((path, line), known) = (place(), labels.iter().take(20).cloned().collect());
                return Err(LabelError::Unknown { label: label.to_owned(), path, line, known });
            };
            Ok(Example { text: record.text, pair: record.pair, label: number })
        };
        let examples = records.into_iter().map(example).collect::<Result<_, _>>()?;
        Ok(Self { labels, examples })
    }
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
    use crate::Target;
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
    }

    #[test]
    fn texts_that_teach_nothing_are_refused() {
        let message = |records| read(records).unwrap_err().to_string();
        assert_eq!(message(vec![]), "there is no text with a class");
        let expected = "line 1 of `memory` has no class, name the column that holds it";
        assert_eq!(message(vec![record(&["text"])]), expected);
        let expected = "every text has the class `a`, expected at least two classes";
        assert_eq!(message(vec![labelled("x", "a"), labelled("y", "a")]), expected);
    }

    proptest! {
        #[test]
        fn a_share_of_each_class_is_taken_out(classes in prop::collection::vec(0_u32..4, 2..80), share in 0.0..0.9, seed: u64) {
            let examples = classes.iter().map(|&label| Example { text: String::new(), pair: None, label });
            let labels = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
            let all = LabelledTexts { labels, examples: examples.collect() };
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
