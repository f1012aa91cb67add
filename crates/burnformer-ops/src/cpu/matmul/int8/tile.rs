//! What a kernel multiplies: some rows of activations and a panel of weights.

use std::ops::Range;

use super::rows::Rows;
use super::weights::Weights;
use crate::cpu::matmul::target::Target;
use crate::cpu::processor::Int8Kernel;

/// Rows of a tile in registers, at most.
pub(super) const ROWS: usize = 12;

/// Rows of a tile on the matrix unit, at most.
pub(super) const AMX_ROWS: usize = 32;

/// Channels of a panel, which are the columns of a tile.
pub(super) const COLUMNS: usize = 32;

/// Lines that a group of four terms has in a panel.
pub(super) const PANEL_LINES: usize = COLUMNS * 4 / Line::<i8>::LEN;

/// Rows of a kernel's tile, at most.
pub(super) fn rows(kernel: Int8Kernel) -> usize {
    if kernel == Int8Kernel::Amx { AMX_ROWS } else { ROWS }
}

/// A line of the cache, which is a register of AVX-512 too.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line<T>(pub(super) [T; 64]);

impl<T: Byte> Line<T> {
    pub(super) const LEN: usize = 64;

    pub(super) fn bytes(lines: &[Self]) -> &[T] {
        // SAFETY: A line is an array of 64 elements, and nothing else.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * Self::LEN) }
    }

    pub(super) fn bytes_mut(lines: &mut [Self]) -> &mut [T] {
        // SAFETY: As above.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * Self::LEN) }
    }
}

/// A type of one byte.
pub(super) trait Byte {}

impl Byte for i8 {}
impl Byte for u8 {}

/// A part of the output, and what it is the product of.
pub(super) struct Tile<'a> {
    /// The bytes of the rows, [`Self::stride`] from one to the next.
    pub(super) rows: &'a [u8],
    pub(super) stride: usize,
    /// Between 1 and as many as [`rows`] says.
    pub(super) n_rows: usize,
    pub(super) panel: &'a [Line<i8>],
    pub(super) corrections: &'a [i32; COLUMNS],
    row_scales: &'a [f32],
    column_scales: &'a [f32; COLUMNS],
    bias: Option<&'a [f32]>,
    out: Target,
    first_row: usize,
    first_column: usize,
    /// Between 1 and [`COLUMNS`].
    n_columns: usize,
}

impl<'a> Tile<'a> {
    /// The product of rows, at most as many as a kernel's tile has, and a panel.
    pub(super) fn new(
        rows: &'a Rows,
        range: Range<usize>,
        weights: &'a Weights,
        panel: usize,
        bias: Option<&'a [f32]>,
        out: Target,
    ) -> Self {
        let first_column = panel * COLUMNS;
        let n_columns = COLUMNS.min(weights.d_out() - first_column);
        let tile = Self {
            rows: rows.bytes_from(range.start),
            stride: rows.stride(),
            n_rows: range.len(),
            panel: weights.panel(panel),
            corrections: weights.corrections(panel),
            row_scales: &rows.scales()[range.clone()],
            column_scales: weights.scales(panel),
            bias: bias.map(|bias| &bias[first_column..first_column + n_columns]),
            out,
            first_row: range.start,
            first_column,
            n_columns,
        };
        // Kernels rely on this.
        assert!((1..=AMX_ROWS).contains(&tile.n_rows));
        assert!(tile.rows.len() >= (tile.n_rows - 1) * tile.stride + tile.groups() * 4);
        tile
    }

    /// Groups of four terms: a multiple of 16.
    #[inline(always)]
    pub(super) fn groups(&self) -> usize {
        self.panel.len() / PANEL_LINES
    }

    /// Where a row of the tile begins in the output.
    #[inline(always)]
    pub(super) fn place(&self, row: usize) -> *mut f32 {
        self.out.element(self.first_row + row, self.first_column)
    }

    /// Writes `(sum row_scale) column_scale + bias` of neighbours in a row, whose sums began with the corrections.
    ///
    /// # Safety
    /// The row is one of the tile, and nobody else reads or writes its elements.
    #[inline(always)]
    pub(super) unsafe fn write<const N: usize>(&self, row: usize, first_column: usize, sums: &[i32; N]) {
        let scale = self.row_scales[row];
        let scales = &self.column_scales[first_column..][..N];
        let mut values = [0.0; N];
        for ((value, sum), column_scale) in values.iter_mut().zip(sums).zip(scales) {
            *value = *sum as f32 * scale * column_scale;
        }
        let n = N.min(self.n_columns.saturating_sub(first_column));
        let place = self.place(row).wrapping_add(first_column);
        if n < N {
            for (column, value) in values.iter().enumerate().take(n) {
                let bias = self.bias.map_or(0.0, |bias| bias[first_column + column]);
                // SAFETY: By the caller; the column is one of the tile.
                unsafe { *place.add(column) = value + bias };
            }
            return;
        }
        if let Some(bias) = self.bias {
            for (value, bias) in values.iter_mut().zip(&bias[first_column..][..N]) {
                *value += bias;
            }
        }
        // SAFETY: By the caller: all columns are those of the tile.
        unsafe { place.cast::<[f32; N]>().write_unaligned(values) };
    }
}
