//! A factor and how it is cut and packed: its lanes (rows of `a`, columns of `b`) into panels, its `k` into chunks.
//! What a panel has of a chunk is a cell.

use super::{
    super::{View, amx::ROW_BLOCK_LINES},
    layout::{COLUMNS, Format, LANE_LINES, chunk, rows},
    lines::{Line, WORDS, ZERO, load, pairs, prefetch, transpose, zip},
};
use crate::cpu::processor::Bf16Kernel;

/// Elements that a lane has in a word.
const DEPTH: usize = 2;

/// Lines behind a cell of [`Format::Steps`], without which the same step of all cells would meet in one set of a cache.
const PAD_LINES: usize = 2;

/// How far ahead of packing memory is fetched, in elements of a lane.
const AHEAD: usize = 16;

/// The same for [`Format::Tiles`], whose lanes are read by turns: two turns.
const AHEAD_OF_TILE: usize = 2 * WORDS * DEPTH;

/// How `k` is cut. A step multiplies one word of each lane.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    k: usize,
    total: usize,
    chunk: usize,
}

impl Steps {
    pub(super) fn new(k: usize, kernel: Bf16Kernel) -> Self {
        let total = k.div_ceil(DEPTH);
        let chunks = total.div_ceil(chunk(kernel)).max(1);
        let chunk = total.div_ceil(chunks).next_multiple_of(WORDS).max(WORDS);
        Self { k, total, chunk }
    }

    /// At least one: the output is written for `k = 0` too.
    pub(super) fn chunks(&self) -> usize {
        self.total.div_ceil(self.chunk).max(1)
    }

    pub(super) fn in_chunk(&self, chunk: usize) -> usize {
        self.chunk.min(self.total - chunk * self.chunk)
    }
}

/// A factor as `[lanes, k]`.
pub(super) struct Operand<'a> {
    view: View<'a>,
    steps: Steps,
    panel: usize,
    format: Format,
}

impl<'a> Operand<'a> {
    pub(super) fn rows(a: View<'a>, steps: Steps, kernel: Bf16Kernel) -> Self {
        let format = match kernel {
            Bf16Kernel::Avx512 if a.column_stride() == 1 => Format::Lanes,
            Bf16Kernel::Avx512 => Format::Steps,
            Bf16Kernel::Amx => Format::Tiles,
        };
        Self { view: a, steps, panel: rows(kernel), format }
    }

    pub(super) fn columns(b: View<'a>, steps: Steps) -> Self {
        Self { view: b.transposed(), steps, panel: COLUMNS, format: Format::Steps }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn lanes(&self) -> usize {
        self.view.rows()
    }

    pub(super) fn panels(&self) -> usize {
        self.lanes().div_ceil(self.panel)
    }

    /// Lines in a cell.
    pub(super) fn cell(&self) -> usize {
        match self.format {
            Format::Steps => self.steps.chunk * self.lines() + PAD_LINES,
            Format::Lanes => self.panel * LANE_LINES,
            Format::Tiles => self.steps.chunk / WORDS * ROW_BLOCK_LINES,
        }
    }

    /// Fills cells of a chunk, from panel `first` on. Of a cell, lanes that are not there have no meaning; steps that are not
    /// there are zeros as far as 16 of them have others.
    pub(super) fn pack(&self, first: usize, chunk: usize, cells: &mut [Line]) {
        let lanes = first * self.panel..(first * self.panel + cells.len() / self.cell() * self.panel).min(self.lanes());
        let width = self.steps.chunk * DEPTH;
        let k = chunk * width..((chunk + 1) * width).min(self.steps.k);
        let part = self.view.part(lanes, k);
        // SAFETY: the processor has the instructions, which `super::product` asserts.
        unsafe {
            match self.format {
                Format::Lanes => copy_lanes(part, cells),
                Format::Tiles => tile_lanes(part, cells, self.cell()),
                Format::Steps if part.column_stride() == 1 => transpose_lanes(part, cells, self.cell()),
                Format::Steps if part.row_stride() == 1 => self.zip_steps(part, cells),
                Format::Steps => self.gather(part, cells),
            }
        }
    }

    /// Lines that a step has in a cell of [`Format::Steps`].
    fn lines(&self) -> usize {
        self.panel.div_ceil(WORDS)
    }

    /// [`Format::Steps`] of lanes that are neighbours. Steps are the outer loop here, since all lanes of a step are one
    /// stretch of memory.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn zip_steps(&self, part: View, cells: &mut [Line]) {
        let [lanes, lines] = [part.rows(), self.lines()];
        for k in (0..part.columns()).step_by(DEPTH) {
            let even = &part.from(0, k)[..lanes];
            let odd = if k + 1 < part.columns() { &part.from(0, k + 1)[..lanes] } else { &[] };
            for (number, cell) in cells.chunks_exact_mut(self.cell()).enumerate() {
                for (line, place) in cell[k / DEPTH * lines..][..lines].iter_mut().enumerate() {
                    let first = number * self.panel + line * WORDS;
                    let [even, odd] = [even, odd].map(|elements| {
                        let elements = elements.get(first..).unwrap_or_default();
                        prefetch(elements.as_ptr().wrapping_add(AHEAD * part.column_stride()));
                        load(elements)
                    });
                    *place = zip(even, odd);
                }
            }
        }
        self.end_with_zeros(part, cells);
    }

