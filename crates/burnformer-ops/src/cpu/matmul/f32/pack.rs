//! Packing of cells. A factor comes as `[lanes, terms]`: its rows, or the columns of a right factor.
//!
//! These loops are inlined into functions with the instructions of a kernel.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::super::View;

/// How far ahead memory is fetched, in terms.
const AHEAD: usize = 8;

/// Fetches a line of the cache if the place exists, which it need not.
#[inline(always)]
fn prefetch(place: *const f32) {
    // SAFETY: Every processor with AVX has the instruction, which does not read what is not there.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
}

/// All terms of a lane, then those of the next lane, `stride` apart; `lanes` of them at most in a cell.
#[inline(always)]
pub(super) fn lane_by_lane(part: View, lanes: usize, stride: usize, cell: usize, cells: &mut [f32]) {
    for (number, cell) in cells.chunks_exact_mut(cell).enumerate() {
        for lane in number * lanes..part.rows().min((number + 1) * lanes) {
            let places = &mut cell[(lane - number * lanes) * stride..][..part.columns()];
            if part.column_stride() == 1 {
                places.copy_from_slice(&part.from(lane, 0)[..places.len()]);
            } else {
                for (term, place) in places.iter_mut().enumerate() {
                    *place = part.from(lane, term)[0];
                }
            }
        }
    }
}

/// All lanes of a term, then those of the next term, `N` apart; `lanes` of them at most in a cell. Those that are missing are zeros.
#[inline(always)]
pub(super) fn term_by_term<const N: usize>(part: View, lanes: usize, cell: usize, cells: &mut [f32]) {
    if part.row_stride() != 1 {
        for (number, cell) in cells.chunks_exact_mut(cell).enumerate() {
            let lanes = number * lanes..part.rows().min((number + 1) * lanes);
            for (term, places) in cell.chunks_exact_mut(N).enumerate().take(part.columns()) {
                places.fill(0.0);
                for (lane, place) in lanes.clone().zip(places) {
                    *place = part.from(lane, term)[0];
                }
            }
        }
        return;
    }
    // All lanes of a term are one stretch of memory.
    for term in 0..part.columns() {
        let stretch = &part.from(0, term)[..part.rows()];
        for (lanes, cell) in stretch.chunks(lanes).zip(cells.chunks_exact_mut(cell)) {
            prefetch(lanes.as_ptr().wrapping_add(AHEAD * part.column_stride()));
            let places = &mut cell[term * N..][..N];
            if let Ok(lanes) = <&[f32; N]>::try_from(lanes) {
                places.copy_from_slice(lanes);
            } else {
                places[..lanes.len()].copy_from_slice(lanes);
                places[lanes.len()..].fill(0.0);
            }
        }
    }
}

/// [`term_by_term`] of lanes whose terms are neighbours, by blocks of `B` lanes and terms. `transpose` gets a block's first
/// element, the distance of its lanes, and where it goes, as `N` elements a term.
///
/// # Safety
/// `transpose` reads `B` elements of `B` lanes at most, and writes `B` elements at the places of `B` terms at most.
#[inline(always)]
pub(super) unsafe fn transposed<const N: usize, const B: usize>(
    part: View,
    cell: usize,
    cells: &mut [f32],
    transpose: impl Fn(*const f32, usize, *mut f32),
) {
    for (number, cell) in cells.chunks_exact_mut(cell).enumerate() {
        let lanes = part.rows().min((number + 1) * N) - number * N;
        let (whole_lanes, whole_terms) = (lanes / B * B, part.columns() / B * B);
        assert!(cell.len() >= part.columns() * N);
        if lanes < N {
            cell[..part.columns() * N].fill(0.0);
        }
        for term in (0..whole_terms).step_by(B) {
            for lane in (0..whole_lanes).step_by(B) {
                let from = &part.from(number * N + lane, term)[..(B - 1) * part.row_stride() + B];
                for lane in 0..B {
                    prefetch(from.as_ptr().wrapping_add(lane * part.row_stride() + AHEAD));
                }
                transpose(from.as_ptr(), part.row_stride(), cell[term * N + lane..].as_mut_ptr());
            }
        }
        for lane in 0..lanes {
            let first = if lane < whole_lanes { whole_terms } else { 0 };
            let from = &part.from(number * N + lane, 0)[..part.columns()];
            for (term, element) in from.iter().enumerate().skip(first) {
                cell[term * N + lane] = *element;
            }
        }
    }
}
