//! The kernel for processors that multiply no bytes without saturation: `vpmaddwd` on bytes that were widened to 16 bits.

use std::arch::x86_64::*;

use super::tile::{PANEL_LINES, Tile};

/// Channels whose sums are in registers at once: those of a line.
const CHANNELS: usize = 16;

/// Registers for that: each has the sums of the first and of the last two terms of four channels.
const REGISTERS: usize = 4;

/// Rows whose sums are in registers at once.
const ROWS: usize = 3;

/// # Safety
/// The processor has AVX2. Nobody else reads or writes the elements of the tile.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn multiply(tile: &Tile) {
    for line in 0..PANEL_LINES {
        for first in (0..tile.n_rows).step_by(ROWS) {
            // SAFETY: By the caller.
            unsafe {
                match tile.n_rows - first {
                    1 => rows::<1>(tile, first, line),
                    2 => rows::<2>(tile, first, line),
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
#[target_feature(enable = "avx2")]
unsafe fn rows<const N: usize>(tile: &Tile, first: usize, line: usize) {
    let mut sums = [[_mm256_setzero_si256(); REGISTERS]; N];
    let start = tile.rows.as_ptr().wrapping_add(first * tile.stride);
    for (group, lines) in tile.panel.as_chunks::<PANEL_LINES>().0.iter().enumerate() {
        let quarters = lines[line].0.as_chunks::<16>().0;
        let weights: [_; REGISTERS] = std::array::from_fn(|i| {
            // SAFETY: 16 bytes at a multiple of 16.
            _mm256_cvtepi8_epi16(unsafe { _mm_load_si128((&raw const quarters[i]).cast()) })
        });
        for (row, sums) in sums.iter_mut().enumerate() {
            let place = start.wrapping_add(row * tile.stride + 4 * group);
            // SAFETY: Rows have as many bytes as a panel has groups of four terms, as `Tile::new` asserts.
            let terms = _mm256_set1_epi32(unsafe { place.cast::<i32>().read_unaligned() });
            let terms = _mm256_unpacklo_epi8(terms, _mm256_setzero_si256());
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(terms, weights));
            }
        }
    }
    let corrections = tile.corrections.as_chunks::<CHANNELS>().0[line];
    for (row, sums) in (first..).zip(sums) {
        // Neighbours are added, and the channels 2, 3, 6, 7 of a register's eight are swapped with those between them.
        let eight = |low, high| _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(low, high));
        let sums = [eight(sums[0], sums[1]), eight(sums[2], sums[3])];
        // SAFETY: Both are 64 bytes in which any bits are fine.
        let mut sums = unsafe { std::mem::transmute::<[__m256i; 2], [i32; CHANNELS]>(sums) };
        for (sum, correction) in sums.iter_mut().zip(corrections) {
            *sum = sum.wrapping_add(correction);
        }
        // SAFETY: By the caller.
        unsafe { tile.write(row, line * CHANNELS, &sums) };
    }
}
