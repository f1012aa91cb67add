//! The sizes of cells and tiles, on which packing and kernel agree.

use super::lines::WORDS;

/// Steps in a chunk, at most.
pub(super) const CHUNK: usize = 512;

/// Rows of a tile.
pub(super) const ROWS: usize = 12;

/// Columns of a tile, which are two registers.
pub(super) const COLUMNS: usize = 2 * WORDS;

/// From one lane to the next in [`Format::Lanes`]: one more than a chunk has, or the lanes would meet in one set of a
/// cache.
pub(super) const LANE_LINES: usize = CHUNK / WORDS + 1;

/// What the lines of a cell are.
#[derive(Clone, Copy)]
pub(super) enum Format {
    /// The words of all lanes for a step, then those for the next step.
    Steps,
    /// The words of a lane for all steps, then those of the next lane, [`LANE_LINES`] apart. Where the elements of a
    /// lane are neighbours in memory, this takes no transposition.
    Lanes,
}
