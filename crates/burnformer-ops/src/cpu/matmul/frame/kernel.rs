//! What a micro-kernel is, and what it gets.

use super::super::{View, buffer::Line, target::Target};

/// A micro-kernel: the size of its tile, how it wants both factors packed, and how a tile of the product is made of them.
///
/// A panel is [`Self::ROWS`] rows of the left factor, or [`Self::COLUMNS`] columns of the right one; what it has of a chunk
/// is a cell, some lines of memory.
pub(in super::super) trait MicroKernel: Copy + Sync {
    const ROWS: usize;
    const COLUMNS: usize;

    /// Terms of a chunk, at most; a multiple of [`Self::UNIT`].
    const TERMS: usize;

    /// Terms of all chunks but the last are a multiple of it.
    const UNIT: usize;

    /// Lines of a cell for `terms`.
    fn row_cell(self, terms: usize) -> usize;

    /// [`Self::row_cell`] of a panel of columns.
    fn column_cell(self, terms: usize) -> usize;

    /// `true` if the kernel reads the left factor where it is, so that its rows are not packed.
    fn reads_in_place(self, a: View) -> bool;

    /// Packs rows, `[rows, terms]`, into cells of some lines each, `height` of them at most into a cell.
    ///
    /// # Safety
    /// The processor has the kernel's instructions.
    unsafe fn pack_rows(self, rows: View, height: usize, cell: usize, cells: &mut [Line]);

    /// Packs columns, given as the rows of their transpose, `[columns, terms]`. Columns that are missing in the last panel are
    /// zeros.
    ///
    /// # Safety
    /// As for [`Self::pack_rows`].
    unsafe fn pack_columns(self, columns: View, cell: usize, cells: &mut [Line]);

    /// What the kernel needs on the thread of a task.
    type Task;

    /// Called when a task begins; until it ends, its thread does nothing else.
    fn task(self) -> Self::Task;

    /// Multiplies a cell of rows with neighbouring cells of columns.
    ///
    /// # Safety
    /// The processor has the kernel's instructions. The output is the place of the tile's rows and columns, which nobody else
    /// reads or writes.
    unsafe fn multiply(self, tile: Tile, task: &mut Self::Task);
}

/// What a panel of rows has of a chunk.
#[derive(Clone, Copy)]
pub(in super::super) enum Left<'a> {
    Packed(&'a [Line]),
    /// `[rows, terms]`
    InPlace(View<'a>),
}

/// A part of the output as high as one panel, and the cells that it is the product of.
pub(in super::super) struct Tile<'a> {
    pub(in super::super) a: Left<'a>,
    /// One cell or several, each of `b_cell` lines.
    pub(in super::super) b: &'a [Line],
    pub(in super::super) b_cell: usize,
    pub(in super::super) terms: usize,
    /// Where the first element goes.
    pub(in super::super) out: Target,
    /// At most [`MicroKernel::ROWS`].
    pub(in super::super) rows: usize,
    /// At most [`MicroKernel::COLUMNS`] for each cell of `b`.
    pub(in super::super) columns: usize,
    pub(in super::super) alpha: f32,
    pub(in super::super) accumulate: bool,
    /// As many elements as there are columns.
    pub(in super::super) bias: Option<&'a [f32]>,
}

#[cfg(target_arch = "x86_64")]
impl Tile<'_> {
    /// Fetches what is not there yet of some columns of the output; it arrives while the sums are made.
    #[inline(always)]
    pub(in super::super) fn prefetch(&self, column: usize, columns: usize) {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        if self.out.column_stride != 1 {
            return;
        }
        for row in 0..self.rows {
            for line in 0..columns.div_ceil(Line::WORDS) {
                let place = self.out.element(row, column).wrapping_add(line * Line::WORDS);
                // SAFETY: Every processor with AVX has the instruction, which does not read what is not there.
                unsafe { _mm_prefetch::<_MM_HINT_ET0>(place.cast()) };
            }
        }
    }
}
