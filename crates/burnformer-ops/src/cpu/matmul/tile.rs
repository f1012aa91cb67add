//! The micro-kernel, for registers of any width. Its functions are inlined into one with the instructions.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::hint::black_box;

use super::{
    buffer::{Line, floats},
    frame::Tile,
};

/// Registers that a cell of columns has for each term.
pub(super) const CELL: usize = 2;

/// Rows, at most, that are so few that columns may not have been read before, and how far ahead those are then fetched, in elements.
const FEW: usize = 12;
const AHEAD: usize = 1 << 10;

/// A register of some `f32`.
///
/// # Safety
/// All functions need a processor that has the instructions.
pub(super) trait Register: Copy {
    /// Elements.
    const WORDS: usize;

    unsafe fn zero() -> Self;

    /// One number in all elements.
    unsafe fn splat(number: f32) -> Self;

    /// As many elements as a register has, from an address that is a multiple of its size.
    unsafe fn load(place: *const f32) -> Self;

    /// The first elements, at most as many as there are; zeros behind them.
    unsafe fn load_first(place: *const f32, count: usize) -> Self;

    /// Writes the first elements, at most as many as there are.
    unsafe fn store_first(self, place: *mut f32, count: usize);

    unsafe fn add(self, other: Self) -> Self;

    /// `self * by + to`
    unsafe fn multiply_add(self, by: Self, to: Self) -> Self;

    /// The same for words of two cells, which are not `f32` in all kernels.
    #[inline(always)]
    unsafe fn add_products(self, by: Self, to: Self) -> Self {
        // SAFETY: By the caller.
        unsafe { self.multiply_add(by, to) }
    }
}

/// Where the kernel finds the elements of some rows: they are `row` apart, and their terms `term`.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    start: *const f32,
    row: usize,
    term: usize,
}

impl Rows {
    /// # Panics
    /// If there are fewer than `rows` of `terms` in the memory.
    pub(super) fn new(memory: &[f32], [rows, terms]: [usize; 2], [row, term]: [usize; 2]) -> Self {
        assert!(terms == 0 || (rows - 1) * row + (terms - 1) * term < memory.len(), "rows beyond their memory");
        Self { start: memory.as_ptr(), row, term }
    }
}

/// A tile of `N` rows, `W` registers of columns at a time.
///
/// # Safety
/// As for [`MicroKernel::multiply`](super::frame::MicroKernel::multiply), and `rows` has as many rows and terms as the tile.
#[inline(always)]
pub(super) unsafe fn multiply<R: Register, const N: usize, const W: usize>(tile: &Tile, rows: Rows) {
    let cell = tile.b_cell * Line::WORDS;
    assert!(cell >= tile.terms * CELL * R::WORDS);
    let (mut rest, mut column) = (floats(tile.b), 0);
    while !rest.is_empty() {
        // SAFETY: By the caller; cells have as many elements as are read, by the assertion.
        unsafe {
            if let Some((_, behind)) = rest.split_at_checked(W / CELL * cell) {
                let sums = sums::<R, N, W>(tile, column, rows, rest.as_ptr(), cell);
                write(tile, column, &sums);
                (rest, column) = (behind, column + W * R::WORDS);
            } else {
                let sums = sums::<R, N, CELL>(tile, column, rows, rest.as_ptr(), cell);
                write(tile, column, &sums);
                (rest, column) = (&rest[cell..], column + CELL * R::WORDS);
            }
        }
    }
}

/// The sums for `N` rows and `W` registers of columns.
///
/// # Safety
/// There are as many rows and cells, each with the terms of the tile.
#[inline(always)]
unsafe fn sums<R: Register, const N: usize, const W: usize>(
    tile: &Tile,
    column: usize,
    rows: Rows,
    mut b: *const f32,
    cell: usize,
) -> [[R; W]; N] {
    if N > 2 {
        tile.prefetch(column, W * R::WORDS);
    }
    // SAFETY: By the caller.
    unsafe {
        let mut sums = [[R::zero(); W]; N];
        // A pointer for three rows: once and twice the distance are part of an address. The compiler, if it knew how the pointers
        // are related, would take one that walks from row to row, and each row would wait for the one before.
        let mut starts = [rows.start; 5];
        for (number, start) in starts.iter_mut().enumerate().take(N.div_ceil(3)) {
            *start = black_box(start.wrapping_add(3 * number * rows.row));
        }
        for _ in 0..tile.terms {
            if N > 2 && N <= FEW {
                for register in 0..W {
                    let place = b.wrapping_add(register / CELL * cell + register % CELL * R::WORDS + AHEAD);
                    _mm_prefetch::<_MM_HINT_T0>(place.cast());
                }
            }
            let mut columns = [R::zero(); W];
            for (register, columns) in columns.iter_mut().enumerate() {
                *columns = R::load(b.add(register / CELL * cell + register % CELL * R::WORDS));
            }
            // Written out, since the compiler would put the sums of a loop of so many rows into memory.
            macro_rules! add_products {
                ($($row:literal)*) => {
                    $(if $row < N {
                        let element = R::splat(*starts[$row / 3].add($row % 3 * rows.row));
                        for (sum, columns) in sums[$row].iter_mut().zip(columns) {
                            *sum = element.add_products(columns, *sum);
                        }
                    })*
                };
            }
            add_products!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
            // The last step may lead out of a cell, where nothing is read.
            starts.iter_mut().for_each(|start| *start = start.wrapping_add(rows.term));
            b = b.wrapping_add(CELL * R::WORDS);
        }
        sums
    }
}

