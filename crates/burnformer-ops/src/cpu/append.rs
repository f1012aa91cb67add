//! Positions behind those of a cache: rows are chosen and continued in one copy.

use super::{for_overwrite, parallel};

/// `past[row]` and `new[place]` for each place of `rows`; `past` has `n_past` elements a row, `new` has `n_new`.
///
/// # Panics
/// If a row is not there.
pub(crate) fn forward(past: &[f32], n_past: usize, rows: &[i64], new: &[f32], n_new: usize) -> Vec<f32> {
    let mut out = for_overwrite(rows.len() * (n_past + n_new));
    let len = out.len();
    let tasks: Vec<_> = out.chunks_exact_mut(n_past + n_new).zip(rows).zip(new.chunks_exact(n_new)).collect();
    parallel::map(tasks, len, |_, ((out, &row), new): ((&mut [f32], &i64), &[f32])| {
        let (before, behind) = out.split_at_mut(n_past);
        before.copy_from_slice(&past[row as usize * n_past..][..n_past]);
        behind.copy_from_slice(new);
    });
    out
}
