//! Products of `f32` by micro-kernels of our own.

mod avx2;
mod avx512;
mod pack;

pub(super) use avx2::Avx2;
pub(super) use avx512::Avx512;

use super::tile::Rows;
use super::{
    View,
    buffer::{Line, floats},
    frame::{Left, Tile},
};

/// How a cell of rows is packed.
#[derive(Clone, Copy)]
enum RowFormat {
    /// The elements of a row for all terms, then those of the next row. Where they are neighbours in the factor, packing is
    /// copying, or is not needed.
    Rows,
    /// The elements of all rows for a term, then those for the next term.
    Terms,
}

impl RowFormat {
    /// The one that takes no transposition.
    fn of(a: View) -> Self {
        if a.column_stride() == 1 { Self::Rows } else { Self::Terms }
    }

    /// The rows of a tile; packed ones are `row` apart where their terms are neighbours, and `rows` of them have a place in a cell.
    fn rows(self, tile: &Tile, rows: usize, row: usize) -> Rows {
        let shape = [tile.rows, tile.terms];
        match (tile.a, self) {
            (Left::InPlace(a), _) => Rows::new(a.data(), shape, [a.row_stride(), a.column_stride()]),
            (Left::Packed(cell), Self::Rows) => Rows::new(floats(cell), shape, [row, 1]),
            (Left::Packed(cell), Self::Terms) => Rows::new(floats(cell), shape, [1, rows]),
        }
    }
}

/// `true` for rows that the kernel reads where they are: their terms are neighbours, and the same term of all rows does not meet
/// in few sets of a first-level cache, which has one set for each line of 4 KiB.
fn reads_in_place(a: View) -> bool {
    const HALF_OF_SETS: usize = 32 * Line::WORDS;
    a.column_stride() == 1 && !a.row_stride().is_multiple_of(HALF_OF_SETS)
}
