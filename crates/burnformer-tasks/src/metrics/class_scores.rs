//! Precision, recall and F1 of classes, and their averages.

use serde::Serialize;

/// Scores of one class against all others, or their average over classes, each in `[0, 1]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClassScores {
    /// Precision: share of the predictions of this class that are right.
    pub precision: f64,
    /// Recall: share of this class's examples that were found.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Number of examples of this class.
    pub support: u64,
}

/// Numbers of correct predictions, examples and predictions of a class.
pub(super) type Margins = [u64; 3];

impl ClassScores {
    /// The scores of a class with these numbers; a quotient without a denominator is 0.
    pub(super) fn of([found, truths, predictions]: Margins) -> Self {
        Self {
            precision: ratio(found, predictions),
            recall: ratio(found, truths),
            f1: f1([found, truths, predictions]),
            support: truths,
        }
    }

    /// Micro average: scores of all decisions together.
    pub(super) fn micro(classes: &[Margins]) -> Self {
        let sum = |part: usize| classes.iter().map(|margins| margins[part]).sum();
        Self::of([sum(0), sum(1), sum(2)])
    }

    /// Macro average: means over the classes, each with the same weight.
    pub(super) fn macro_average(classes: &[Margins]) -> Self {
        Self::average(classes, |_| 1.0)
    }

    /// Weighted average: means over the classes, weighted by their numbers of examples.
    pub(super) fn weighted_average(classes: &[Margins]) -> Self {
        Self::average(classes, |scores| scores.support as f64)
    }

    fn average(classes: &[Margins], weight: impl Fn(&Self) -> f64) -> Self {
        let (mut sum, mut total) = (Self::default(), 0.0);
        for scores in classes.iter().copied().map(Self::of) {
            let weight = weight(&scores);
            total += weight;
            sum.precision += weight * scores.precision;
            sum.recall += weight * scores.recall;
            sum.f1 += weight * scores.f1;
            sum.support += scores.support;
        }
        let mean = |sum: f64| if total == 0.0 { 0.0 } else { sum / total };
        Self { precision: mean(sum.precision), recall: mean(sum.recall), f1: mean(sum.f1), support: sum.support }
    }
}

/// `2 found / (truths + predictions)`, which is the harmonic mean of precision and recall.
pub(super) fn f1([found, truths, predictions]: Margins) -> f64 {
    ratio(2 * found, truths + predictions)
}

/// A quotient; 0 without a denominator.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