    /// [`Format::Steps`] of anything.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn gather(&self, part: View, cells: &mut [Line]) {
        let lines = self.lines();
        for (number, cell) in cells.chunks_exact_mut(self.cell()).enumerate() {
            for k in (0..part.columns()).step_by(DEPTH) {
                for (line, place) in cell[k / DEPTH * lines..][..lines].iter_mut().enumerate() {
                    let first = number * self.panel + line * WORDS;
                    let mut halves = [[0.0; WORDS]; DEPTH];
                    for (k, half) in (k..part.columns()).zip(&mut halves) {
                        for (lane, element) in (first..part.rows()).zip(half) {
                            *element = part.from(lane, k)[0];
                        }
                    }
                    *place = zip(load(&halves[0]), load(&halves[1]));
                }
            }
        }
        self.end_with_zeros(part, cells);
    }

    /// Steps behind the last one, up to a whole number of 16.
    fn end_with_zeros(&self, part: View, cells: &mut [Line]) {
        let steps = part.columns().div_ceil(DEPTH);
        for cell in cells.chunks_exact_mut(self.cell()) {
            cell[steps * self.lines()..steps.next_multiple_of(WORDS) * self.lines()].fill(ZERO);
        }
    }
}

/// [`Format::Steps`] of columns whose elements are neighbours.
#[target_feature(enable = "avx512f,avx512bf16")]
fn transpose_lanes(part: View, cells: &mut [Line], cell: usize) {
    const LINES: usize = COLUMNS / WORDS;
    for (panel, cell) in cells.chunks_exact_mut(cell).enumerate() {
        for (number, steps) in cell.chunks_exact_mut(WORDS * LINES).enumerate() {
            if number * WORDS * DEPTH >= part.columns() {
                break;
            }
            for line in 0..LINES {
                let first = panel * COLUMNS + line * WORDS;
                let mut block = [ZERO; WORDS];
                for (lane, words) in block.iter_mut().enumerate() {
                    if first + lane < part.rows() {
                        *words = words_of(part, first + lane, number);
                    }
                }
                for (words, place) in transpose(block).into_iter().zip(steps.chunks_exact_mut(LINES)) {
                    place[line] = words;
                }
            }
        }
    }
}

/// [`Format::Lanes`] of lanes whose elements are neighbours.
#[target_feature(enable = "avx512f,avx512bf16")]
fn copy_lanes(part: View, cells: &mut [Line]) {
    for (lane, places) in cells.chunks_exact_mut(LANE_LINES).enumerate().take(part.rows()) {
        for (number, place) in places.iter_mut().enumerate().take(part.columns().div_ceil(WORDS * DEPTH)) {
            *place = words_of(part, lane, number);
        }
    }
}

/// [`Format::Tiles`] of any lanes.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn tile_lanes(part: View, cells: &mut [Line], cell: usize) {
    for (panel, cell) in cells.chunks_exact_mut(cell).enumerate() {
        for (number, block) in cell.chunks_exact_mut(ROW_BLOCK_LINES).enumerate() {
            let k = number * WORDS * DEPTH;
            if k >= part.columns() {
                break;
            }
            for (group, lines) in block.chunks_exact_mut(WORDS).enumerate() {
                let first = panel * (ROW_BLOCK_LINES - 1) + group * WORDS;
                if first >= part.rows() {
                    break;
                }
                let lanes = first..part.rows().min(first + WORDS);
                let part = part.part(lanes, k..part.columns().min(k + WORDS * DEPTH));
                if part.column_stride() == 1 {
                    for (lane, line) in lines.iter_mut().enumerate().take(part.rows()) {
                        let elements = part.from(lane, 0);
                        prefetch(elements.as_ptr().wrapping_add(AHEAD_OF_TILE));
                        prefetch(elements.as_ptr().wrapping_add(AHEAD_OF_TILE + WORDS));
                        *line = pairs(&elements[..part.columns()]);
                    }
                } else if part.row_stride() == 1 {
                    lines.copy_from_slice(&transpose(steps_of(part)));
                } else {
                    for (lane, line) in lines.iter_mut().enumerate().take(part.rows()) {
                        let mut elements = [0.0; WORDS * DEPTH];
                        for (k, element) in elements.iter_mut().enumerate().take(part.columns()) {
                            *element = part.from(lane, k)[0];
                        }
                        *line = pairs(&elements);
                    }
                }
            }
        }
    }
}

/// The words of at most 16 steps of at most 16 lanes that are neighbours, with zeros for those that are not there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn steps_of(part: View) -> [Line; WORDS] {
    let mut steps = [ZERO; WORDS];
    for (step, line) in steps.iter_mut().enumerate().take(part.columns().div_ceil(DEPTH)) {
        let [even, odd] = [DEPTH * step, DEPTH * step + 1].map(|k| {
            let elements = if k < part.columns() { &part.from(0, k)[..part.rows()] } else { &[] };
            prefetch(elements.as_ptr().wrapping_add(WORDS * DEPTH * part.column_stride()));
            load(elements)
        });
        *line = zip(even, odd);
    }
    steps
}

/// The line with a number of a lane whose elements are neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn words_of(part: View, lane: usize, number: usize) -> Line {
    let k = number * WORDS * DEPTH;
    pairs(&part.from(lane, k)[..(WORDS * DEPTH).min(part.columns() - k)])
}
