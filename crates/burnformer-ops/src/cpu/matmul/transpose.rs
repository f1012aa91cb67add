//! Copies in which the columns of a matrix lie one after another.

use super::View;
#[cfg(target_arch = "x86_64")]
use super::lines::{WORDS, ZERO, load_line, prefetch, store_line, transpose as transpose_block};

/// `true` where there are instructions to transpose `from`; elsewhere `gemm` does as well by itself.
pub(super) fn can_transpose(from: View) -> bool {
    #[cfg(target_arch = "x86_64")]
    return from.column_stride() == 1 && is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = from;
        false
    }
}

/// Writes element `(i, j)` to `out[j * stride + i]`.
///
/// # Panics
/// Unless [`can_transpose`]; if the columns overlap in `out`, or the last one does not fit.
pub(in crate::cpu) fn transpose(from: View, out: &mut [f32], stride: usize) {
    assert!(can_transpose(from), "there is no way to transpose this here");
    let [rows, columns] = [from.rows(), from.columns()];
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(rows <= stride && (columns - 1) * stride + rows <= out.len(), "a transposed copy does not fit");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: The processor has the instructions, and elements of a row are neighbours: see above.
    unsafe {
        transpose_rows(from, out, stride);
    }
}

/// [`transpose`] of rows whose elements are neighbours, in blocks of a register each way.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn transpose_rows(from: View, out: &mut [f32], stride: usize) {
    for first_row in (0..from.rows()).step_by(WORDS) {
        let n_rows = WORDS.min(from.rows() - first_row);
        for first_column in (0..from.columns()).step_by(WORDS) {
            let n_columns = WORDS.min(from.columns() - first_column);
            let out = &mut out[first_column * stride + first_row..];
            if n_rows == WORDS && n_columns == WORDS {
                let rows = from.from(first_row, first_column);
                for i in WORDS..2 * WORDS {
                    prefetch(rows.as_ptr().wrapping_add(i * from.row_stride()));
                }
                transpose_whole_block(rows, from.row_stride(), out, stride);
                continue;
            }
            let mut block = [ZERO; WORDS];
            for (i, line) in block.iter_mut().enumerate().take(n_rows) {
                *line = load_line(&from.from(first_row + i, first_column)[..n_columns]);
            }
            for (j, line) in transpose_block(block).into_iter().enumerate().take(n_columns) {
                store_line(line, &mut out[j * stride..][..n_rows]);
            }
        }
    }
}

/// A block that stays in registers, since its loops have no other ends.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_whole_block(rows: &[f32], row_stride: usize, out: &mut [f32], stride: usize) {
    let rows = &rows[..(WORDS - 1) * row_stride + WORDS];
    let out = &mut out[..(WORDS - 1) * stride + WORDS];
    let mut block = [ZERO; WORDS];
    for (i, line) in block.iter_mut().enumerate() {
        *line = load_line(&rows[i * row_stride..][..WORDS]);
    }
    for (j, line) in transpose_block(block).into_iter().enumerate() {
        store_line(line, &mut out[j * stride..][..WORDS]);
    }
}
