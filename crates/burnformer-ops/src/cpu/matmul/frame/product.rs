//! The tasks of a product, each a block of the output, and the tiles of a block.

use std::ops::Range;

use rayon::prelude::*;

use super::super::{
    Scale, View, ViewMut,
    buffer::{Buffer, Line},
    target::Target,
};
use super::kernel::{Left, MicroKernel, Tile};
use super::panels::{Chunks, Panels, Slab, least, nth};

/// Tasks per thread, so that a thread that was held up does not hold up the others for long.
const TASKS_PER_THREAD: usize = 4;

/// A product without segments.
pub(super) struct Product<'a, K> {
    kernel: K,
    pub(super) chunks: Chunks,
    rows: Panels<K>,
    pub(super) columns: Panels<K>,
    a: View<'a>,
    target: Target,
    scale: Scale<'a>,
}

impl<'a, K: MicroKernel> Product<'a, K> {
    pub(super) fn new(kernel: K, mut out: ViewMut, a: View<'a>, columns: usize, scale: Scale<'a>) -> Self {
        let chunks = Chunks::new::<K>(a.columns());
        let rows = Panels { kernel, are_columns: false, in_place: kernel.reads_in_place(a), lanes: a.rows(), chunks };
        let columns = Panels { are_columns: true, in_place: false, lanes: columns, ..rows };
        Self { kernel, chunks, rows, columns, a, target: Target::new(&mut out), scale }
    }

    pub(super) fn panels(&self, columns: bool) -> Panels<K> {
        if columns { self.columns } else { self.rows }
    }

    /// The output where the packed panels of one factor meet the other factor, which the tasks pack.
    ///
    /// # Safety
    /// The processor has the kernel's instructions.
    pub(super) unsafe fn tasks(
        &self,
        shared_is_columns: bool,
        packed: &[Line],
        slab: &Slab,
        local: View,
        threads: usize,
    ) {
        let panels = self.panels(!shared_is_columns);
        let block = panels.count().div_ceil(threads * TASKS_PER_THREAD).min(panels.block());
        let blocks = panels.count().div_ceil(block);
        // With few blocks the other dimension is cut too, at the price of packing a block more than once.
        let wanted = if threads > 1 { threads * TASKS_PER_THREAD / 2 } else { 1 };
        let part = slab.panels.len().div_ceil(wanted.div_ceil(blocks));
        let parts = slab.panels.len().div_ceil(part);
        (0..blocks * parts).into_par_iter().with_min_len(least(threads)).with_max_len(1).for_each(|task| {
            let block = Block {
                shared_is_columns,
                packed,
                slab,
                shared_panels: nth(slab.panels.clone(), part, task % parts),
                local_panels: nth(0..panels.count(), block, task / parts),
            };
            // SAFETY: By the caller; no other task has panels of both factors that this one has.
            unsafe { self.block(block, local) };
        });
    }

    /// # Safety
    /// The processor has the kernel's instructions, and nobody else reads or writes this part of the output.
    unsafe fn block(&self, block: Block, local: View) {
        let (panels, shared) = (self.panels(!block.shared_is_columns), self.panels(block.shared_is_columns));
        let mut task = self.kernel.task();
        let mut buffer = Buffer::take(block.local_panels.len() * panels.cell());
        let first = block.shared_panels.start - block.slab.panels.start;
        for chunk in block.slab.chunks.clone() {
            // SAFETY: By the caller.
            unsafe { panels.pack(local, block.local_panels.start, chunk, &mut buffer) };
            let start = (chunk - block.slab.chunks.start) * block.slab.panels.len() + first;
            let packed = &block.packed[start * shared.cell()..][..block.shared_panels.len() * shared.cell()];
            let (rows, row_cells, columns, column_cells) = if block.shared_is_columns {
                (&block.local_panels, &buffer[..], &block.shared_panels, packed)
            } else {
                (&block.shared_panels, packed, &block.local_panels, &buffer[..])
            };
            // SAFETY: By the caller.
            let mut multiply = |row, column, b| unsafe {
                self.multiply(&mut task, chunk, row, self.left(chunk, row, row - rows.start, row_cells), column, b);
            };
            if rows.len() == 1 || !block.shared_is_columns {
                rows.clone().for_each(|row| multiply(row, columns.start, column_cells));
                continue;
            }
            // A panel of columns stays in the first-level cache for some panels of rows.
            for (column, b) in columns.clone().zip(column_cells.chunks_exact(shared.cell())) {
                rows.clone().for_each(|row| multiply(row, column, b));
            }
        }
    }

    /// A panel of rows, whose cell has a number among `cells`.
    fn left<'c>(&'c self, chunk: usize, panel: usize, number: usize, cells: &'c [Line]) -> Left<'c> {
        if self.rows.in_place {
            let rows = nth(0..self.rows.lanes, self.rows.lanes_of_one(), panel);
            Left::InPlace(self.a.part(rows, self.chunks.nth(chunk)))
        } else {
            Left::Packed(&cells[number * self.rows.cell()..][..self.rows.cell()])
        }
    }

    /// A cell of rows times neighbouring cells of columns.
    ///
    /// # Safety
    /// As for [`Self::block`].
    unsafe fn multiply(
        &self,
        task: &mut K::Task,
        chunk: usize,
        row_panel: usize,
        a: Left,
        column_panel: usize,
        b: &[Line],
    ) {
        let height = self.rows.lanes_of_one();
        let (row, column, b_cell) = (row_panel * height, column_panel * K::COLUMNS, self.columns.cell());
        let columns = (b.len() / b_cell * K::COLUMNS).min(self.columns.lanes - column);
        let first = chunk == 0;
        let tile = Tile {
            a,
            b,
            b_cell,
            terms: self.chunks.nth(chunk).len(),
            out: self.target.at(row, column),
            rows: height.min(self.rows.lanes - row),
            columns,
            alpha: self.scale.alpha,
            accumulate: self.scale.accumulate || !first,
            bias: self.scale.bias.filter(|_| first).map(|bias| &bias[column..column + columns]),
        };
        // SAFETY: By the caller. The tile is inside of the output, since all panels are.
        unsafe { self.kernel.multiply(tile, task) };
    }
}

/// The part of a product that a task makes.
struct Block<'a> {
    shared_is_columns: bool,
    packed: &'a [Line],
    slab: &'a Slab,
    /// Some of the packed ones.
    shared_panels: Range<usize>,
    /// Those that the task packs.
    local_panels: Range<usize>,
}
