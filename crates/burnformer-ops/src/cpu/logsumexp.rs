//! The logarithm of a softmax's denominator.

use super::math::{exp, maximum, sum_of};
use super::parallel;
use super::{for_overwrite, vectorized};

/// Rows are long: a vocabulary.
const ROWS: usize = 8;

/// `ln Σ exp(x)` of one row.
pub(super) fn of_row(row: &[f32]) -> f32 {
    vectorized(
        #[inline(always)]
        || {
            let maximum = maximum(row);
            maximum + sum_of(row, |x| exp(x - maximum)).ln()
        },
    )
}

/// [`of_row`] of every row of `columns` elements.
pub(crate) fn forward(x: &[f32], columns: usize) -> Vec<f32> {
    let mut out = for_overwrite(x.len() / columns);
    let tasks: Vec<_> = out.chunks_mut(ROWS).zip(x.chunks(ROWS * columns)).collect();
    parallel::map(tasks, x.len(), |_, (out, rows): (&mut [f32], &[f32])| {
        for (out, row) in out.iter_mut().zip(rows.chunks_exact(columns)) {
            *out = of_row(row);
        }
    });
    out
}
