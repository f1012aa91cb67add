//! Confusion matrix, and the scores derived from it.

use std::ops::AddAssign;

use burnformer_core::random::{Key, Purpose, Stream};
use serde::{Deserialize, Serialize};

/// Number of bootstrap resamples for the standard error of the macro-F1.
const RESAMPLES: u64 = 1_000;
/// Largest number of examples in a resample.
const MAX_DRAWS: u64 = 100_000;

/// Confusion matrix: number of examples by true and predicted class, summed over batches.
///
/// The scores are scikit-learn's with `labels=range(n_classes)` and `zero_division=0`: a quotient without a denominator
/// is 0, so a class that occurs neither as truth nor as prediction counts as an F1 of 0 in the macro mean.
///
/// ```
/// use burnformer_tasks::metrics::ConfusionMatrix;
///
/// let mut confusion = ConfusionMatrix::new(2);
/// for (truth, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
///     confusion.add(truth, predicted);
/// }
/// assert_eq!(confusion.accuracy(), 0.75);
/// assert_eq!(confusion.of_class(0).recall, 0.5);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfusionMatrix {
    /// `[truth][predicted]`
    counts: Vec<Vec<u64>>,
}

/// Scores of one class against all others, each in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
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

impl ConfusionMatrix {
    /// An empty confusion matrix.
    #[must_use]
    pub fn new(n_classes: usize) -> Self {
        Self { counts: vec![vec![0; n_classes]; n_classes] }
    }

    /// The confusion with these counts, `[truth][predicted]`; a class without a row or a column counts as without
    /// examples.
    #[must_use]
    pub fn from_counts(counts: &[Vec<u64>]) -> Self {
        let n_classes = counts.iter().map(Vec::len).chain([counts.len()]).max().unwrap_or(0);
        let mut confusion = Self::new(n_classes);
        for (row, counts) in confusion.counts.iter_mut().zip(counts) {
            row[..counts.len()].copy_from_slice(counts);
        }
        confusion
    }

    /// Numbers of examples, `[truth][predicted]`.
    #[must_use]
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Counts one example.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        let n_classes = self.n_classes();
        assert!(truth < n_classes, "confusion matrix: truth {truth} is none of {n_classes} classes");
        assert!(predicted < n_classes, "confusion matrix: prediction {predicted} is none of {n_classes} classes");
        self.counts[truth][predicted] += 1;
    }

    /// Number of examples of class `truth` that were predicted as `predicted`.
    ///
    /// # Panics
    /// If there is no such class.
    #[must_use]
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth][predicted]
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.counts.len()
    }

    /// Number of examples.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Accuracy: share of the examples whose class was predicted.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right = (0..self.n_classes()).map(|class| self.counts[class][class]).sum();
        ratio(right, self.total())
    }

    /// Standard error of the accuracy: `√(p (1 - p) / n)`.
    #[must_use]
    pub fn accuracy_standard_error(&self) -> f64 {
        let p = self.accuracy();
        (p * (1.0 - p) / self.total().max(1) as f64).sqrt()
    }

    /// Scores of one class.
    ///
    /// # Panics
    /// If there is no such class.
    #[must_use]
    pub fn of_class(&self, class: usize) -> ClassScores {
        let [found, truths, predictions] = self.margins(class);
        ClassScores {
            precision: ratio(found, predictions),
            recall: ratio(found, truths),
            f1: f1([found, truths, predictions]),
            support: truths,
        }
    }

    /// Mean of the classes' F1, each class with the same weight.
    #[must_use]
    pub fn macro_f1(&self) -> f64 {
        mean_f1((0..self.n_classes()).map(|class| self.margins(class)))
    }

    /// Standard deviation of the macro-F1 over 1,000 test sets drawn from this one with replacement (the bootstrap of
    /// Efron 1979), the same for the same `seed`.
    ///
    /// Of more than 100,000 examples, 100,000 are drawn, and the deviation is scaled with `1 / √n`.
    #[must_use]
    pub fn macro_f1_standard_error(&self, seed: u64) -> f64 {
        let total = self.total();
        if total == 0 {
            return 0.0;
        }
        let n_classes = self.n_classes();
        let cells = (0..n_classes).flat_map(|truth| (0..n_classes).map(move |predicted| (truth, predicted)));
        // Where each cell's examples end when all are laid in a row.
        let ends: Vec<(u64, (usize, usize))> = cells
            .filter(|&(truth, predicted)| self.counts[truth][predicted] > 0)
            .scan(0, |end, (truth, predicted)| {
                *end += self.counts[truth][predicted];
                Some((*end, (truth, predicted)))
            })
            .collect();

        let key = Key::new(seed, Purpose::Order, "bootstrap");
        let draws = total.min(MAX_DRAWS);
        let scores = (0..RESAMPLES).map(|resample| {
            let mut stream = Stream::new(key, resample);
            let mut margins = vec![[0; 3]; n_classes];
            for _ in 0..draws {
                let example = stream.below(total);
                let (truth, predicted) = ends[ends.partition_point(|&(end, _)| end <= example)].1;
                margins[truth][0] += u64::from(truth == predicted);
                margins[truth][1] += 1;
                margins[predicted][2] += 1;
            }
            mean_f1(margins.into_iter())
        });
        let scores: Vec<f64> = scores.collect();
        let mean = scores.iter().sum::<f64>() / RESAMPLES as f64;
        let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
        (squares / (RESAMPLES - 1) as f64 * draws as f64 / total as f64).sqrt()
    }

    /// Numbers of correct predictions, examples and predictions of `class`.
    fn margins(&self, class: usize) -> [u64; 3] {
        let predictions = self.counts.iter().map(|row| row[class]).sum();
        [self.counts[class][class], self.counts[class].iter().sum(), predictions]
    }
}

impl AddAssign for ConfusionMatrix {
    /// # Panics
    /// If the numbers of classes differ.
    fn add_assign(&mut self, other: Self) {
        let (n_classes, others) = (self.n_classes(), other.n_classes());
        assert_eq!(n_classes, others, "confusion matrix: {n_classes} classes and {others} do not add up");
        for (count, more) in self.counts.iter_mut().flatten().zip(other.counts.into_iter().flatten()) {
            *count += more;
        }
    }
}

/// Majority-class baseline: the confusion matrix of always predicting the most frequent `training` class, the first of
/// several, for `test`. Both arguments are numbers of examples by class.
///
/// # Panics
/// If there are not as many classes in one as in the other.
#[must_use]
pub fn majority(training: &[u64], test: &[u64]) -> ConfusionMatrix {
    let (n_classes, others) = (training.len(), test.len());
    assert_eq!(n_classes, others, "majority: {n_classes} classes to learn from and {others} to answer");
    let mut confusion = ConfusionMatrix::new(n_classes);
    // `max_by_key` finds the last of several.
    if let Some((most_frequent, _)) = training.iter().enumerate().rev().max_by_key(|(_, count)| **count) {
        for (row, &count) in confusion.counts.iter_mut().zip(test) {
            row[most_frequent] = count;
        }
    }
    confusion
}

/// `2 found / (truths + predictions)`, which is the harmonic mean of precision and recall.
fn f1([found, truths, predictions]: [u64; 3]) -> f64 {
    ratio(2 * found, truths + predictions)
}

fn mean_f1(margins: impl ExactSizeIterator<Item = [u64; 3]>) -> f64 {
    let n_classes = margins.len().max(1) as f64;
    margins.map(f1).sum::<f64>() / n_classes
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
