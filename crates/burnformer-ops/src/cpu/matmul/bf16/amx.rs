//! The micro-kernel on Intel's matrix unit: 32 rows times 32 columns, two tiles each way.

use std::arch::x86_64::*;

use super::super::{
    View,
    amx::{Rows, SIZE, Sums, Tiles},
    buffer::Line,
    frame::{Left, MicroKernel, Tile},
    lines::{registers, registers_mut},
    tile::{CELL, Register, write},
};
use super::{DEPTH, pack};

/// Terms of a chunk, at most: a panel of columns then takes half of a first-level cache, where it stays while it meets several
/// panels of rows.
const TERMS: usize = 384;

/// Terms of a block: 16 steps, the rows of a tile of columns.
const BLOCK: usize = Line::WORDS * DEPTH;

/// Lines from one block to the next in a cell of rows: one more than it has, or a row of all blocks would meet in few sets of a
/// cache.
const ROW_BLOCK_LINES: usize = SIZE + 1;

/// Lines behind a cell of columns, without which the same step of all cells would meet in one set of a cache.
const PAD: usize = 2;

#[derive(Clone, Copy)]
pub(in super::super) struct Amx;

impl MicroKernel for Amx {
    const ROWS: usize = SIZE;
    const COLUMNS: usize = SIZE;
    const TERMS: usize = TERMS;
    const UNIT: usize = BLOCK;
    type Task = (Tiles, Sums<f32>);

    fn row_cell(self, terms: usize) -> usize {
        terms.div_ceil(BLOCK).max(1) * ROW_BLOCK_LINES
    }

    fn column_cell(self, terms: usize) -> usize {
        terms.div_ceil(BLOCK) * SIZE + PAD
    }

    fn reads_in_place(self, _: View) -> bool {
        false
    }

    fn task(self) -> Self::Task {
        (Tiles::configure(), Sums::zero())
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pack_rows(self, rows: View, height: usize, cell: usize, cells: &mut [Line]) {
        pack::by_lanes(rows, height, cell, registers_mut(cells), |lane, block| block * ROW_BLOCK_LINES + lane);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pack_columns(self, columns: View, cell: usize, cells: &mut [Line]) {
        pack::by_steps::<CELL>(columns, SIZE, cell, registers_mut(cells));
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn multiply(self, tile: Tile, (tiles, sums): &mut Self::Task) {
        let Left::Packed(a) = tile.a else { unreachable!("rows are packed") };
        for (number, b) in tile.b.chunks_exact(tile.b_cell).enumerate() {
            tile.prefetch(number * SIZE, SIZE);
            let a = Rows { lines: registers(a), row: 1, block: ROW_BLOCK_LINES };
            tiles.multiply_bf16(&a, registers(b), tile.terms.div_ceil(BLOCK), tile.rows, sums);
            for (row, sums) in sums.0.iter().enumerate().take(tile.rows) {
                let (lower, upper) = sums.split_at(Line::WORDS);
                // SAFETY: The row is one of the tile's, and its sums are two registers.
                unsafe {
                    let sums = [<__m512 as Register>::load(lower.as_ptr()), Register::load(upper.as_ptr())];
                    write(&Tile { out: tile.out.at(row, 0), ..tile }, number * SIZE, &[sums]);
                }
            }
        }
    }
}
