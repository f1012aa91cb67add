//! The kernel in Rust alone.

use super::tile::{COLUMNS, Line, Tile};

/// # Safety
/// Nobody else reads or writes the elements of the tile.
pub(super) unsafe fn multiply(tile: &Tile) {
    for row in 0..tile.n_rows {
        let terms = tile.rows[row * tile.stride..][..tile.groups() * 4].as_chunks::<4>().0;
        let weights = Line::bytes(tile.panel).as_chunks::<{ COLUMNS * 4 }>().0;
        let mut sums = *tile.corrections;
        for (terms, weights) in terms.iter().zip(weights) {
            let terms = terms.map(i32::from);
            for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
                for (term, weight) in terms.iter().zip(weights) {
                    *sum = sum.wrapping_add(term * i32::from(*weight));
                }
            }
        }
        // SAFETY: By the caller.
        unsafe { tile.write(row, 0, &sums) };
    }
}
