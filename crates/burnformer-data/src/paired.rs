//! Pairs of texts in memory, with scores or negatives, for training and evaluating text embeddings.

use std::path::PathBuf;

use burnformer_core::progress::{Interrupt, Progress};
use burnformer_core::random::{Key, Permutation, Purpose};

use crate::DataError;
use crate::conflicts::{Conflicts, distinct, equal, excerpt, firsts, n_repeated, n_shared};
use crate::content::{hash, hash_of_texts};
use crate::labelled::LabelError;
use crate::scored::{self, ScoreRange};
use crate::source::{OnBadRow, Records, Skipped, Source};

/// Two texts, and what is known about how they go together.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedExample {
    /// The first text: a query, a question.
    pub text: String,
    /// The text that goes together with it, or that the score is about: an answer, a paraphrase.
    pub pair: String,
    /// Texts that do not go together with the first one.
    pub negatives: Vec<String>,
    /// How similar the two texts are; `None` if they go together.
    pub score: Option<f32>,
}

/// Pairs of texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairedTexts {
    /// The pairs, in the order of the source. All have a score, or none has one; the same holds for negatives.
    pub examples: Vec<PairedExample>,
}

/// Errors of pairs of texts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// A text without a second one.
    #[error("line {line} of `{}` has no second text, name the column that holds it", path.display())]
    NoPair {
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
    },
    /// No pair at all.
    #[error("there is no pair of texts")]
    Empty,
}

impl PairedTexts {
    /// Reads pairs of texts. The label of a row is its score.
    ///
    /// # Errors
    /// The first bad row, unless `policy` skips those, which are counted; [`PairError`] if a text has no second one, or there is
    /// no pair; on request of `interrupt`.
    pub fn read(
        source: &dyn Source,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let mut records = Records::new(source, policy, "read texts", progress, interrupt);
        let mut examples = Vec::new();
        while let Some(record) = records.next() {
            let record = record?;
            let score = record.target.as_ref().map(|_| scored::value(&record, ScoreRange::Any));
            let Some(score) = records.keep(score.transpose().map_err(DataError::from))? else { continue };
            let Some(pair) = record.pair else {
                return Err(PairError::NoPair { path: record.path.to_path_buf(), line: record.line }.into());
            };
            let score = score.map(|score| score as f32);
            examples.push(PairedExample { text: record.text, pair, negatives: record.negatives, score });
        }
        match examples.is_empty() {
            true => Err(PairError::Empty.into()),
            false => Ok((Self { examples }, records.into_skipped())),
        }
    }

    /// `true` if every pair has a score.
    #[must_use]
    pub fn have_scores(&self) -> bool {
        self.examples.first().is_some_and(|example| example.score.is_some())
    }

    /// `true` if every pair has negatives.
    #[must_use]
    pub fn have_negatives(&self) -> bool {
        self.examples.first().is_some_and(|example| !example.negatives.is_empty())
    }

    /// The least and the greatest score; `None` without scores.
    #[must_use]
    pub fn score_range(&self) -> Option<(f32, f32)> {
        let scores = || self.examples.iter().filter_map(|example| example.score);
        Some((scores().reduce(f32::min)?, scores().reduce(f32::max)?))
    }

    /// Refuses pairs that teach nothing.
    ///
    /// # Errors
    /// [`LabelError::OneScore`] if all scores are equal.
    pub fn check_scores(&self) -> Result<(), LabelError> {
        match self.score_range() {
            Some((least, greatest)) if least == greatest => Err(LabelError::OneScore { score: f64::from(least) }),
            _ => Ok(()),
        }
    }

    /// The pairs whose place in `is_kept` says `true`.
    #[must_use]
    pub fn retain(self, is_kept: &[bool]) -> Self {
        let kept = self.examples.into_iter().zip(is_kept).filter(|(_, is_kept)| **is_kept);
        Self { examples: kept.map(|(example, _)| example).collect() }
    }

    /// Splits off the pairs of a random share of the first texts, at least those of one if there are two.
    #[must_use]
    pub fn split(self, share: f64, seed: u64) -> (Self, Self) {
        let keys: Vec<(u64, &str)> =
            self.examples.iter().map(|example| (hash(&example.text), example.text.as_str())).collect();
        let firsts = firsts(&keys);
        let n = distinct(&firsts).count();
        let wanted = ((share * n as f64).round() as usize).clamp(usize::from(n > 1), n) as u64;
        let order = Permutation::new(Key::new(seed, Purpose::Order, "validation pairs"), 0, n as u64);
        let mut is_taken = vec![false; firsts.len()];
        distinct(&firsts).zip(0..).for_each(|(text, place)| is_taken[text] = order.at(place) < wanted);
        let mut firsts = firsts.iter();
        let (taken, left) =
            self.examples.into_iter().partition(|_| firsts.next().is_some_and(|&first| is_taken[first as usize]));
        (Self { examples: left }, Self { examples: taken })
    }

