//! Texts with a score each in memory, for regression and ranking.

use std::collections::HashMap;

use burnformer_core::progress::{Interrupt, Progress};

use crate::conflicts::{Conflicts, n_repeated, n_shared};
use crate::content::hash;
use crate::labelled::{self, Example, LabelError, keys};
use crate::source::{OnBadRow, Skipped, Source};
use crate::{DataError, Record, Target};

/// Scores that texts may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScoreRange {
    /// Any finite number.
    #[default]
    Any,
    /// From 0 to 1, as probabilities.
    Unit,
}

/// Score of a text, or of a pair of texts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// The score.
    pub value: f64,
    /// Number of the first text among all different first texts: pairs with the same query are ranked together.
    pub query: u32,
}

/// Texts, or pairs of texts, with a score each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoredTexts {
    /// The texts, in the order of the source.
    pub examples: Vec<Example<Score>>,
}

impl ScoredTexts {
    /// Reads texts whose labels are numbers.
    ///
    /// # Errors
    /// The first bad row, unless `policy` skips those, which are counted: a label that is no number, or none of `range`, is one;
    /// [`LabelError`] if a text has no label; on request of `interrupt`.
    pub fn read(
        source: &dyn Source,
        range: ScoreRange,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let mut queries: HashMap<u64, u32> = HashMap::new();
        let score = |record: &Record| {
            let value = value(record, range)?;
            let next = queries.len() as u32;
            Ok(Score { value, query: *queries.entry(hash(&record.text)).or_insert(next) })
        };
        let (examples, skipped) = labelled::examples(source, policy, progress, interrupt, score)?;
        Ok((Self { examples }, skipped))
    }

    /// Refuses texts that teach nothing.
    ///
    /// # Errors
    /// [`LabelError::OneScore`] if all scores are equal.
    pub fn check_scores(&self) -> Result<(), LabelError> {
        match self.examples.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other.label.value == first.label.value) => {
                Err(LabelError::OneScore { score: first.label.value })
            }
            _ => Ok(()),
        }
    }

    /// Splits off a random share of the texts, at least one of two. The rows of a text stay in one part.
    #[must_use]
    pub fn split(self, share: f64, seed: u64) -> (Self, Self) {
        let (left, taken) = labelled::split(self.examples, share, seed);
        (Self { examples: left }, Self { examples: taken })
    }

    /// Texts that occur with different scores.
    #[must_use]
    pub fn conflicts(&self) -> Conflicts {
        labelled::conflicts(&self.examples, |score| score.value.to_bits(), &[])
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

/// The score of a record.
pub(crate) fn value(record: &Record, range: ScoreRange) -> Result<f64, LabelError> {
    let not_a_score = |found: String| {
        let (path, line) = labelled::place(record);
        Err(LabelError::NotAScore { found, path, line })
    };
    let found = match &record.target {
        Some(Target::Class(score)) => score.trim(),
        Some(Target::Labels { labels, .. }) => return not_a_score(labels.join(", ")),
        _ => return Err(LabelError::none(record)),
    };
    // What is too large for the model's numbers is as good as infinite.
    let number: Option<f64> = found.parse().ok().filter(|&number: &f64| (number as f32).is_finite());
    match number {
        None => not_a_score(found.to_owned()),
        Some(found) if range == ScoreRange::Unit && !(0.0..=1.0).contains(&found) => {
            let (path, line) = labelled::place(record);
            Err(LabelError::OutsideUnit { found, path, line })
        }
        // Without the sign of zero, which is no difference between scores.
        Some(found) => Ok(found + 0.0),
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::progress::Silent;

    use super::*;
    use crate::testing::{Memory, record};

    fn scored(text: &str, score: &str) -> Record {
        Record { target: Some(Target::Class(score.to_owned())), ..record(&[text]) }
    }

    fn read(rows: &[(&str, &str)], range: ScoreRange, policy: OnBadRow) -> Result<(ScoredTexts, Skipped), DataError> {
        let row = |((text, score), line): (&(&str, &str), u64)| Record { line, ..scored(text, score) };
        let source = Memory::of(rows.iter().zip(1..).map(row).collect());
        ScoredTexts::read(&source, range, policy, &Silent, &Interrupt::new())
    }

    #[test]
    fn numbers_are_scores_and_all_else_is_a_bad_row() {
        let rows =
            [("a", "3.5"), ("b", " -1e1 "), ("c", "high"), ("d", "nan"), ("e", "inf"), ("f", "1e39"), ("g", "-0")];
        let (texts, skipped) = read(&rows, ScoreRange::Any, OnBadRow::Skip).unwrap();
        let scores: Vec<f64> = texts.examples.iter().map(|example| example.label.value).collect();
        assert_eq!((scores, skipped.rows), (vec![3.5, -10.0, 0.0], 4));
        let error = read(&rows, ScoreRange::Any, OnBadRow::Error).unwrap_err();
        assert_eq!(error.to_string(), "line 3 of `memory` has the score `high`, expected a finite number");
        let error = read(&[("a", "1"), ("b", "0"), ("c", "1.5")], ScoreRange::Unit, OnBadRow::Error).unwrap_err();
        let expected = "line 3 of `memory` has the score `1.5`, expected a number from 0 to 1: divide scores by the greatest, or \
                        set the task `regression`";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_text_without_a_score_and_equal_scores_are_refused() {
        let source = Memory::of(vec![record(&["a"])]);
        let error =
            ScoredTexts::read(&source, ScoreRange::Any, OnBadRow::Skip, &Silent, &Interrupt::new()).unwrap_err();
        assert_eq!(error.to_string(), "line 1 of `memory` has no class, name the column that holds it");
        let (texts, _) = read(&[("a", "2"), ("b", "2.0")], ScoreRange::Any, OnBadRow::Error).unwrap();
        let error = texts.check_scores().unwrap_err();
        assert_eq!(error.to_string(), "every text has the score `2`, expected at least two different scores");
    }

    #[test]
    fn pairs_with_one_first_text_have_one_query() {
        let rows = [("b", "1"), ("a", "0"), ("b", "0"), ("c", "1")];
        let (texts, _) = read(&rows, ScoreRange::Unit, OnBadRow::Error).unwrap();
        assert_eq!(texts.examples.iter().map(|example| example.label.query).collect::<Vec<_>>(), [0, 1, 0, 2]);
    }

    #[test]
    fn no_text_is_in_both_parts() {
        let rows: Vec<(String, String)> = (0..60).map(|i| (format!("text {}", i % 20), format!("{}", i % 7))).collect();
        let rows: Vec<(&str, &str)> = rows.iter().map(|(text, score)| (text.as_str(), score.as_str())).collect();
        let (texts, _) = read(&rows, ScoreRange::Any, OnBadRow::Error).unwrap();
        assert_eq!((texts.n_repeated(), texts.conflicts().texts), (40, 20));
        for seed in 0..9 {
            let (left, taken) = texts.clone().split(0.25, seed);
            assert_eq!((taken.n_shared(&left), left.examples.len(), taken.examples.len()), (0, 45, 15));
        }
    }
}
