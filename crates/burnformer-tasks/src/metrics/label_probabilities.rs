//! Probabilities of labels beside the truth: AUROC, and the threshold that suits them.

use serde::{Deserialize, Serialize};

use super::auroc::auroc_of_labels;
use crate::exact;

/// Most probabilities that are kept: 64 MiB of them.
const MOST_KEPT: usize = 1 << 24;

/// Probabilities of the labels of rows, beside the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelProbabilities {
    n_labels: usize,
    /// Of every label, row by row; empty if there are too many.
    truths: Vec<bool>,
    #[serde(with = "exact::list")]
    probabilities: Vec<f32>,
    is_full: bool,
}

impl LabelProbabilities {
    /// No rows yet.
    #[must_use]
    pub fn new(n_labels: usize) -> Self {
        Self { n_labels, truths: Vec::new(), probabilities: Vec::new(), is_full: false }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If there is not one truth and one probability for each label.
    pub fn add(&mut self, truths: &[bool], probabilities: &[f64]) {
        let (n_labels, found) = (self.n_labels, (truths.len(), probabilities.len()));
        assert_eq!(found, (n_labels, n_labels), "probabilities of labels: {found:?}, expected {n_labels} of each");
        self.truths.extend(truths);
        self.probabilities.extend(probabilities.iter().map(|&probability| probability as f32));
        self.bound();
    }

    /// Adds the rows of another.
    pub fn merge(&mut self, other: Self) {
        self.is_full |= other.is_full;
        self.truths.extend(other.truths);
        self.probabilities.extend(other.probabilities);
        self.bound();
    }

    /// Drops all if they are too many.
    fn bound(&mut self) {
        self.is_full |= self.truths.len() > MOST_KEPT;
        if self.is_full {
            (self.truths, self.probabilities) = (Vec::new(), Vec::new());
        }
    }

    /// Mean AUROC of the labels that some rows have and others lack; `None` without such a label, or if more than 16 million
    /// probabilities were added, of which none are kept.
    #[must_use]
    pub fn auroc(&self) -> Option<f64> {
        auroc_of_labels(&self.truths, &self.probabilities, self.n_labels)
    }

    /// The threshold with the greatest micro-F1 on these rows, the greatest of equally good ones, and that micro-F1. A label of at
    /// least this probability counts as predicted. `None` if no row has a label, or as for [`Self::auroc`].
    #[must_use]
    pub fn best_threshold(&self) -> Option<(f64, f64)> {
        let n_true = self.truths.iter().filter(|&&truth| truth).count();
        let mut order: Vec<usize> = (0..self.truths.len()).collect();
        order.sort_unstable_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        let (mut best, mut n_right, mut n_predicted) = (None, 0, 0);
        for equal in order.chunk_by(|&a, &b| self.probabilities[a] == self.probabilities[b]) {
            n_right += equal.iter().filter(|&&place| self.truths[place]).count();
            n_predicted += equal.len();
            let f1 = 2.0 * n_right as f64 / (n_predicted + n_true) as f64;
            if best.is_none_or(|(_, best)| f1 > best) {
                best = Some((f64::from(self.probabilities[equal[0]]), f1));
            }
        }
        best.filter(|_| n_true > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MultiLabelCounts;

    #[test]
    fn the_best_threshold_is_that_of_all() {
        let rows = [
            ([true, false, true], [0.9, 0.2, 0.3]),
            ([false, true, false], [0.3, 0.25, 0.1]),
            ([false, false, true], [0.05, 0.3, 0.7]),
        ];
        let mut all = LabelProbabilities::new(3);
        rows.iter().for_each(|(truths, probabilities)| all.add(truths, probabilities));
        let f1 = |threshold: f64| {
            let mut counts = MultiLabelCounts::new(3);
            for (truths, probabilities) in &rows {
                counts.add(truths, &probabilities.map(|it| f64::from(it as f32) >= threshold));
            }
            counts.micro().f1
        };
        let tried = rows.iter().flat_map(|row| row.1).map(|it| f64::from(it as f32));
        let (threshold, best) = all.best_threshold().unwrap();
        assert_eq!(best, tried.map(f1).fold(0.0, f64::max));
        assert_eq!(f1(threshold), best);
        let mut merged = LabelProbabilities::new(3);
        merged.merge(all.clone());
        assert_eq!(merged, all);
    }

    #[test]
    fn rows_without_labels_and_too_many_have_no_threshold() {
        let mut none = LabelProbabilities::new(1);
        none.add(&[false], &[0.5]);
        assert_eq!((none.best_threshold(), none.auroc()), (None, None));
        let n_labels = MOST_KEPT / 16 + 1;
        let (mut many, row) = (LabelProbabilities::new(n_labels), (vec![true; n_labels], vec![0.5; n_labels]));
        (0..17).for_each(|_| many.add(&row.0, &row.1));
        assert_eq!((many.best_threshold(), many.auroc(), many.truths.capacity()), (None, None, 0));
    }
}
