//! Probabilities of classes beside the truth: calibration and AUROC.

use serde::{Deserialize, Serialize};

use super::auroc::{auroc, aurocs_one_vs_rest};
use super::{BootstrapInterval, CALIBRATION_BINS, Reliability, bootstrap_interval};
use crate::exact;

/// Most probabilities that are kept: 64 MiB of them.
const MOST_KEPT: usize = 1 << 24;

/// Probabilities that a classifier gave to the classes of rows, beside the true classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassProbabilities {
    n_classes: usize,
    reliability: Reliability,
    truths: Vec<usize>,
    /// The probability of the answer to each row.
    #[serde(with = "exact::list")]
    confidences: Vec<f32>,
    /// Of every class, row by row; empty if there are too many.
    #[serde(with = "exact::list")]
    probabilities: Vec<f32>,
}

impl ClassProbabilities {
    /// No rows yet.
    ///
    /// # Panics
    /// If there are no classes.
    #[must_use]
    pub fn new(n_classes: usize) -> Self {
        assert!(n_classes > 0, "probabilities: no classes");
        Self {
            n_classes,
            reliability: Reliability::new(CALIBRATION_BINS),
            truths: Vec::new(),
            confidences: Vec::new(),
            probabilities: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If there is not one probability for each class, or no such class.
    pub fn add(&mut self, truth: usize, predicted: usize, probabilities: &[f64]) {
        let (n, n_classes) = (probabilities.len(), self.n_classes);
        assert_eq!(n, n_classes, "probabilities: {n} of {n_classes} classes");
        self.reliability.add(probabilities[predicted], truth == predicted);
        self.confidences.push(probabilities[predicted] as f32);
        let was_kept = self.is_kept();
        self.truths.push(truth);
        if was_kept && self.truths.len() * n_classes <= MOST_KEPT {
            self.probabilities.extend(probabilities.iter().map(|&probability| probability as f32));
        } else {
            self.probabilities = Vec::new();
        }
    }

    /// Adds the rows of another.
    ///
    /// # Panics
    /// If the numbers of classes differ.
    pub fn merge(&mut self, other: Self) {
        let (n_classes, others) = (self.n_classes, other.n_classes);
        assert_eq!(n_classes, others, "probabilities: {n_classes} classes and {others} do not add up");
        let are_kept = self.is_kept() && other.is_kept();
        self.reliability += other.reliability;
        self.truths.extend(other.truths);
        self.confidences.extend(other.confidences);
        if are_kept && self.truths.len() * n_classes <= MOST_KEPT {
            self.probabilities.extend(other.probabilities);
        } else {
            self.probabilities = Vec::new();
        }
    }

    fn is_kept(&self) -> bool {
        self.probabilities.len() == self.truths.len() * self.n_classes
    }

    /// The probability of the answer to each row.
    #[must_use]
    pub fn confidences(&self) -> &[f32] {
        &self.confidences
    }

    /// How often predictions are right, by the probability that they are given.
    #[must_use]
    pub fn reliability(&self) -> &Reliability {
        &self.reliability
    }

    /// The AUROC of each class against all others, `None` for classes without an example or of which all are; empty if there
    /// are more than 16 million probabilities, of which no more are kept.
    #[must_use]
    pub fn aurocs(&self) -> Vec<Option<f64>> {
        match self.is_kept() {
            true => aurocs_one_vs_rest(&self.truths, &self.probabilities, self.n_classes),
            false => Vec::new(),
        }
    }

    /// 95 % confidence interval of the AUROC of two classes, by [`bootstrap_interval`]; `None` for more classes.
    #[must_use]
    pub fn auroc_interval(&self, seed: u64) -> Option<BootstrapInterval> {
        if self.n_classes != 2 || !self.is_kept() {
            return None;
        }
        let of_second = self.probabilities.chunks(2).map(|row| f64::from(row[1]));
        let mut rows: Vec<(bool, f64)> = self.truths.iter().map(|&truth| truth == 1).zip(of_second).collect();
        // What is drawn depends on the rows, not on their order, which is that of batches.
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        bootstrap_interval(rows.len(), seed, |drawn| {
            let (is_second, scores): (Vec<_>, Vec<_>) = drawn.iter().map(|&row| rows[row]).unzip();
            auroc(&is_second, &scores)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::auroc_one_vs_rest;

    #[test]
    fn rows_add_up_and_too_many_are_not_kept() {
        let rows = [(0, 0, [0.7, 0.2, 0.1]), (1, 0, [0.5, 0.3, 0.2]), (2, 2, [0.1, 0.3, 0.6]), (0, 1, [0.3, 0.4, 0.3])];
        let of = |rows: &[(usize, usize, [f64; 3])]| {
            let mut all = ClassProbabilities::new(3);
            rows.iter().for_each(|(truth, predicted, probabilities)| all.add(*truth, *predicted, probabilities));
            all
        };
        let mut all = of(&rows[..1]);
        all.merge(of(&rows[1..]));
        assert_eq!(all, of(&rows));
        let scores: Vec<f32> = rows.iter().flat_map(|row| row.2).map(|it| it as f32).collect();
        assert_eq!(super::super::auroc::mean(&all.aurocs()), auroc_one_vs_rest(&[0, 1, 2, 0], &scores, 3));
        assert!((all.reliability().expected_calibration_error() - (0.3 + 0.5 + 0.4 + 0.4) / 4.0).abs() < 1e-12);
        assert_eq!(all.auroc_interval(1), None);

        let n_classes = MOST_KEPT / 2 + 1;
        let mut many = ClassProbabilities::new(n_classes);
        let row = vec![1.0 / n_classes as f64; n_classes];
        many.add(0, 0, &row);
        assert!(many.is_kept());
        many.add(0, 1, &row);
        assert_eq!((many.is_kept(), many.probabilities.capacity(), many.aurocs().len()), (false, 0, 0));
        assert_eq!(many.reliability().bins()[0].count, 2);
    }

    #[test]
    fn the_interval_of_two_classes_holds_their_auroc() {
        let of = |rows: &mut dyn Iterator<Item = usize>| {
            let mut all = ClassProbabilities::new(2);
            for row in rows {
                let (truth, second) = (row % 2, (row % 7) as f64 / 10.0 + 0.2 * (row % 2) as f64);
                all.add(truth, usize::from(second > 0.5), &[1.0 - second, second]);
            }
            all
        };
        let all = of(&mut (0..200));
        assert_eq!(all.auroc_interval(3), of(&mut (0..200).rev()).auroc_interval(3));
        let (score, interval) = (all.aurocs()[1].unwrap(), all.auroc_interval(3).unwrap());
        assert!(interval.low < score && score < interval.high && interval.high - interval.low < 0.3, "{interval:?}");
    }
}
