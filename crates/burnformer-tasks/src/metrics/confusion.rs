//! Confusion matrix, and the scores derived from it.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::class_scores::{ClassScores, Margins, f1, ratio};

/// Confusion matrix: number of examples by true and predicted class, summed over batches.
///
/// The scores are scikit-learn's with `labels=range(n_classes)` and `zero_division=0`: a quotient without a denominator
/// is 0, so a class that occurs neither as truth nor as prediction counts as an F1 of 0 in the macro mean. Without `labels`
/// scikit-learn leaves such classes out: [`Self::macro_f1_of_occurring`].
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
///
/// Only what was counted takes memory, so that of `n` classes it need not be `n²` numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct ConfusionMatrix {
    pub(super) n_classes: usize,
    /// Number of examples by `(truth, predicted)`, where it is not 0.
    pub(super) cells: BTreeMap<(usize, usize), u64>,
}

/// Largest number of classes that are written as a whole matrix.
pub const MOST_WRITTEN: usize = 1_000;

/// The matrix in a file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    /// `[truth][predicted]`
    Whole(Vec<Vec<u64>>),
    /// Of more than [`MOST_WRITTEN`] classes: truth, predicted and count.
    Cells { n_classes: usize, cells: Vec<(usize, usize, u64)> },
}

impl From<ConfusionMatrix> for Stored {
    fn from(matrix: ConfusionMatrix) -> Self {
        if matrix.n_classes <= MOST_WRITTEN {
            return Self::Whole(matrix.counts());
        }
        let cells = matrix.cells.into_iter().map(|((truth, predicted), count)| (truth, predicted, count)).collect();
        Self::Cells { n_classes: matrix.n_classes, cells }
    }
}

impl From<Stored> for ConfusionMatrix {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Whole(counts) => Self::from_counts(counts),
            Stored::Cells { n_classes, cells } => Self::from_cells(n_classes, cells),
        }
    }
}

impl ConfusionMatrix {
    /// An empty confusion matrix.
    #[must_use]
    pub fn new(n_classes: usize) -> Self {
        Self { n_classes, cells: BTreeMap::new() }
    }

    /// The confusion with these counts, `[truth][predicted]`; a class without a row or a column counts as without
    /// examples.
    #[must_use]
    pub fn from_counts(counts: impl AsRef<[Vec<u64>]>) -> Self {
        let counts = counts.as_ref();
        let n_classes = counts.iter().map(Vec::len).chain([counts.len()]).max().unwrap_or(0);
        let row = |(truth, row): (usize, &Vec<u64>)| {
            let cell = move |(predicted, count)| ((truth, predicted), count);
            row.clone().into_iter().enumerate().filter(|(_, count)| *count > 0).map(cell)
        };
        Self { n_classes, cells: counts.iter().enumerate().flat_map(row).collect() }
    }

    /// The confusion with these counts of truth and predicted class, of `n_classes` or more if these cells have more.
    #[must_use]
    pub fn from_cells(n_classes: usize, cells: impl IntoIterator<Item = (usize, usize, u64)>) -> Self {
        let cells = cells.into_iter().filter(|cell| cell.2 > 0);
        let cells: BTreeMap<_, _> = cells.map(|(truth, predicted, count)| ((truth, predicted), count)).collect();
        let last = cells.keys().map(|(truth, predicted)| truth.max(predicted).saturating_add(1)).max().unwrap_or(0);
        Self { n_classes: n_classes.max(last), cells }
    }

