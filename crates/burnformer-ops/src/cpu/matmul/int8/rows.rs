//! Activations as integers.

use std::cell::RefCell;

use rayon::prelude::*;

use super::quantize;
use super::tile::{AMX_ROWS, Line, ROWS};
use super::weights::groups;
use crate::cpu::matmul::View;
use crate::cpu::vectorized;

/// Elements that are worth a second thread.
const PARALLEL_ELEMENTS: usize = 1 << 17;

/// Lines of activations, and scales of rows.
type Memory = (Vec<Line<u8>>, Vec<f32>);

/// A thread gives back larger memory: 16 MiB.
const KEPT_LINES: usize = 1 << 18;

thread_local! {
    /// Memory of rows that were dropped, for the next ones of this thread.
    static BUFFERS: RefCell<Vec<Memory>> = const { RefCell::new(Vec::new()) };
}

/// Rows of activations, rounded to integers with a scale for each. They can be multiplied with any number of weights.
pub(crate) struct Rows {
    /// Activations plus 128, a row from a new line on.
    lines: Vec<Line<u8>>,
    /// Lines from one row to the next: an odd number, or many rows would meet in one set of a cache.
    stride: usize,
    scales: Vec<f32>,
    n: usize,
    d_in: usize,
}

impl Rows {
    /// Rounds each row of `x`, whose elements have to be neighbours. A row with NaN or an infinite number has NaN in all of its
    /// products.
    pub(crate) fn quantize(x: View) -> Self {
        let (n, d_in) = (x.rows(), x.columns());
        assert!(x.column_stride() == 1 || d_in <= 1, "elements of a row have to be neighbours");
        let stride = (groups(d_in) * 4 / Line::<u8>::LEN) | 1;
        let (mut lines, mut scales) = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
        // What is in there is written over, or never used: the matrix unit reads whole tiles, also behind the last row.
        let len = (n + AMX_ROWS) * stride;
        if lines.len() < len {
            lines.clear();
            lines.resize(len, Line([128; Line::<u8>::LEN]));
        }
        scales.resize(n.max(scales.len()), 0.0);
        let tile = |(number, (lines, scales)): (usize, (&mut [Line<u8>], &mut [f32]))| {
            vectorized(
                #[inline(always)]
                || {
                    for (row, (lines, scale)) in lines.chunks_exact_mut(stride).zip(scales).enumerate() {
                        let (out, padding) = Line::bytes_mut(lines).split_at_mut(d_in);
                        *scale = quantize::row(&x.from(number * ROWS + row, 0)[..d_in], out);
                        padding.fill(128);
                    }
                },
            );
        };
        let places = (&mut lines[..n * stride], &mut scales[..n]);
        if n * d_in >= PARALLEL_ELEMENTS && rayon::current_num_threads() > 1 {
            places.0.par_chunks_mut(ROWS * stride).zip(places.1.par_chunks_mut(ROWS)).enumerate().for_each(tile);
        } else if d_in > 0 {
            places.0.chunks_mut(ROWS * stride).zip(places.1.chunks_mut(ROWS)).enumerate().for_each(tile);
        } else {
            places.1.fill(0.0);
        }
        Self { lines, stride, scales, n, d_in }
    }

    pub(super) fn len(&self) -> usize {
        self.n
    }

    pub(super) fn d_in(&self) -> usize {
        self.d_in
    }

    /// Bytes from one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride * Line::<u8>::LEN
    }

    /// The bytes from a row on, and of more rows behind the last, without a meaning, than a tile has.
    pub(super) fn bytes_from(&self, row: usize) -> &[u8] {
        Line::bytes(&self.lines[row * self.stride..(self.n + AMX_ROWS) * self.stride])
    }

    pub(super) fn scales(&self) -> &[f32] {
        &self.scales[..self.n]
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if self.lines.len() > KEPT_LINES {
            return;
        }
        let memory = (std::mem::take(&mut self.lines), std::mem::take(&mut self.scales));
        BUFFERS.with_borrow_mut(|buffers| buffers.push(memory));
    }
}
