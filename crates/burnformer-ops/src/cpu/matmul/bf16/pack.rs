//! Packing of cells in pairs, rounded to nearest with ties to even. A factor comes as `[lanes, terms]`: its rows, or the
//! columns of a right factor.
//!
//! What is packed at a time is a block: 16 steps of a lane or of several, 16 words a line. Behind the last term, words of a block
//! are zeros.

use super::super::{
    View,
    lines::{self, Line, WORDS, ZERO, load, pairs, prefetch, transpose},
};
use super::DEPTH;

/// Terms of a block.
const BLOCK: usize = WORDS * DEPTH;

/// How far ahead memory is fetched, in terms that are neighbours.
const AHEAD: usize = 2 * BLOCK;

/// Lines with the steps of a lane, in cells of `height` lanes; `place` is where those of a lane and a block go. Lanes that are missing
/// in the last cell are not written, or have no meaning.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn by_lanes(
    part: View,
    height: usize,
    cell: usize,
    cells: &mut [Line],
    place: impl Fn(usize, usize) -> usize,
) {
    for (number, cell) in cells.chunks_exact_mut(cell).enumerate() {
        let lanes = part.part(number * height..part.rows().min((number + 1) * height), 0..part.columns());
        if lanes.row_stride() == 1 && lanes.column_stride() != 1 {
            for (block, first) in (0..lanes.columns()).step_by(BLOCK).enumerate() {
                for group in (0..lanes.rows()).step_by(WORDS) {
                    let steps = transpose(steps_of(lanes, group, first));
                    for (lane, line) in steps.into_iter().enumerate().take(height - group) {
                        cell[place(group + lane, block)] = line;
                    }
                }
            }
        } else {
            for lane in 0..lanes.rows() {
                for (block, first) in (0..lanes.columns()).step_by(BLOCK).enumerate() {
                    cell[place(lane, block)] = steps_of_lane(lanes, lane, first);
                }
            }
        }
    }
}

/// For each step `LINES` lines with the words of `height` lanes. Lanes that are missing in the last cell are zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn by_steps<const LINES: usize>(part: View, height: usize, cell: usize, cells: &mut [Line]) {
    let steps = part.columns().div_ceil(DEPTH);
    if part.row_stride() == 1 && part.column_stride() != 1 {
        // All lanes of a step are one stretch of memory.
        for step in 0..steps {
            let halves = halves_of(part, step);
            for (number, cell) in cells.chunks_exact_mut(cell).enumerate() {
                for (group, line) in cell[step * LINES..][..LINES].iter_mut().enumerate() {
                    *line = zip(halves, number * height + group * WORDS, part.column_stride());
                }
            }
        }
    } else {
        for (number, cell) in cells.chunks_exact_mut(cell).enumerate() {
            for (block, first) in (0..part.columns()).step_by(BLOCK).enumerate() {
                for group in 0..LINES {
                    let mut lanes = [ZERO; WORDS];
                    let start = number * height + group * WORDS;
                    for (lane, line) in (start..part.rows().min((number + 1) * height)).zip(&mut lanes) {
                        *line = steps_of_lane(part, lane, first);
                    }
                    for (step, line) in transpose(lanes).into_iter().enumerate() {
                        cell[(block * WORDS + step) * LINES + group] = line;
                    }
                }
            }
        }
    }
    for cell in cells.chunks_exact_mut(cell) {
        cell[steps * LINES..steps.next_multiple_of(WORDS) * LINES].fill(ZERO);
    }
}

/// The steps of a lane from a term on.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn steps_of_lane(part: View, lane: usize, first: usize) -> Line {
    let count = BLOCK.min(part.columns() - first);
    let from = part.from(lane, first);
    if part.column_stride() == 1 {
        prefetch(from.as_ptr().wrapping_add(AHEAD));
        prefetch(from.as_ptr().wrapping_add(AHEAD + WORDS));
        return pairs(&from[..count]);
    }
    let mut terms = [0.0; BLOCK];
    for (place, term) in terms.iter_mut().zip(from.iter().step_by(part.column_stride()).take(count)) {
        *place = *term;
    }
    pairs(&terms)
}

/// 16 steps from a term on, each of 16 lanes that are neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn steps_of(part: View, lane: usize, first: usize) -> [Line; WORDS] {
    let mut steps = [ZERO; WORDS];
    for (step, line) in (first / DEPTH..part.columns().div_ceil(DEPTH)).zip(&mut steps) {
        *line = zip(halves_of(part, step), lane, WORDS * part.column_stride());
    }
    steps
}

/// All lanes, which are neighbours, of both terms of a step.
#[inline]
fn halves_of(part: View<'_>, step: usize) -> [&[f32]; DEPTH] {
    [DEPTH * step, DEPTH * step + 1].map(|k| if k < part.columns() { &part.from(0, k)[..part.rows()] } else { &[] })
}

/// The words of 16 lanes from one on; zeros for lanes that are not there. Fetches what is some steps `ahead`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn zip(halves: [&[f32]; DEPTH], lane: usize, ahead: usize) -> Line {
    let halves = halves.map(|half| {
        let lanes = half.get(lane..).unwrap_or_default();
        prefetch(lanes.as_ptr().wrapping_add(WORDS * ahead));
        load(lanes)
    });
    lines::zip(halves[0], halves[1])
}