    /// Numbers of examples, `[truth][predicted]`: as many as the square of the number of classes.
    #[must_use]
    pub fn counts(&self) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.n_classes]; self.n_classes];
        for (truth, predicted, count) in self.cells() {
            counts[truth][predicted] = count;
        }
        counts
    }

    /// Truth, predicted class and number of examples, of every pair that occurs, in the order of the classes.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
        self.cells.iter().map(|(&(truth, predicted), &count)| (truth, predicted, count))
    }

    /// Counts one example.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        let n_classes = self.n_classes();
        assert!(truth < n_classes, "confusion matrix: truth {truth} is none of {n_classes} classes");
        assert!(predicted < n_classes, "confusion matrix: prediction {predicted} is none of {n_classes} classes");
        *self.cells.entry((truth, predicted)).or_insert(0) += 1;
    }

    /// Number of examples of class `truth` that were predicted as `predicted`.
    #[must_use]
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.cells.get(&(truth, predicted)).copied().unwrap_or(0)
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Number of examples.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cells.values().sum()
    }

    /// Accuracy: share of the examples whose class was predicted.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right = self.cells().filter(|(truth, predicted, _)| truth == predicted).map(|(.., count)| count).sum();
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
        ClassScores::of(self.margins()[class])
    }

    /// Scores of every class, in their order.
    pub fn by_class(&self) -> impl ExactSizeIterator<Item = ClassScores> {
        self.margins().into_iter().map(ClassScores::of)
    }

    /// Macro average: means over the classes, each with the same weight.
    #[must_use]
    pub fn macro_average(&self) -> ClassScores {
        ClassScores::macro_average(&self.margins())
    }

    /// Weighted average: means over the classes, weighted by their numbers of examples.
    #[must_use]
    pub fn weighted_average(&self) -> ClassScores {
        ClassScores::weighted_average(&self.margins())
    }

    /// Micro average over these classes, such as all but that of texts without a relation. Over all classes it is the
    /// accuracy.
    ///
    /// # Panics
    /// If there is no such class.
    #[must_use]
    pub fn micro(&self, classes: impl IntoIterator<Item = usize>) -> ClassScores {
        let margins = self.margins();
        ClassScores::micro(&classes.into_iter().map(|class| margins[class]).collect::<Vec<_>>())
    }

    /// Matthews correlation coefficient, in `[-1, 1]`: 0 for answers that tell nothing of the truth, also where there is
    /// only one class of either.
    ///
    /// Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".
    #[must_use]
    pub fn mcc(&self) -> f64 {
        mcc(&self.margins())
    }

    /// Mean of the classes' F1, each class with the same weight.
    #[must_use]
    pub fn macro_f1(&self) -> f64 {
        mean_f1(self.margins().into_iter())
    }

    /// Mean F1 of the classes that occur as truth or as prediction: what scikit-learn's `f1_score(average="macro")` computes if it
    /// is not told which `labels` there are. 0 without examples.
    #[must_use]
    pub fn macro_f1_of_occurring(&self) -> f64 {
        let occurring: Vec<_> =
            self.margins().into_iter().filter(|[_, truths, answers]| truths + answers > 0).collect();
        mean_f1(occurring.into_iter())
    }

    /// The classes without examples, whether they are predicted or not.
    #[must_use]
    pub fn absent(&self) -> Vec<usize> {
        let margins = self.margins().into_iter().enumerate();
        margins.filter(|(_, [_, truths, _])| *truths == 0).map(|(class, _)| class).collect()
    }

    /// Numbers of correct predictions, examples and predictions of every class.
    pub(super) fn margins(&self) -> Vec<Margins> {
        let mut margins = vec![[0; 3]; self.n_classes];
        for (truth, predicted, count) in self.cells() {
            margins[truth][0] += if truth == predicted { count } else { 0 };
            margins[truth][1] += count;
            margins[predicted][2] += count;
        }
        margins
    }
}

impl AddAssign for ConfusionMatrix {
    /// # Panics
    /// If the numbers of classes differ.
    fn add_assign(&mut self, other: Self) {
        let (n_classes, others) = (self.n_classes(), other.n_classes());
        assert_eq!(n_classes, others, "confusion matrix: {n_classes} classes and {others} do not add up");
        for (cell, more) in other.cells {
            *self.cells.entry(cell).or_insert(0) += more;
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
        let counted = test.iter().enumerate().filter(|(_, count)| **count > 0);
        confusion.cells = counted.map(|(truth, &count)| ((truth, most_frequent), count)).collect();
    }
    confusion
}

/// Matthews correlation of answers with these margins.
pub(super) fn mcc(margins: &[Margins]) -> f64 {
    // In floats, as the squares of large counts do not fit into integers.
    let sum = |part: fn(&[f64; 3]) -> f64| -> f64 {
        margins.iter().map(|margins| part(&margins.map(|count| count as f64))).sum()
    };
    let (found, total) = (sum(|it| it[0]), sum(|it| it[1]));
    let variance_of_truths = total * total - sum(|it| it[1] * it[1]);
    let variance_of_answers = total * total - sum(|it| it[2] * it[2]);
    let covariance = found * total - sum(|it| it[1] * it[2]);
    let norm = variance_of_truths.sqrt() * variance_of_answers.sqrt();
    if norm == 0.0 { 0.0 } else { covariance / norm }
}

fn mean_f1(margins: impl ExactSizeIterator<Item = [u64; 3]>) -> f64 {
    let n_classes = margins.len().max(1) as f64;
    margins.map(f1).sum::<f64>() / n_classes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many numbers as the square of the classes would be 29 GB.
    #[test]
    fn of_many_classes_only_what_was_counted_takes_room() {
        let n_classes = 60_000;
        let mut confusion = majority(&vec![1; n_classes], &vec![1; n_classes]);
        confusion.add(59_999, 59_999);
        confusion += confusion.clone();
        assert_eq!((confusion.total(), confusion.count(59_999, 0), confusion.count(59_999, 59_999)), (120_002, 2, 2));
        assert!((confusion.accuracy() - 4.0 / 120_002.0).abs() < 1e-12);
        assert!(confusion.table(&[]).starts_with("count  truth  taken for\n"), "{}", confusion.table(&[]));

        let written = serde_json::to_string(&confusion).unwrap();
        assert!(written.len() < 20 * n_classes, "{} bytes", written.len());
        assert_eq!(serde_json::from_str::<ConfusionMatrix>(&written).unwrap(), confusion);
    }

    /// As runs of version 0.1.0 have it in their checkpoints.
    #[test]
    fn a_whole_matrix_is_read_as_it_was_written() {
        let confusion = ConfusionMatrix::from_counts([vec![1, 2], vec![0, 3]]);
        assert_eq!(serde_json::to_string(&confusion).unwrap(), "[[1,2],[0,3]]");
        assert_eq!(serde_json::from_str::<ConfusionMatrix>("[[1,2],[0,3]]").unwrap(), confusion);
    }
}
