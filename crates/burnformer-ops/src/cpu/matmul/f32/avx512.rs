//! The micro-kernel in AVX-512: 14 rows times two registers of columns.

use std::arch::x86_64::*;

use super::super::{
    View,
    buffer::{Line, floats_mut},
    frame::{MicroKernel, Tile},
    lines,
    tile::{CELL, Register, multiply},
};
use super::{RowFormat, pack, reads_in_place};

const ROWS: usize = 14;

/// Elements of a register.
const WORDS: usize = 16;

const COLUMNS: usize = CELL * WORDS;

/// Terms of a chunk, at most.
const TERMS: usize = 512;

/// From one row to the next in [`RowFormat::Rows`]: more than a chunk has, or the rows would meet in one set of a cache.
const ROW: usize = TERMS + WORDS;

/// Lines behind a cell, without which the same term of all cells would meet in one set of a cache.
const PAD: usize = 2;

#[derive(Clone, Copy)]
pub(in super::super) struct Avx512 {
    rows: RowFormat,
}

impl Avx512 {
    /// For a left factor.
    pub(in super::super) fn new(a: View) -> Self {
        Self { rows: RowFormat::of(a) }
    }
}

impl MicroKernel for Avx512 {
    const ROWS: usize = ROWS;
    const COLUMNS: usize = COLUMNS;
    const TERMS: usize = TERMS;
    const UNIT: usize = WORDS;

    fn row_cell(self, terms: usize) -> usize {
        match self.rows {
            RowFormat::Rows => ROWS * ROW / WORDS,
            RowFormat::Terms => (terms * ROWS).div_ceil(WORDS) + PAD,
        }
    }

    fn column_cell(self, terms: usize) -> usize {
        terms * CELL + PAD
    }

    type Task = ();

    fn task(self) {}

    fn reads_in_place(self, a: View) -> bool {
        reads_in_place(a)
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn pack_rows(self, rows: View, height: usize, cell: usize, cells: &mut [Line]) {
        let (cell, cells) = (cell * WORDS, floats_mut(cells));
        match self.rows {
            RowFormat::Rows => pack::lane_by_lane(rows, height, ROW, cell, cells),
            RowFormat::Terms => pack::term_by_term::<ROWS>(rows, height, cell, cells),
        }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn pack_columns(self, columns: View, cell: usize, cells: &mut [Line]) {
        let (cell, cells) = (cell * WORDS, floats_mut(cells));
        if columns.column_stride() == 1 {
            // SAFETY: `transpose` reads and writes blocks of 16.
            unsafe {
                pack::transposed::<COLUMNS, WORDS>(columns, cell, cells, |from, stride, to| {
                    transpose(from, stride, to);
                });
            }
        } else {
            pack::term_by_term::<COLUMNS>(columns, COLUMNS, cell, cells);
        }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn multiply(self, tile: Tile, (): &mut ()) {
        let rows = self.rows.rows(&tile, ROWS, ROW);
        // Few rows leave registers for more columns, so that sums need not wait for one another.
        // SAFETY: By the caller.
        unsafe {
            match tile.rows {
                1 => multiply::<__m512, 1, 8>(&tile, rows),
                2 => multiply::<__m512, 2, 8>(&tile, rows),
                3 => multiply::<__m512, 3, 6>(&tile, rows),
                4 => multiply::<__m512, 4, 4>(&tile, rows),
                5 => multiply::<__m512, 5, 4>(&tile, rows),
                6 => multiply::<__m512, 6, 4>(&tile, rows),
                7 => multiply::<__m512, 7, 2>(&tile, rows),
                8 => multiply::<__m512, 8, 2>(&tile, rows),
                9 => multiply::<__m512, 9, 2>(&tile, rows),
                10 => multiply::<__m512, 10, 2>(&tile, rows),
                11 => multiply::<__m512, 11, 2>(&tile, rows),
                12 => multiply::<__m512, 12, 2>(&tile, rows),
                13 => multiply::<__m512, 13, 2>(&tile, rows),
                _ => multiply::<__m512, ROWS, 2>(&tile, rows),
            }
        }
    }
}

/// 16 lanes of 16 terms become terms of lanes, [`COLUMNS`] apart.
///
/// # Safety
/// All those elements are there to read, and to write.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32) {
    let mut block = [lines::ZERO; WORDS];
    for (lane, line) in block.iter_mut().enumerate() {
        // SAFETY: By the caller.
        *line = unsafe { _mm512_loadu_si512(from.add(lane * stride).cast()) };
    }
    for (term, line) in lines::transpose(block).into_iter().enumerate() {
        // SAFETY: By the caller.
        unsafe { _mm512_storeu_si512(to.add(term * COLUMNS).cast(), line) };
    }
}

impl Register for __m512 {
    const WORDS: usize = WORDS;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: By the caller, as in all functions below.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        // SAFETY: By the caller.
        unsafe { _mm512_set1_ps(number) }
    }

    #[inline(always)]
    unsafe fn load(place: *const f32) -> Self {
        // SAFETY: By the caller.
        unsafe { _mm512_load_ps(place) }
    }

    #[inline(always)]
    unsafe fn load_first(place: *const f32, count: usize) -> Self {
        // SAFETY: By the caller; what is masked out is not read.
        unsafe { if count == WORDS { _mm512_loadu_ps(place) } else { _mm512_maskz_loadu_ps((1 << count) - 1, place) } }
    }

    #[inline(always)]
    unsafe fn store_first(self, place: *mut f32, count: usize) {
        // SAFETY: By the caller; what is masked out is not written.
        unsafe {
            if count == WORDS {
                _mm512_storeu_ps(place, self);
            } else {
                _mm512_mask_storeu_ps(place, (1 << count) - 1, self);
            }
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: By the caller.
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, by: Self, to: Self) -> Self {
        // SAFETY: By the caller.
        unsafe { _mm512_fmadd_ps(self, by, to) }
    }
}
