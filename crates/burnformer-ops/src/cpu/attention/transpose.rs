//! Copies of rows as columns.

use super::product::Rows;
use crate::cpu::Vectors;
use crate::cpu::matmul::{self, View};

/// Writes element `(i, j)` of `[n, columns]` to `out[j * stride + i]`.
///
/// # Panics
/// If the elements are not there, or have no place.
pub(super) fn transpose(vectors: Vectors, out: &mut [f32], stride: usize, from: Rows, [n, columns]: [usize; 2]) {
    let view = View::strided(from.data, n, columns, from.stride, 1);
    match vectors {
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512(_) => matmul::transpose(view, out, stride),
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2(simd) => {
            let (whole_rows, whole_columns) = (n / BLOCK * BLOCK, columns / BLOCK * BLOCK);
            simd.vectorize(
                #[inline(always)]
                || {
                    for row in (0..whole_rows).step_by(BLOCK) {
                        for column in (0..whole_columns).step_by(BLOCK) {
                            let from = &from.data[row * from.stride + column..];
                            transpose_block(simd, from, view.row_stride(), &mut out[column * stride + row..], stride);
                        }
                    }
                },
            );
            one_by_one(out, stride, from, whole_rows..n, 0..columns);
            one_by_one(out, stride, from, 0..whole_rows, whole_columns..columns);
        }
        _ => one_by_one(out, stride, from, 0..n, 0..columns),
    }
}

fn one_by_one(
    out: &mut [f32],
    stride: usize,
    from: Rows,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) {
    for column in columns {
        for (row, out) in rows.clone().zip(&mut out[column * stride..][rows.clone()]) {
            *out = from.data[row * from.stride + column];
        }
    }
}

/// Elements of a register of AVX2.
#[cfg(target_arch = "x86_64")]
const BLOCK: usize = 8;

/// A block of as many rows as a register has elements.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transpose_block(simd: pulp::x86::V3, from: &[f32], from_stride: usize, out: &mut [f32], stride: usize) {
    use std::arch::x86_64::__m256;
    let avx = simd.avx;
    let row =
        |i: usize| -> __m256 { pulp::cast(*from[i * from_stride..].first_chunk::<BLOCK>().expect("a whole block")) };
    // Words, pairs of words, then halves of registers change places.
    let quarter = |first: usize| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| row(first + i));
        let (ab, cd) = (
            [avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b)],
            [avx._mm256_unpacklo_ps(c, d), avx._mm256_unpackhi_ps(c, d)],
        );
        [
            avx._mm256_shuffle_ps::<0x44>(ab[0], cd[0]),
            avx._mm256_shuffle_ps::<0xEE>(ab[0], cd[0]),
            avx._mm256_shuffle_ps::<0x44>(ab[1], cd[1]),
            avx._mm256_shuffle_ps::<0xEE>(ab[1], cd[1]),
        ]
    };
    let (upper, lower) = (quarter(0), quarter(4));
    for i in 0..4 {
        let lines = [
            avx._mm256_permute2f128_ps::<0x20>(upper[i], lower[i]),
            avx._mm256_permute2f128_ps::<0x31>(upper[i], lower[i]),
        ];
        for (half, line) in lines.into_iter().enumerate() {
            out[(4 * half + i) * stride..][..BLOCK].copy_from_slice(&pulp::cast::<__m256, [f32; BLOCK]>(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_where_they_belong() {
        for vectors in Vectors::all() {
            for (n, columns) in [(1, 1), (7, 9), (8, 8), (16, 24), (19, 33), (40, 17)] {
                let data: Vec<f32> = (0..n * (columns + 3)).map(|i| i as f32).collect();
                let (from, stride) = (Rows { data: &data, stride: columns + 3 }, n + 5);
                let mut out = vec![-1.0; columns * stride];
                transpose(vectors, &mut out, stride, from, [n, columns]);
                for (at, found) in out.into_iter().enumerate() {
                    let (column, row) = (at / stride, at % stride);
                    let expected = if row < n { data[row * (columns + 3) + column] } else { -1.0 };
                    assert_eq!(found, expected, "({row}, {column}) of [{n}, {columns}] by {vectors:?}");
                }
            }
        }
    }
}
