//! The micro-kernel in AVX2 with fused multiply-add: 6 rows times two registers of columns.

use std::arch::x86_64::*;

use super::super::{
    View,
    buffer::{Line, floats_mut},
    frame::{MicroKernel, Tile},
    tile::{CELL, Register, multiply},
};
use super::{RowFormat, pack, reads_in_place};

const ROWS: usize = 6;

/// Elements of a register.
const WORDS: usize = 8;

const COLUMNS: usize = CELL * WORDS;

/// Terms of a chunk, at most.
const TERMS: usize = 256;

/// From one row to the next in [`RowFormat::Rows`]: more than a chunk has, or the rows would meet in one set of a cache.
const ROW: usize = TERMS + Line::WORDS;

/// Lines behind a cell, without which the same term of all cells would meet in one set of a cache.
const PAD: usize = 2;

#[derive(Clone, Copy)]
pub(in super::super) struct Avx2 {
    rows: RowFormat,
}

impl Avx2 {
    /// For a left factor.
    pub(in super::super) fn new(a: View) -> Self {
        Self { rows: RowFormat::of(a) }
    }
}

impl MicroKernel for Avx2 {
    const ROWS: usize = ROWS;
    const COLUMNS: usize = COLUMNS;
    const TERMS: usize = TERMS;
    const UNIT: usize = Line::WORDS;

    fn row_cell(self, terms: usize) -> usize {
        match self.rows {
            RowFormat::Rows => ROWS * ROW / Line::WORDS,
            RowFormat::Terms => (terms * ROWS).div_ceil(Line::WORDS) + PAD,
        }
    }

    fn column_cell(self, terms: usize) -> usize {
        (terms * COLUMNS).div_ceil(Line::WORDS) + PAD
    }

    type Task = ();

    fn task(self) {}

    fn reads_in_place(self, a: View) -> bool {
        reads_in_place(a)
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn pack_rows(self, rows: View, height: usize, cell: usize, cells: &mut [Line]) {
        let (cell, cells) = (cell * Line::WORDS, floats_mut(cells));
        match self.rows {
            RowFormat::Rows => pack::lane_by_lane(rows, height, ROW, cell, cells),
            RowFormat::Terms => pack::term_by_term::<ROWS>(rows, height, cell, cells),
        }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn pack_columns(self, columns: View, cell: usize, cells: &mut [Line]) {
        let (cell, cells) = (cell * Line::WORDS, floats_mut(cells));
        if columns.column_stride() == 1 {
            // SAFETY: `transpose` reads and writes blocks of 8.
            unsafe {
                pack::transposed::<COLUMNS, WORDS>(columns, cell, cells, |from, stride, to| {
                    transpose(from, stride, to);
                });
            }
        } else {
            pack::term_by_term::<COLUMNS>(columns, COLUMNS, cell, cells);
        }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn multiply(self, tile: Tile, (): &mut ()) {
        let rows = self.rows.rows(&tile, ROWS, ROW);
        // Few rows leave registers for more columns, so that sums need not wait for one another.
        // SAFETY: By the caller.
        unsafe {
            match tile.rows {
                1 => multiply::<__m256, 1, 8>(&tile, rows),
                2 => multiply::<__m256, 2, 4>(&tile, rows),
                3 => multiply::<__m256, 3, 2>(&tile, rows),
                4 => multiply::<__m256, 4, 2>(&tile, rows),
                5 => multiply::<__m256, 5, 2>(&tile, rows),
                _ => multiply::<__m256, ROWS, 2>(&tile, rows),
            }
        }
    }
}

/// 8 lanes of 8 terms become terms of lanes, [`COLUMNS`] apart.
///
/// # Safety
/// All those elements are there to read, and to write.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32) {
    // SAFETY: By the caller.
    unsafe {
        let row = |lane: usize| _mm256_loadu_ps(from.add(lane * stride));
        let pair = |lane: usize| {
            let (x, y) = (row(lane), row(lane + 1));
            [_mm256_unpacklo_ps(x, y), _mm256_unpackhi_ps(x, y)].map(|words| _mm256_castps_pd(words))
        };
        // Words change places inside of pairs of lanes, pairs of words inside of four lanes, then halves of registers.
        let four = |lane: usize| {
            let ([low, high], [next_low, next_high]) = (pair(lane), pair(lane + 2));
            [
                _mm256_unpacklo_pd(low, next_low),
                _mm256_unpackhi_pd(low, next_low),
                _mm256_unpacklo_pd(high, next_high),
                _mm256_unpackhi_pd(high, next_high),
            ]
        };
        for (term, (x, y)) in four(0).into_iter().zip(four(4)).enumerate() {
            let (x, y) = (_mm256_castpd_ps(x), _mm256_castpd_ps(y));
            _mm256_storeu_ps(to.add(term * COLUMNS), _mm256_permute2f128_ps::<0x20>(x, y));
            _mm256_storeu_ps(to.add((term + 4) * COLUMNS), _mm256_permute2f128_ps::<0x31>(x, y));
        }
    }
}

/// All bits of the first `count` words of 8.
#[inline(always)]
unsafe fn mask(count: usize) -> __m256i {
    const MASKS: [i32; 2 * WORDS] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: The instruction by the caller; 8 words from here on are there.
    unsafe { _mm256_loadu_si256(MASKS[WORDS - count..][..WORDS].as_ptr().cast()) }
}

impl Register for __m256 {
    const WORDS: usize = WORDS;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: By the caller, as in all functions below.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        // SAFETY: By the caller.
        unsafe { _mm256_set1_ps(number) }
    }

    #[inline(always)]
    unsafe fn load(place: *const f32) -> Self {
        // SAFETY: By the caller.
        unsafe { _mm256_load_ps(place) }
    }

    #[inline(always)]
    unsafe fn load_first(place: *const f32, count: usize) -> Self {
        // SAFETY: By the caller; what is masked out is not read.
        unsafe { if count == WORDS { _mm256_loadu_ps(place) } else { _mm256_maskload_ps(place, mask(count)) } }
    }

    #[inline(always)]
    unsafe fn store_first(self, place: *mut f32, count: usize) {
        // SAFETY: By the caller; what is masked out is not written.
        unsafe {
            if count == WORDS {
                _mm256_storeu_ps(place, self);
            } else {
                _mm256_maskstore_ps(place, mask(count), self);
            }
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: By the caller.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, by: Self, to: Self) -> Self {
        // SAFETY: By the caller.
        unsafe { _mm256_fmadd_ps(self, by, to) }
    }
}
