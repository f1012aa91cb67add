//! Scratch memory of a task: matrices whose rows are whole lines of a cache, and copies of a head's rows in them.

use super::product::Rows;
use super::transpose::transpose;
use crate::cpu::Vectors;
use crate::cpu::matmul::{Buffer, Line, floats_mut, lines_for_overwrite};

/// Elements in a line of a cache.
pub(super) const LINE: usize = Line::WORDS;

/// A thread gives back larger scratch memory: 4 MiB.
const KEPT_LINES: usize = 1 << 16;

/// `columns` and what fills their last line.
pub(super) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(LINE)
}

/// Distance of two rows: an odd number of lines, so that the rows of a column do not compete for a few sets of the cache.
fn stride(columns: usize) -> usize {
    (columns.div_ceil(LINE) | 1) * LINE
}

/// Runs `task` on `len` elements with anything in them, aligned to lines.
pub(super) fn with_memory<R>(len: usize, task: impl FnOnce(Memory) -> R) -> R {
    let n_lines = len.div_ceil(LINE);
    let (mut kept, mut own);
    let lines = if n_lines <= KEPT_LINES {
        kept = Buffer::take(n_lines);
        &mut *kept
    } else {
        own = lines_for_overwrite(n_lines);
        own.as_mut_slice()
    };
    let memory = floats_mut(lines);
    if cfg!(test) {
        // An element that was forgotten shows.
        memory.fill(f32::NAN);
    }
    task(Memory(memory))
}

/// Scratch memory that is cut into matrices.
pub(super) struct Memory<'a>(&'a mut [f32]);

impl<'a> Memory<'a> {
    /// Elements that [`Self::matrix`] takes.
    pub(super) fn size(rows: usize, columns: usize) -> usize {
        rows * stride(columns)
    }

    /// A matrix with anything in it.
    pub(super) fn matrix(&mut self, rows: usize, columns: usize) -> Matrix<'a> {
        let stride = stride(columns);
        let (data, rest) = std::mem::take(&mut self.0).split_at_mut(rows * stride);
        self.0 = rest;
        Matrix { data, stride }
    }

    /// A row with anything in it.
    pub(super) fn row(&mut self, columns: usize) -> &'a mut [f32] {
        self.matrix(1, columns).data
    }
}

/// A matrix in scratch memory. What lies behind the columns of a row, up to a whole line, is computed with as well, and
/// never read.
pub(super) struct Matrix<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) stride: usize,
}

impl Matrix<'_> {
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows { data: self.data, stride: self.stride }
    }

    /// The rows from one on.
    pub(super) fn rows_from(&mut self, row: usize) -> Matrix<'_> {
        Matrix { data: &mut self.data[row * self.stride..], stride: self.stride }
    }

    /// Copies `n` rows of `columns` elements, times `factor`.
    pub(super) fn copy(&mut self, vectors: Vectors, from: Rows, [n, columns]: [usize; 2], factor: f32) {
        let Rows { data, stride } = from;
        vectors.vectorized(
            #[inline(always)]
            || {
                for (i, row) in self.data.chunks_exact_mut(self.stride).take(n).enumerate() {
                    for (to, from) in row[..columns].iter_mut().zip(&data[i * stride..][..columns]) {
                        *to = from * factor;
                    }
                    row[columns..padded(columns)].fill(0.0);
                }
            },
        );
    }

    /// Copies `n` rows of `columns` elements as columns.
    pub(super) fn copy_transposed(&mut self, vectors: Vectors, from: Rows, [n, columns]: [usize; 2]) {
        transpose(vectors, self.data, self.stride, from, [n, columns]);
        for row in self.data.chunks_exact_mut(self.stride).take(columns) {
            row[n..padded(n)].fill(0.0);
        }
    }

    /// Overwrites `n` rows of `columns` elements with zeros.
    pub(super) fn clear(&mut self, [n, columns]: [usize; 2]) {
        for row in self.data.chunks_exact_mut(self.stride).take(n) {
            row[..padded(columns)].fill(0.0);
        }
    }
}
