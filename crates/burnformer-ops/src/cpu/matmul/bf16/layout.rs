//! The sizes of cells and tiles, on which packing and kernels agree.

use super::{super::amx, lines::WORDS};
use crate::cpu::processor::Bf16Kernel;

/// Columns of a tile, which are two registers.
pub(super) const COLUMNS: usize = 2 * WORDS;

/// Rows of a tile of `vdpbf16ps`.
pub(super) const AVX512_ROWS: usize = 12;

/// Steps in a chunk for `vdpbf16ps`, at most.
const AVX512_CHUNK: usize = 512;

/// From one lane to the next in [`Format::Lanes`]: one more than a chunk has, or the lanes would meet in one set of a
/// cache.
pub(super) const LANE_LINES: usize = AVX512_CHUNK / WORDS + 1;

/// What the lines of a cell are.
#[derive(Clone, Copy)]
pub(super) enum Format {
    /// The words of all lanes for a step, then those for the next step.
    Steps,
    /// The words of a lane for all steps, then those of the next lane, [`LANE_LINES`] apart. Where the elements of a
    /// lane are neighbours in memory, this takes no transposition.
    Lanes,
    /// For 16 steps the words of a lane, then those of the next lane, then the next steps, [`amx::ROW_BLOCK_LINES`] apart.
    Tiles,
}

/// Rows of a kernel's tile.
pub(super) fn rows(kernel: Bf16Kernel) -> usize {
    match kernel {
        Bf16Kernel::Avx512 => AVX512_ROWS,
        Bf16Kernel::Amx => amx::SIZE,
    }
}

/// Steps in a chunk, at most. For tiles, half a first-level cache holds a panel of columns of a chunk while it meets several
/// panels of rows, whose time is that of a second-level cache.
pub(super) fn chunk(kernel: Bf16Kernel) -> usize {
    match kernel {
        Bf16Kernel::Avx512 => AVX512_CHUNK,
        Bf16Kernel::Amx => 192,
    }
}
