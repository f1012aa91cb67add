//! The kernel for `vpdpbusd` on registers of 256 bits: four products of bytes for each of eight channels.

use std::arch::x86_64::*;

use super::tile::{PANEL_LINES, Tile};

/// Channels whose sums are in registers at once: those of a line.
const CHANNELS: usize = 16;

/// Registers for that.
const REGISTERS: usize = 2;

/// Rows whose sums are in registers at once.
const ROWS: usize = 6;

/// # Safety
/// The processor has `AVX_VNNI`. Nobody else reads or writes the elements of the tile.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn multiply(tile: &Tile) {
    for line in 0..PANEL_LINES {
        for first in (0..tile.n_rows).step_by(ROWS) {
            // SAFETY: By the caller.
            unsafe {
                match tile.n_rows - first {
                    1 => rows::<1>(tile, first, line),
                    2 => rows::<2>(tile, first, line),
                    3 => rows::<3>(tile, first, line),
                    4 => rows::<4>(tile, first, line),
                    5 => rows::<5>(tile, first, line),
                    _ => rows::<ROWS>(tile, first, line),
                }
            }
        }
    }
}

/// `N` rows and the channels of one line of each group.
///
/// # Safety
/// As for [`multiply`]; the rows are those of the tile.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn rows<const N: usize>(tile: &Tile, first: usize, line: usize) {
    let corrections = tile.corrections.as_chunks::<CHANNELS>().0[line];
    // SAFETY: Both are 64 bytes in which any bits are fine.
    let corrections = unsafe { std::mem::transmute::<[i32; CHANNELS], [__m256i; REGISTERS]>(corrections) };
    let mut sums = [corrections; N];
    let start = tile.rows.as_ptr().wrapping_add(first * tile.stride);
    for (group, lines) in tile.panel.as_chunks::<PANEL_LINES>().0.iter().enumerate() {
        let halves = lines[line].0.as_chunks::<32>().0;
        // SAFETY: 32 bytes at a multiple of 32.
        let weights: [_; REGISTERS] =
            std::array::from_fn(|i| unsafe { _mm256_load_si256((&raw const halves[i]).cast()) });
        for (row, sums) in sums.iter_mut().enumerate() {
            let place = start.wrapping_add(row * tile.stride + 4 * group);
            // SAFETY: Rows have as many bytes as a panel has groups of four terms, as `Tile::new` asserts.
            let terms = _mm256_set1_epi32(unsafe { place.cast::<i32>().read_unaligned() });
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm256_dpbusd_avx_epi32(*sum, terms, weights);
            }
        }
    }
    for (row, sums) in (first..).zip(sums) {
        // SAFETY: Both are 64 bytes in which any bits are fine; the rest by the caller.
        unsafe {
            tile.write(row, line * CHANNELS, &std::mem::transmute::<[__m256i; REGISTERS], [i32; CHANNELS]>(sums));
        };
    }
}
