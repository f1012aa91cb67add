//! How factors are cut into panels, and the terms of their sums into chunks.

use std::ops::Range;

use rayon::prelude::*;

use super::super::{View, buffer::Line};
use super::kernel::MicroKernel;

/// Lines of the larger factor in a block, 256 KiB, which stay in a second-level cache.
const BLOCK_LINES: usize = 1 << 12;

/// How the terms of a sum are cut.
#[derive(Clone, Copy)]
pub(super) struct Chunks {
    terms: usize,
    longest: usize,
}

impl Chunks {
    pub(super) fn new<K: MicroKernel>(terms: usize) -> Self {
        let count = terms.div_ceil(K::TERMS).max(1);
        Self { terms, longest: terms.div_ceil(count).next_multiple_of(K::UNIT).max(K::UNIT) }
    }

    /// At least one: the output is written without any terms too.
    pub(super) fn count(self) -> usize {
        self.terms.div_ceil(self.longest).max(1)
    }

    pub(super) fn nth(self, number: usize) -> Range<usize> {
        nth(0..self.terms, self.longest, number)
    }
}

/// A factor that is cut into panels: its lanes are rows of the left factor or columns of the right one.
#[derive(Clone, Copy)]
pub(super) struct Panels<K> {
    pub(super) kernel: K,
    pub(super) are_columns: bool,
    /// `true` for rows that are not packed.
    pub(super) in_place: bool,
    pub(super) lanes: usize,
    pub(super) chunks: Chunks,
}

impl<K: MicroKernel> Panels<K> {
    /// Lanes of a panel; fewer rows than it has place for where they are then equally many in all panels.
    pub(super) fn lanes_of_one(self) -> usize {
        if self.are_columns { K::COLUMNS } else { self.lanes.div_ceil(self.lanes.div_ceil(K::ROWS)) }
    }

    pub(super) fn count(self) -> usize {
        self.lanes.div_ceil(self.lanes_of_one())
    }

    /// Lines of a cell, for any chunk; 0 where none is packed.
    pub(super) fn cell(self) -> usize {
        let terms = self.chunks.longest.min(self.chunks.terms);
        if self.in_place {
            0
        } else if self.are_columns {
            self.kernel.column_cell(terms)
        } else {
            self.kernel.row_cell(terms)
        }
    }

    /// Panels of a block.
    pub(super) fn block(self) -> usize {
        let row = if self.in_place { self.lanes_of_one() * self.chunks.longest / Line::WORDS } else { self.cell() };
        (BLOCK_LINES / row).max(1)
    }

    pub(super) fn all(self) -> Slab {
        Slab { panels: 0..self.count(), chunks: 0..self.chunks.count() }
    }

    /// Fills cells of a chunk, if there are, from panel `first` on; `lanes` is the whole factor, `[lanes, terms]`.
    ///
    /// # Safety
    /// The processor has the kernel's instructions.
    pub(super) unsafe fn pack(self, lanes: View, first: usize, chunk: usize, cells: &mut [Line]) {
        if self.in_place {
            return;
        }
        let start = first * self.lanes_of_one();
        let end = self.lanes.min(start + cells.len() / self.cell() * self.lanes_of_one());
        let part = lanes.part(start..end, self.chunks.nth(chunk));
        // SAFETY: By the caller.
        unsafe {
            if self.are_columns {
                self.kernel.pack_columns(part, self.cell(), cells);
            } else {
                self.kernel.pack_rows(part, self.lanes_of_one(), self.cell(), cells);
            }
        }
    }

    /// Some panels for some chunks, one chunk after another, packed by several threads.
    ///
    /// # Safety
    /// As for [`Self::pack`].
    pub(super) unsafe fn pack_all(self, lanes: View, slab: &Slab, lines: &mut [Line], threads: usize) {
        if lines.is_empty() {
            return;
        }
        let (least, block) = (least(threads), self.block());
        let chunks = lines.par_chunks_mut(slab.panels.len() * self.cell()).with_min_len(least).enumerate();
        chunks.for_each(|(chunk, cells)| {
            let blocks = cells.par_chunks_mut(block * self.cell()).with_min_len(least).enumerate();
            // SAFETY: By the caller.
            blocks.for_each(|(number, cells)| unsafe {
                self.pack(lanes, slab.panels.start + number * block, slab.chunks.start + chunk, cells);
            });
        });
    }
}

/// Panels of the smaller factor, and chunks of them, that are packed at a time.
#[derive(Clone)]
pub(super) struct Slab {
    pub(super) panels: Range<usize>,
    pub(super) chunks: Range<usize>,
}

impl Slab {
    pub(super) fn lines(&self, cell: usize) -> usize {
        self.chunks.len() * self.panels.len() * cell
    }
}

/// Fewest tasks for a thread: an iterator that must not be split runs on the calling thread.
pub(super) fn least(threads: usize) -> usize {
    if threads > 1 { 1 } else { usize::MAX }
}

/// The part with a number of a range that is cut into parts of some length.
pub(super) fn nth(range: Range<usize>, length: usize, number: usize) -> Range<usize> {
    let start = range.start + number * length;
    start..(start + length).min(range.end)
}