    /// Pairs that occur with different scores.
    #[must_use]
    pub fn conflicts(&self) -> Conflicts {
        let score = |pair: u32| u64::from(self.examples[pair as usize].score.unwrap_or_default().to_bits());
        let (mut conflicts, firsts) = Conflicts::among(&equal(&self.pairs()), score, &[]);
        for (example, pair) in conflicts.examples.iter_mut().zip(firsts) {
            example.text = excerpt(&self.examples[pair as usize].text);
        }
        conflicts
    }

    /// Number of rows with the pair of an earlier row.
    #[must_use]
    pub fn n_repeated(&self) -> usize {
        n_repeated(&self.pairs())
    }

    /// Number of rows whose pair is among those of `others` too.
    #[must_use]
    pub fn n_shared(&self, others: &Self) -> usize {
        n_shared(&self.pairs(), &others.pairs())
    }

    /// The texts of each row behind their hash, by which most comparisons are decided.
    fn pairs(&self) -> Vec<(u64, &str, &str)> {
        let key = |example: &PairedExample| hash_of_texts(&example.text, Some(&example.pair));
        self.examples.iter().map(|example| (key(example), example.text.as_str(), example.pair.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::progress::Silent;

    use super::*;
    use crate::testing::{Memory, record};
    use crate::{Record, Target};

    fn row(text: &str, pair: Option<&str>, score: Option<&str>) -> Record {
        let target = score.map(|score| Target::Class(score.to_owned()));
        Record { pair: pair.map(str::to_owned), target, ..record(&[text]) }
    }

    fn read(records: Vec<Record>, policy: OnBadRow) -> Result<(PairedTexts, Skipped), String> {
        PairedTexts::read(&Memory::of(records), policy, &Silent, &Interrupt::new()).map_err(|error| error.to_string())
    }

    fn pairs(texts: &[(&str, &str)]) -> PairedTexts {
        let rows = texts.iter().map(|(text, pair)| row(text, Some(pair), None)).collect();
        read(rows, OnBadRow::Error).unwrap().0
    }

    #[test]
    fn labels_are_scores_and_other_labels_bad_rows() {
        let rows = || {
            vec![row("a", Some("b"), Some(" 3.8")), row("c", Some("d"), Some("high")), row("e", Some("f"), Some("0"))]
        };
        assert_eq!(
            read(rows(), OnBadRow::Error).unwrap_err(),
            "line 1 of `memory` has the score `high`, expected a finite number"
        );
        let (texts, skipped) = read(rows(), OnBadRow::Skip).unwrap();
        assert_eq!((texts.examples.len(), skipped.rows, texts.score_range()), (2, 1, Some((0.0, 3.8))));
        assert!(texts.have_scores() && !texts.have_negatives());
        for not_finite in ["nan", "inf", "1e99"] {
            assert!(read(vec![row("a", Some("b"), Some(not_finite))], OnBadRow::Error).is_err(), "{not_finite}");
        }
    }

    #[test]
    fn every_text_needs_a_second_one() {
        let missing = "line 1 of `memory` has no second text, name the column that holds it";
        assert_eq!(read(vec![row("a", None, None)], OnBadRow::Skip).unwrap_err(), missing);
        assert_eq!(read(vec![], OnBadRow::Skip).unwrap_err(), "there is no pair of texts");
        assert_eq!(pairs(&[("a", "b")]).score_range(), None);
    }

    #[test]
    fn all_pairs_of_a_first_text_stay_in_one_part() {
        let names: Vec<(String, String)> = (0..60).map(|i| (format!("q{}", i % 20), format!("p{i}"))).collect();
        let all = pairs(&names.iter().map(|(text, pair)| (text.as_str(), pair.as_str())).collect::<Vec<_>>());
        let (left, taken) = all.clone().split(0.1, 7);
        assert_eq!((left.examples.len(), taken.examples.len()), (54, 6));
        assert!(taken.examples.iter().all(|it| left.examples.iter().all(|other| other.text != it.text)));
        assert_eq!(all.clone().split(0.1, 7).1, taken);
        assert_ne!(all.clone().split(0.1, 8).1, taken);
        assert_eq!(all.clone().split(0.001, 1).1.examples.len(), 3);
        assert_eq!(all.clone().retain(&[false, true]).examples, all.examples[1..2]);
    }

    #[test]
    fn pairs_are_equal_by_both_texts() {
        let texts = pairs(&[("a", "b"), ("a", "c"), ("a", "b"), ("b", "a")]);
        assert_eq!((texts.n_repeated(), texts.n_shared(&pairs(&[("a", "b")]))), (1, 2));
        let rows = vec![row("a", Some("b"), Some("1")), row("a", Some("b"), Some("2")), row("a", Some("c"), Some("1"))];
        let (texts, _) = read(rows, OnBadRow::Error).unwrap();
        assert_eq!((texts.conflicts().texts, texts.conflicts().examples[0].text.as_str()), (1, "a"));
    }
}
