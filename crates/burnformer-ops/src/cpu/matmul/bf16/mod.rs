//! Products of bfloat16 by kernels of our own, in the frame of Goto and van de Geijn 2008 ("Anatomy of high-performance
//! matrix multiplication"): both factors are packed into panels, and a kernel multiplies a panel of rows with a panel
//! of columns in registers.
//!
//! The smaller factor is packed once for all threads, the larger one by the tasks, a block at a time.

mod buffer;
mod layout;
mod operand;
mod tile;

use std::ops::Range;

use rayon::prelude::*;

use self::{
    buffer::Buffer,
    layout::{COLUMNS, rows},
    operand::{Operand, Steps},
    tile::Tile,
};
use super::amx::{Sums, Tiles};
use super::lines::{self, Line};
use super::{Scale, View, ViewMut};
use crate::cpu::processor::Bf16Kernel;

/// Panels of the larger factor in a block: what is packed of it fits into a quarter of a second-level cache.
const BLOCK_PANELS: usize = 4;

/// Lines of the smaller factor that are packed at a time, 8 MiB.
const SHARED_LINES: usize = 1 << 17;

/// Tasks per thread, so that a thread that was held up does not hold up the others for long.
const TASKS_PER_THREAD: usize = 4;

/// The product of [`super::matmul`], with shapes checked there.
///
/// # Panics
/// If the processor lacks the kernel's instructions.
pub(super) fn product(mut out: ViewMut, a: View, b: View, scale: Scale, parallel: bool, kernel: Bf16Kernel) {
    assert!(kernel.is_supported(), "this processor does not multiply bfloat16 by {kernel:?}");
    let steps = Steps::new(a.columns(), kernel);
    let rows = Operand::rows(a, steps, kernel);
    let columns = Operand::columns(b, steps);
    let target = Target { start: out.start(), row_stride: out.row_stride(), column_stride: out.column_stride() };
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    let shared_is_columns = rows.lanes() >= columns.lanes();
    Product { kernel, steps, shared_is_columns, rows, columns, target, scale }.run(threads);
}

struct Product<'a> {
    kernel: Bf16Kernel,
    steps: Steps,
    rows: Operand<'a>,
    columns: Operand<'a>,
    /// `true` if `columns` is the smaller factor.
    shared_is_columns: bool,
    target: Target,
    scale: Scale<'a>,
}

impl Product<'_> {
    fn run(&self, threads: usize) {
        let (shared, local) = self.shared_and_local();
        let slab = (SHARED_LINES / (shared.cell() * self.steps.chunks())).clamp(1, shared.panels());
        let block = local.panels().div_ceil(threads * TASKS_PER_THREAD).min(BLOCK_PANELS);
        let blocks = local.panels().div_ceil(block);
        // An iterator that must not be split runs on the calling thread.
        let least = if threads > 1 { 1 } else { usize::MAX };
        for first in (0..shared.panels()).step_by(slab) {
            let panels = first..(first + slab).min(shared.panels());
            let mut packed = Buffer::take(self.steps.chunks() * panels.len() * shared.cell());
            let chunks = packed.par_chunks_mut(panels.len() * shared.cell()).with_min_len(least).enumerate();
            chunks.for_each(|(chunk, cells)| {
                let blocks = cells.par_chunks_mut(BLOCK_PANELS * shared.cell()).with_min_len(least).enumerate();
                blocks.for_each(|(number, cells)| shared.pack(first + number * BLOCK_PANELS, chunk, cells));
            });
            // With few blocks the other dimension is cut too, at the price of packing a block more than once.
            let part = panels.len().div_ceil((threads * TASKS_PER_THREAD / 2).div_ceil(blocks));
            let parts = panels.len().div_ceil(part);
            (0..blocks * parts).into_par_iter().with_min_len(least).with_max_len(1).for_each(|task| {
                let local_panels = nth(0..local.panels(), block, task / parts);
                let shared_panels = nth(panels.clone(), part, task % parts);
                self.block(&packed, panels.clone(), shared_panels, local_panels);
            });
        }
    }

    fn shared_and_local(&self) -> (&Operand<'_>, &Operand<'_>) {
        if self.shared_is_columns { (&self.columns, &self.rows) } else { (&self.rows, &self.columns) }
    }

    /// The output where some of the `packed_panels` meet some panels of the other factor.
    fn block(
        &self,
        packed: &[Line],
        packed_panels: Range<usize>,
        shared_panels: Range<usize>,
        local_panels: Range<usize>,
    ) {
        let (shared, local) = self.shared_and_local();
        // From here on this thread does nothing else.
        let mut unit = (self.kernel == Bf16Kernel::Amx).then(|| (Tiles::configure(), Sums::zero()));
        let mut block = Buffer::take(local_panels.len() * local.cell());
        for (chunk, packed) in packed.chunks_exact(packed_panels.len() * shared.cell()).enumerate() {
            local.pack(local_panels.start, chunk, &mut block);
            for shared_panel in shared_panels.clone() {
                let shared_cell = &packed[(shared_panel - packed_panels.start) * shared.cell()..][..shared.cell()];
                for (local_panel, local_cell) in local_panels.clone().zip(block.chunks_exact(local.cell())) {
                    if self.shared_is_columns {
                        self.tile(unit.as_mut(), [local_panel, shared_panel], [local_cell, shared_cell], chunk);
                    } else {
                        self.tile(unit.as_mut(), [shared_panel, local_panel], [shared_cell, local_cell], chunk);
                    }
                }
            }
        }
    }

    /// Where a panel of rows meets one of columns, of which these are the cells.
    fn tile(&self, unit: Option<&mut (Tiles, Sums<f32>)>, panels: [usize; 2], [a, b]: [&[Line]; 2], chunk: usize) {
        let panel_rows = rows(self.kernel);
        let (row, column) = (panels[0] * panel_rows, panels[1] * COLUMNS);
        let columns = COLUMNS.min(self.columns.lanes() - column);
        let first = chunk == 0;
        let tile = Tile {
            a,
            a_format: self.rows.format(),
            b,
            steps: self.steps.in_chunk(chunk),
            // SAFETY: the element is inside of the output, since both panels are.
            out: unsafe { self.target.start.add(row * self.target.row_stride + column * self.target.column_stride) },
            row_stride: self.target.row_stride,
            column_stride: self.target.column_stride,
            rows: panel_rows.min(self.rows.lanes() - row),
            columns,
            alpha: self.scale.alpha,
            accumulate: self.scale.accumulate || !first,
            bias: self.scale.bias.filter(|_| first).map(|bias| &bias[column..column + columns]),
        };
        // SAFETY: the processor has the instructions, which `product` asserts. The tile is inside of the output, and
        // no other task has both of its panels.
        unsafe {
            match unit {
                Some((tiles, sums)) => tile.multiply_by_tiles(tiles, sums),
                None => tile.multiply(),
            }
        }
    }
}

/// The part with a number of a range that is cut into parts of some length.
fn nth(range: Range<usize>, length: usize, number: usize) -> Range<usize> {
    let start = range.start + number * length;
    start..(start + length).min(range.end)
}

/// Where the product goes.
struct Target {
    start: *mut f32,
    row_stride: usize,
    column_stride: usize,
}

// SAFETY: each task writes the elements where its panels of rows and of columns meet, which no other one does, and
// the borrow of the output outlives the tasks.
unsafe impl Sync for Target {}
