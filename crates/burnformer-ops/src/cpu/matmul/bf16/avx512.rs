//! The micro-kernel in `AVX512_BF16`: 14 rows times two registers of columns.

use std::arch::x86_64::*;

use super::super::{
    View,
    buffer::{Line, floats},
    frame::{Left, MicroKernel, Tile},
    lines::{multiply_add, registers_mut},
    tile::{CELL, Register, Rows, multiply},
};
use super::{DEPTH, pack};

const ROWS: usize = 14;

/// Elements of a register of sums.
const WORDS: usize = Line::WORDS;

const COLUMNS: usize = CELL * WORDS;

/// Terms of a chunk, at most.
const TERMS: usize = 1024;

/// Lines from one row to the next in a cell of rows whose steps are neighbours: one more than a chunk has, or the rows would
/// meet in one set of a cache.
const ROW_LINES: usize = TERMS / DEPTH / WORDS + 1;

/// Lines behind a cell, without which the same step of all cells would meet in one set of a cache.
const PAD: usize = 2;

#[derive(Clone, Copy)]
pub(in super::super) struct Avx512 {
    /// `true` if a cell of rows holds the steps of a row, then those of the next row, which takes no transposition where the
    /// terms of a row are neighbours. Otherwise it holds a line of rows for each step.
    by_rows: bool,
}

impl Avx512 {
    /// For a left factor.
    pub(in super::super) fn new(a: View) -> Self {
        Self { by_rows: a.column_stride() == 1 }
    }
}

impl MicroKernel for Avx512 {
    const ROWS: usize = ROWS;
    const COLUMNS: usize = COLUMNS;
    const TERMS: usize = TERMS;
    const UNIT: usize = DEPTH * WORDS;
    type Task = ();

    fn row_cell(self, terms: usize) -> usize {
        if self.by_rows { ROWS * ROW_LINES } else { terms.div_ceil(DEPTH).next_multiple_of(WORDS) + PAD }
    }

    fn column_cell(self, terms: usize) -> usize {
        terms.div_ceil(DEPTH).next_multiple_of(WORDS) * CELL + PAD
    }

    fn reads_in_place(self, _: View) -> bool {
        false
    }

    fn task(self) {}

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pack_rows(self, rows: View, height: usize, cell: usize, cells: &mut [Line]) {
        if self.by_rows {
            pack::by_lanes(rows, height, cell, registers_mut(cells), |lane, block| lane * ROW_LINES + block);
        } else {
            pack::by_steps::<1>(rows, height, cell, registers_mut(cells));
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pack_columns(self, columns: View, cell: usize, cells: &mut [Line]) {
        pack::by_steps::<CELL>(columns, COLUMNS, cell, registers_mut(cells));
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn multiply(self, tile: Tile, (): &mut ()) {
        let tile = Tile { terms: tile.terms.div_ceil(DEPTH), ..tile };
        let Left::Packed(cell) = tile.a else { unreachable!("rows are packed") };
        let distances = if self.by_rows { [ROW_LINES * WORDS, 1] } else { [1, WORDS] };
        let rows = Rows::new(floats(cell), [tile.rows, tile.terms], distances);
        // Few rows leave registers for more columns, so that sums need not wait for one another.
        // SAFETY: By the caller.
        unsafe {
            match tile.rows {
                1 => multiply::<Pairs, 1, 8>(&tile, rows),
                2 => multiply::<Pairs, 2, 8>(&tile, rows),
                3 => multiply::<Pairs, 3, 6>(&tile, rows),
                4 => multiply::<Pairs, 4, 4>(&tile, rows),
                5 => multiply::<Pairs, 5, 4>(&tile, rows),
                6 => multiply::<Pairs, 6, 4>(&tile, rows),
                7 => multiply::<Pairs, 7, 2>(&tile, rows),
                8 => multiply::<Pairs, 8, 2>(&tile, rows),
                9 => multiply::<Pairs, 9, 2>(&tile, rows),
                10 => multiply::<Pairs, 10, 2>(&tile, rows),
                11 => multiply::<Pairs, 11, 2>(&tile, rows),
                12 => multiply::<Pairs, 12, 2>(&tile, rows),
                13 => multiply::<Pairs, 13, 2>(&tile, rows),
                _ => multiply::<Pairs, ROWS, 2>(&tile, rows),
            }
        }
    }
}

/// Sixteen `f32`, or as factors as many pairs.
#[derive(Clone, Copy)]
struct Pairs(__m512);

impl Register for Pairs {
    const WORDS: usize = WORDS;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: By the caller, as in all functions below.
        Self(unsafe { Register::zero() })
    }

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        // SAFETY: By the caller.
        Self(unsafe { Register::splat(number) })
    }

    #[inline(always)]
    unsafe fn load(place: *const f32) -> Self {
        // SAFETY: By the caller.
        Self(unsafe { Register::load(place) })
    }

    #[inline(always)]
    unsafe fn load_first(place: *const f32, count: usize) -> Self {
        // SAFETY: By the caller.
        Self(unsafe { Register::load_first(place, count) })
    }

    #[inline(always)]
    unsafe fn store_first(self, place: *mut f32, count: usize) {
        // SAFETY: By the caller.
        unsafe { self.0.store_first(place, count) };
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: By the caller.
        Self(unsafe { self.0.add(other.0) })
    }

    #[inline(always)]
    unsafe fn multiply_add(self, by: Self, to: Self) -> Self {
        // SAFETY: By the caller.
        Self(unsafe { self.0.multiply_add(by.0, to.0) })
    }

    #[inline(always)]
    unsafe fn add_products(self, by: Self, to: Self) -> Self {
        // SAFETY: By the caller.
        Self(unsafe { multiply_add(_mm512_castps_si512(self.0), _mm512_castps_si512(by.0), to.0) })
    }
}
