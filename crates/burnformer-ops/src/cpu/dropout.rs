//! Dropout, its numbers drawn inside the kernel.

use super::parallel::{self, BLOCK_ROWS};
use super::philox::Row;
use super::{Vectors, for_overwrite, vectorized};
use crate::Dropout;
use burnformer_core::random::Draw;

/// The multipliers of a tensor whose rows are numbered through: 0 for an element that is dropped, else
/// `1 / (1 - probability)`.
pub(crate) struct Multipliers<'a> {
    samples: &'a [u64],
    keys: Vec<[u32; 2]>,
    rows: usize,
    first_quad: u32,
    threshold: u32,
    kept: f32,
    vectors: Vectors,
}

impl<'a> Multipliers<'a> {
    /// Of a tensor of this shape: the first axis is the batch, the last two are row and column, those between are planes; of
    /// two axes the second is the column.
    ///
    /// # Panics
    /// If there are less than two axes, or the first is not as long as there are samples.
    pub(crate) fn new(options: &'a Dropout, shape: &[usize]) -> Self {
        let (batch_size, planes, rows) = match shape {
            [batch_size, _] => (*batch_size, 1, 1),
            [batch_size, planes @ .., rows, _] => (*batch_size, planes.iter().product(), *rows),
            _ => panic!("dropout: a tensor of shape {shape:?} has no batch and no column axis"),
        };
        let samples = options.draw.samples();
        assert_eq!(
            batch_size,
            samples.len(),
            "dropout: {batch_size} rows in the batch, sample numbers for {}",
            samples.len()
        );
        Self {
            samples,
            keys: (0..planes).map(|plane| options.draw.key(plane)).collect(),
            rows,
            first_quad: options.draw.first_quad(),
            threshold: Draw::threshold(options.probability),
            kept: (1.0 / (1.0 - options.probability)) as f32,
            vectors: Vectors::widest(),
        }
    }

    /// The same, drawn by other instructions.
    #[cfg(test)]
    pub(crate) fn by(self, vectors: Vectors) -> Self {
        Self { vectors, ..self }
    }

    /// Those of row number `row` over the whole tensor.
    #[inline(always)]
    pub(crate) fn fill_row(&self, row: usize, out: &mut [f32]) {
        let (plane, row) = (row / self.rows, row % self.rows);
        self.fill(plane / self.keys.len(), plane % self.keys.len(), row, 0, out);
    }

    /// Those of one row from column `first` on, which is a multiple of four.
    #[inline(always)]
    pub(crate) fn fill(&self, batch: usize, plane: usize, row: usize, first: usize, out: &mut [f32]) {
        debug_assert!(first.is_multiple_of(4));
        let row = Row {
            key: self.keys[plane],
            sample: self.samples[batch],
            row: row as u32,
            threshold: self.threshold,
            kept: self.kept,
        };
        row.fill(self.vectors, self.first_quad.wrapping_add((first / 4) as u32), out);
    }
}

/// `residual + multipliers · x`, rows of `columns` elements.
pub(crate) fn forward(x: &[f32], residual: Option<&[f32]>, columns: usize, multipliers: &Multipliers) -> Vec<f32> {
    let mut out = for_overwrite(x.len());
    if out.is_empty() {
        return out;
    }
    let tasks = out.chunks_mut(BLOCK_ROWS * columns).collect();
    parallel::map(tasks, x.len(), |block, out: &mut [f32]| {
        let first = block * BLOCK_ROWS;
        vectorized(
            #[inline(always)]
            || {
                for (row, out) in (first..).zip(out.chunks_exact_mut(columns)) {
                    let here = row * columns..(row + 1) * columns;
                    multipliers.fill_row(row, out);
                    for (out, x) in out.iter_mut().zip(&x[here.clone()]) {
                        *out *= x;
                    }
                    if let Some(residual) = residual {
                        for (out, residual) in out.iter_mut().zip(&residual[here]) {
                            *out += residual;
                        }
                    }
                }
            },
        );
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use burnformer_core::random::DropoutRng;

    #[test]
    fn the_numbers_are_those_of_the_draw() {
        let whole = Dropout::new(0.3, DropoutRng::training(5, [7, 1 << 40])).unwrap();
        for options in [whole.clone(), whole.from(2, 12)] {
            for columns in [1, 3, 4, 63, 64, 65, 200] {
                let shape = [2, 3, 5, columns];
                let expected = options.draw.multipliers(shape, 0.3);
                let multipliers = Multipliers::new(&options, &shape);
                let ones = vec![1.0; expected.len()];
                assert_eq!(forward(&ones, None, columns, &multipliers), expected, "{columns} columns");
                let mut tail = vec![0.0; columns - columns / 8 * 4];
                multipliers.fill(1, 2, 4, columns / 8 * 4, &mut tail);
                assert_eq!(tail, expected[expected.len() - tail.len()..]);
            }
        }
    }
}
