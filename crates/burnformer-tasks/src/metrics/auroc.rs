//! Area under the receiver operating characteristic curve.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::ranks::mean_ranks;

/// AUROC: probability that a positive example has a higher score than a negative one, where equal scores count one half.
///
/// `None` where it is not defined: without positive or without negative examples, or if a score is NaN.
///
/// ```
/// use burnformer_tasks::metrics::auroc;
///
/// assert_eq!(auroc(&[false, true, false, true], &[0.1, 0.35, 0.4, 0.8]), Some(0.75));
/// ```
///
/// # Panics
/// If there is not one score for each example.
#[must_use]
pub fn auroc(is_positive: &[bool], scores: &[f64]) -> Option<f64> {
    let (n, others) = (is_positive.len(), scores.len());
    assert_eq!(n, others, "AUROC: {n} examples and {others} scores");
    let n_positive = is_positive.iter().filter(|positive| **positive).count();
    if n_positive == 0 || n_positive == n || scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    // The statistic of Mann and Whitney (1947).
    let ranks = mean_ranks(scores).into_iter().zip(is_positive).filter(|(_, positive)| **positive);
    let (positive, negative) = (n_positive as f64, (n - n_positive) as f64);
    let above = ranks.map(|(rank, _)| rank).sum::<f64>() - positive * (positive + 1.0) / 2.0;
    Some(above / (positive * negative))
}

/// Mean of the classes' AUROC, each class against all others with its own column of `scores` (*one-vs-rest*, *macro*).
/// `scores` has one row of `n_classes` for each example.
///
/// Classes without an example, or of which all examples are, have no AUROC and are left out of the mean. A column with
/// NaN has none either. `None` if that leaves none.
///
/// # Panics
/// If there are no classes, or not one row for each example.
#[must_use]
pub fn auroc_one_vs_rest(truths: &[usize], scores: &[f32], n_classes: usize) -> Option<f64> {
    mean(&aurocs_one_vs_rest(truths, scores, n_classes))
}

/// The AUROC of each class, as [`auroc_one_vs_rest`] takes their mean.
pub(super) fn aurocs_one_vs_rest(truths: &[usize], scores: &[f32], n_classes: usize) -> Vec<Option<f64>> {
    let is_positive = |class| truths.iter().map(|&truth| truth == class).collect();
    of_columns(truths.len(), scores, n_classes, is_positive)
}

/// Mean of the labels' AUROC, where an example may have any number of labels. `truths` and `scores` have one row of
/// `n_labels` for each example.
///
/// Labels that no example has, or all have, are left out of the mean. `None` if that leaves none, or if a score is NaN.
///
/// # Panics
/// If there are no labels, or `truths` and `scores` have not the same whole rows.
#[must_use]
pub fn auroc_of_labels(truths: &[bool], scores: &[f32], n_labels: usize) -> Option<f64> {
    let (n, is_positive) =
        (truths.len() / n_labels, |label| truths.iter().skip(label).step_by(n_labels).copied().collect());
    mean(&of_columns(n, scores, n_labels, is_positive))
}

fn of_columns(
    n_rows: usize,
    scores: &[f32],
    n_columns: usize,
    is_positive: impl Fn(usize) -> Vec<bool> + Sync,
) -> Vec<Option<f64>> {
    let (n_scores, expected) = (scores.len(), n_rows * n_columns);
    assert_eq!(n_scores, expected, "AUROC: {n_scores} scores of {n_rows} examples and {n_columns} classes");
    let of_column = |column: usize| {
        let scores: Vec<f64> = scores.iter().skip(column).step_by(n_columns).map(|&score| score.into()).collect();
        auroc(&is_positive(column), &scores)
    };
    (0..n_columns).into_par_iter().map(of_column).collect()
}

/// Mean of those that are defined.
pub(super) fn mean(areas: &[Option<f64>]) -> Option<f64> {
    let defined: Vec<f64> = areas.iter().copied().flatten().collect();
    (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
}
