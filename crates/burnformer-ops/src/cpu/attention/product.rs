//! Products of matrices as small as a tile of scores, without packing.
//!
//! A register tile of the output is summed over all terms before it is written (Goto and van de Geijn 2008, section 4): for
//! each term, one row of `b` is loaded and elements of `a` are broadcast, so `a` can lie in either order. Each element is
//! summed in the order of the terms, whatever the vector instructions.

use super::prefetch::near as prefetch_near;
use super::scratch::LINE;
use crate::cpu::Vectors;
use pulp::{Simd, WithSimd};

/// The left factor `[m, k]`: element `(i, k)` is `data[i * row + k * term]`.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    pub(super) data: &'a [f32],
    pub(super) row: usize,
    pub(super) term: usize,
}

/// Rows in memory, this many elements apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
}

impl<'a> Rows<'a> {
    /// As a left factor.
    pub(super) fn factor(self) -> Factor<'a> {
        Factor { data: self.data, row: self.stride, term: 1 }
    }

    /// Its transpose as a left factor.
    pub(super) fn transposed(self) -> Factor<'a> {
        Factor { data: self.data, row: 1, term: self.stride }
    }
}

/// `out = a b`, plus what was in `out` before if `accumulate`.
///
/// # Shapes
/// `[m, k, n]`: out `[m, n]`, its rows `stride` apart; a `[m, k]`; b `[k, n]`. `n` is a multiple of [`LINE`].
///
/// # Panics
/// If a matrix is smaller than its shape.
pub(super) fn product(
    vectors: Vectors,
    out: &mut [f32],
    stride: usize,
    a: Factor,
    b: Rows,
    [m, k, n]: [usize; 3],
    accumulate: bool,
) {
    assert!(n.is_multiple_of(LINE), "{n} columns are no whole lines");
    if m == 0 || n == 0 {
        return;
    }
    let holds = |len, rows, row_stride, columns, column_stride| {
        rows == 0 || columns == 0 || (rows - 1) * row_stride + (columns - 1) * column_stride < len
    };
    assert!(stride >= n && holds(out.len(), m, stride, n, 1), "the output is smaller than [{m}, {n}]");
    assert!(holds(a.data.len(), m, a.row, k, a.term), "the left factor is smaller than [{m}, {k}]");
    assert!(holds(b.data.len(), k, b.stride, n, 1), "the right factor is smaller than [{k}, {n}]");
    vectors.run(Product { out, stride, a, b, m, k, n, accumulate });
}

/// A product whose shapes were checked by [`product`].
struct Product<'a> {
    out: &'a mut [f32],
    stride: usize,
    a: Factor<'a>,
    b: Rows<'a>,
    m: usize,
    k: usize,
    n: usize,
    accumulate: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    /// Tiles of 24 accumulators in 32 registers, or 12 in 16: as many as leave room for a row of `b` and an element of `a`.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut column = 0;
        while column < self.n {
            let n = (self.n - column) / S::F32_LANES;
            let registers = match n {
                1 => 1,
                _ if S::REGISTER_COUNT < 32 => 2,
                // Two tiles as wide as possible, not a wide and a narrow one.
                2 | 5 => {
                    if n == 2 {
                        2
                    } else {
                        3
                    }
                }
                3 | 6 => 3,
                _ => 4,
            };
            match registers {
                1 if S::REGISTER_COUNT < 32 => self.columns::<S, 8, 1>(simd, column),
                1 => self.columns::<S, 16, 1>(simd, column),
                2 if S::REGISTER_COUNT < 32 => self.columns::<S, 6, 2>(simd, column),
                2 => self.columns::<S, 12, 2>(simd, column),
                3 => self.columns::<S, 8, 3>(simd, column),
                _ => self.columns::<S, 6, 4>(simd, column),
            }
            column += registers * S::F32_LANES;
        }
    }
}

impl Product<'_> {
    /// `N` registers of columns from `column` on, `M` rows at a time.
    #[inline(always)]
    fn columns<S: Simd, const M: usize, const N: usize>(&mut self, simd: S, column: usize) {
        let mut row = 0;
        while row + M <= self.m {
            self.tile::<S, M, N>(simd, row, column);
            row += M;
        }
        if M > 8 && row + 8 <= self.m {
            self.tile::<S, 8, N>(simd, row, column);
            row += 8;
        }
        if row + 4 <= self.m {
            self.tile::<S, 4, N>(simd, row, column);
            row += 4;
        }
        if row + 2 <= self.m {
            self.tile::<S, 2, N>(simd, row, column);
            row += 2;
        }
        while row < self.m {
            self.tile::<S, 1, N>(simd, row, column);
            row += 1;
        }
    }

    /// `M` rows and `N` registers of columns.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(&mut self, simd: S, row: usize, column: usize) {
        debug_assert!(row + M <= self.m && column + N * S::F32_LANES <= self.n);
        if self.accumulate {
            // What is not there yet arrives while the sums are made.
            for (i, j) in (0..M).flat_map(|i| (0..(N * S::F32_LANES).div_ceil(LINE)).map(move |j| (i, j))) {
                prefetch_near(self.out.as_ptr().wrapping_add((row + i) * self.stride + column + j * LINE));
            }
        }
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let mut a = self.a.data.as_ptr().wrapping_add(row * self.a.row);
        let mut b = self.b.data.as_ptr().wrapping_add(column);
        for _ in 0..self.k {
            // SAFETY: The tile and the terms are inside of the factors, whose sizes `product` checked.
            unsafe {
                let b: [S::f32s; N] = std::array::from_fn(|j| b.cast::<S::f32s>().add(j).read_unaligned());
                for (i, sums) in sums.iter_mut().enumerate() {
                    let a = simd.splat_f32s(*a.add(i * self.a.row));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = simd.mul_add_e_f32s(a, b, *sum);
                    }
                }
            }
            a = a.wrapping_add(self.a.term);
            b = b.wrapping_add(self.b.stride);
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let out = self.out.as_mut_ptr().wrapping_add((row + i) * self.stride + column).cast::<S::f32s>();
            for (j, sum) in sums.into_iter().enumerate() {
                // SAFETY: The tile is inside of the output, whose size `product` checked.
                unsafe {
                    let place = out.add(j);
                    let before = || place.read_unaligned();
                    place.write_unaligned(if self.accumulate { simd.add_f32s(before(), sum) } else { sum });
                }
            }
        }
    }
}
