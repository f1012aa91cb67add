//! Scores of texts that have any number of labels.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::class_scores::{ClassScores, Margins, ratio};
use crate::exact;

/// Numbers of true and predicted labels, summed over examples that may have any number of labels.
///
/// The scores are scikit-learn's with `zero_division=0`: a quotient without a denominator is 0.
///
/// ```
/// use burnformer_tasks::metrics::MultiLabelCounts;
///
/// let mut counts = MultiLabelCounts::new(3);
/// counts.add(&[true, false, true], &[true, false, false]);
/// counts.add(&[false, true, false], &[false, true, false]);
/// assert_eq!(counts.subset_accuracy(), 0.5);
/// assert_eq!(counts.micro().recall, 2.0 / 3.0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelCounts {
    /// Numbers of correct predictions, examples and predictions of each label.
    labels: Vec<Margins>,
    /// Number of examples.
    total: u64,
    /// Number of examples all of whose labels are right.
    exact: u64,
    /// Sums over the examples.
    samples: SampleSums,
}

/// Sums over examples of the scores of their labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SampleSums {
    #[serde(with = "exact")]
    precision: f64,
    #[serde(with = "exact")]
    recall: f64,
    #[serde(with = "exact")]
    f1: f64,
}

impl AddAssign for SampleSums {
    fn add_assign(&mut self, other: Self) {
        self.precision += other.precision;
        self.recall += other.recall;
        self.f1 += other.f1;
    }
}

impl MultiLabelCounts {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(n_labels: usize) -> Self {
        Self { labels: vec![[0; 3]; n_labels], total: 0, exact: 0, samples: SampleSums::default() }
    }

    /// Counts one example; both arguments tell of each label whether the example has it.
    ///
    /// # Panics
    /// If they have another number of labels.
    pub fn add(&mut self, truth: &[bool], predicted: &[bool]) {
        let (n_labels, found) = (self.labels.len(), (truth.len(), predicted.len()));
        assert_eq!(
            found,
            (n_labels, n_labels),
            "labels of an example: {found:?}, expected {n_labels} true and predicted"
        );
        let mut example = [0; 3];
        for ((label, &truth), &predicted) in self.labels.iter_mut().zip(truth).zip(predicted) {
            let parts = [truth && predicted, truth, predicted].map(u64::from);
            label.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            example.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        self.total += 1;
        self.exact += u64::from(truth == predicted);
        let ClassScores { precision, recall, f1, .. } = ClassScores::of(example);
        self.samples += SampleSums { precision, recall, f1 };
    }

    /// Number of labels.
    #[must_use]
    pub fn n_labels(&self) -> usize {
        self.labels.len()
    }

    /// Number of examples.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Subset accuracy: share of the examples all of whose labels are right.
    #[must_use]
    pub fn subset_accuracy(&self) -> f64 {
        ratio(self.exact, self.total)
    }

    /// Scores of each label.
    pub fn by_label(&self) -> impl ExactSizeIterator<Item = ClassScores> + '_ {
        self.labels.iter().copied().map(ClassScores::of)
    }

    /// Micro average: scores of the decisions on all labels together.
    #[must_use]
    pub fn micro(&self) -> ClassScores {
        ClassScores::micro(&self.labels)
    }

    /// Macro average: means over the labels, each with the same weight.
    #[must_use]
    pub fn macro_average(&self) -> ClassScores {
        ClassScores::macro_average(&self.labels)
    }

    /// Weighted average: means over the labels, weighted by their numbers of examples.
    #[must_use]
    pub fn weighted_average(&self) -> ClassScores {
        ClassScores::weighted_average(&self.labels)
    }

    /// Samples average: means over the examples of the scores of their labels.
    #[must_use]
    pub fn samples_average(&self) -> ClassScores {
        let mean = |sum: f64| sum / self.total.max(1) as f64;
        let SampleSums { precision, recall, f1 } = self.samples;
        let support = self.labels.iter().map(|[_, truths, _]| truths).sum();
        ClassScores { precision: mean(precision), recall: mean(recall), f1: mean(f1), support }
    }
}

impl AddAssign for MultiLabelCounts {
    /// # Panics
    /// If the numbers of labels differ.
    fn add_assign(&mut self, other: Self) {
        let (n_labels, others) = (self.labels.len(), other.labels.len());
        assert_eq!(n_labels, others, "multi-label counts: {n_labels} labels and {others} do not add up");
        for (label, more) in self.labels.iter_mut().zip(other.labels) {
            label.iter_mut().zip(more).for_each(|(sum, part)| *sum += part);
        }
        self.total += other.total;
        self.exact += other.exact;
        self.samples += other.samples;
    }
}