/// Puts sums where they belong, from a column of the tile on.
///
/// # Safety
/// As for [`multiply`].
#[inline(always)]
pub(super) unsafe fn write<R: Register, const N: usize, const W: usize>(
    tile: &Tile,
    column: usize,
    sums: &[[R; W]; N],
) {
    // SAFETY: By the caller.
    unsafe {
        if tile.out.column_stride != 1 || tile.columns < column + W * R::WORDS {
            write_some(tile, column, sums);
        } else if tile.accumulate {
            write_all(tile, column, sums, |place, bias| R::load_first(place, R::WORDS).add(bias));
        } else {
            write_all(tile, column, sums, |_, bias| bias);
        }
    }
}

/// [`write`] of whole registers to neighbouring places, without a loop that would put sums into memory first. `base` is what is
/// added at a place with a bias.
///
/// # Safety
/// As for [`multiply`].
#[inline(always)]
unsafe fn write_all<R: Register, const N: usize, const W: usize>(
    tile: &Tile,
    column: usize,
    sums: &[[R; W]; N],
    base: impl Fn(*const f32, R) -> R,
) {
    // SAFETY: By the caller.
    unsafe {
        let alpha = R::splat(tile.alpha);
        let mut biases = [R::zero(); W];
        if let Some(bias) = tile.bias {
            for (register, place) in biases.iter_mut().enumerate() {
                *place = R::load_first(bias[column + register * R::WORDS..][..R::WORDS].as_ptr(), R::WORDS);
            }
        }
        let mut place = tile.out.element(0, column);
        for sums in sums {
            for register in 0..W {
                let place = place.wrapping_add(register * R::WORDS);
                alpha.multiply_add(sums[register], base(place, biases[register])).store_first(place, R::WORDS);
            }
            place = place.wrapping_add(tile.out.row_stride);
        }
    }
}

/// [`write`] of anything.
///
/// # Safety
/// As for [`multiply`].
#[inline(always)]
unsafe fn write_some<R: Register, const N: usize, const W: usize>(tile: &Tile, column: usize, sums: &[[R; W]; N]) {
    // SAFETY: By the caller, what is read and written is inside of the tile, or of the bias.
    unsafe {
        let alpha = R::splat(tile.alpha);
        for register in 0..W {
            let first = column + register * R::WORDS;
            let count = R::WORDS.min(tile.columns.saturating_sub(first));
            if count == 0 {
                break;
            }
            let bias = tile.bias.map_or(R::zero(), |bias| R::load_first(bias[first..].as_ptr(), count));
            for (row, sums) in sums.iter().enumerate() {
                let place = tile.out.element(row, first);
                if tile.out.column_stride == 1 {
                    let base = if tile.accumulate { R::load_first(place, count).add(bias) } else { bias };
                    alpha.multiply_add(sums[register], base).store_first(place, count);
                } else {
                    scatter(tile, place, count, alpha.multiply_add(sums[register], bias));
                }
            }
        }
    }
}

/// The first elements of a register, to places that are no neighbours.
///
/// # Safety
/// The places are inside of the tile.
#[inline(always)]
unsafe fn scatter<R: Register>(tile: &Tile, place: *mut f32, count: usize, values: R) {
    let mut elements = [0.0; Line::WORDS];
    // SAFETY: A register is a line at most; the places by the caller.
    unsafe {
        values.store_first(elements.as_mut_ptr(), R::WORDS);
        for (column, value) in elements.into_iter().enumerate().take(count) {
            let place = &mut *place.add(column * tile.out.column_stride);
            *place = if tile.accumulate { *place + value } else { value };
        }
    }
}
