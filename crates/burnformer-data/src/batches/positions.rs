//! Positions of single tokens in a batch, as `row * seq_length + column`.

use std::ops::Range;

/// The range of the ascending `positions` that lie in `rows` of this length.
pub(super) fn rows_of(positions: &[u32], rows: Range<usize>, seq_length: usize) -> Range<usize> {
    let before = |row: usize| positions.partition_point(|&position| (position as usize) < row * seq_length);
    before(rows.start)..before(rows.end)
}

/// The positions of the same tokens if row `first_row` becomes the first and rows have another length.
pub(super) fn moved(positions: &[u32], first_row: usize, seq_length: usize, new_length: usize) -> Vec<u32> {
    let moved = |&position: &u32| {
        let (row, column) = (position as usize / seq_length, position as usize % seq_length);
        ((row - first_row) * new_length + column) as u32
    };
    positions.iter().map(moved).collect()
}
