//! The kernel for `vpdpbusd` on registers of 512 bits: four products of bytes for each of sixteen channels.

use std::arch::x86_64::*;

use super::tile::{COLUMNS, PANEL_LINES, ROWS, Tile};

/// # Safety
/// The processor has `AVX512_VNNI`. Nobody else reads or writes the elements of the tile.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn multiply(tile: &Tile) {
    // SAFETY: By the caller.
    unsafe {
        match tile.n_rows {
            // Few sums would wait for each other, so neighbouring groups have sums of their own.
            1 => rows::<1, 8>(tile),
            2 => rows::<2, 4>(tile),
            3 => rows::<3, 4>(tile),
            4 => rows::<4, 2>(tile),
            5 => rows::<5, 2>(tile),
            6 => rows::<6, 2>(tile),
            7 => rows::<7, 1>(tile),
            8 => rows::<8, 1>(tile),
            9 => rows::<9, 1>(tile),
            10 => rows::<10, 1>(tile),
            11 => rows::<11, 1>(tile),
            _ => rows::<ROWS, 1>(tile),
        }
    }
}

/// The tile of `N` rows, `GROUPS` groups at a time.
///
/// # Safety
/// As for [`multiply`].
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn rows<const N: usize, const GROUPS: usize>(tile: &Tile) {
    let first = *tile.corrections;
    // SAFETY: Both are 128 bytes in which any bits are fine.
    let first = unsafe { std::mem::transmute::<[i32; COLUMNS], [__m512i; PANEL_LINES]>(first) };
    // What is not there yet arrives while the sums are made.
    for row in 0..N {
        let place = tile.place(row);
        _mm_prefetch::<_MM_HINT_ET0>(place.cast());
        _mm_prefetch::<_MM_HINT_ET0>(place.wrapping_add(COLUMNS / 2).cast());
    }
    let mut sums = [[[_mm512_setzero_si512(); PANEL_LINES]; N]; GROUPS];
    sums[0] = [first; N];
    // Every third row has a pointer, the next two are at multiples of the stride, which an address may have as index.
    let mut pointers: [*const u8; ROWS / 3] =
        std::array::from_fn(|i| tile.rows.as_ptr().wrapping_add(3 * i * tile.stride));
    for lines in tile.panel.chunks_exact(GROUPS * PANEL_LINES) {
        for (group, (lines, sums)) in lines.as_chunks::<PANEL_LINES>().0.iter().zip(&mut sums).enumerate() {
            // SAFETY: A line is 64 bytes at a multiple of 64.
            let weights = lines.each_ref().map(|line| unsafe { _mm512_load_si512((&raw const *line).cast()) });
            for (row, sums) in sums.iter_mut().enumerate() {
                let place = pointers[row / 3].wrapping_add(row % 3 * tile.stride + 4 * group);
                // SAFETY: Rows have as many bytes as a panel has groups of four terms, as `Tile::new` asserts.
                let terms = _mm512_set1_epi32(unsafe { place.cast::<i32>().read_unaligned() });
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_dpbusd_epi32(*sum, terms, weights);
                }
            }
        }
        for pointer in &mut pointers {
            *pointer = pointer.wrapping_add(4 * GROUPS);
        }
    }
    for row in 0..N {
        let mut total = sums[0][row];
        for sums in &sums[1..] {
            for (total, sum) in total.iter_mut().zip(sums[row]) {
                *total = _mm512_add_epi32(*total, sum);
            }
        }
        // SAFETY: Both are 128 bytes in which any bits are fine; the rest by the caller.
        unsafe { tile.write(row, 0, &std::mem::transmute::<[__m512i; PANEL_LINES], [i32; COLUMNS]>(total)) };
    }
}
