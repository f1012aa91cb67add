//! The kernel on Intel's matrix unit: `tdpbusd` multiplies two tiles of rows with two tiles of channels.

use super::super::amx::{Rows, Sums, Tiles};
use super::super::buffer::Line;
use super::super::lines::registers;
use super::tile::{COLUMNS, PANEL_LINES, Tile};

/// Groups of four terms in a block, the rows of a tile of weights.
const BLOCK: usize = 16;

/// What a task keeps.
pub(super) struct Task {
    tiles: Tiles,
    sums: Sums<i32>,
}

impl Task {
    /// Until it is dropped, the thread does nothing else.
    ///
    /// # Panics
    /// Where the matrix unit is not available.
    pub(super) fn begin() -> Self {
        Self { tiles: Tiles::configure(), sums: Sums::zero() }
    }
}

/// # Safety
/// Nobody else reads or writes the elements of the tile.
pub(super) unsafe fn multiply(tile: &Tile, task: &mut Task) {
    let blocks = tile.groups() / BLOCK;
    let [a, b] = [lines(tile.rows), lines(super::tile::Line::bytes(tile.panel))];
    let a = Rows { lines: registers(a), row: tile.stride / size_of::<Line>(), block: 1 };
    debug_assert_eq!(b.len(), blocks * BLOCK * PANEL_LINES);
    task.tiles.multiply_int8(&a, registers(b), blocks, tile.n_rows, &mut task.sums);
    for (row, sums) in task.sums.0.iter().enumerate().take(tile.n_rows) {
        let sums: [i32; COLUMNS] = std::array::from_fn(|column| sums[column].wrapping_add(tile.corrections[column]));
        // SAFETY: By the caller; there is such a row.
        unsafe { tile.write(row, 0, &sums) };
    }
}

/// Bytes that begin and end with lines, as such.
fn lines<T: super::tile::Byte>(bytes: &[T]) -> &[Line] {
    // SAFETY: Any bytes are lines; `align_to` sees to the alignment.
    let (before, lines, behind) = unsafe { bytes.align_to() };
    assert!(before.is_empty() && behind.is_empty(), "no whole lines");
    lines
}
