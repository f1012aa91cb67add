//! The affine map `y = x weightᵀ + bias` on `[n, d_in]` and its gradients.

use super::matmul::{View, ViewMut, matmul};
use super::parallel::{self, BLOCK_ROWS};
use super::{for_overwrite, vectorized};
use crate::Precision;

/// One map of an input.
#[derive(Clone, Copy)]
pub(crate) struct Map<'a> {
    /// `[d_out, d_in]`
    pub(crate) weight: &'a [f32],
    pub(crate) d_in: usize,
    pub(crate) d_out: usize,
    pub(crate) precision: Precision,
}

impl Map<'_> {
    pub(crate) fn forward(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let n = x.len() / self.d_in.max(1);
        let mut y = for_overwrite(n * self.d_out);
        let weight = View::row_major(self.weight, self.d_out, self.d_in).transposed();
        let x = View::row_major(x, n, self.d_in);
        matmul(ViewMut::row_major(&mut y, n, self.d_out), x, weight, 1.0, false, bias, self.precision);
        y
    }

    /// `dx = dy weight`; `onto` is added to.
    pub(crate) fn input_gradient(&self, dy: &[f32], onto: Option<Vec<f32>>) -> Vec<f32> {
        let n = dy.len() / self.d_out.max(1);
        let accumulate = onto.is_some();
        let mut dx = onto.unwrap_or_else(|| for_overwrite(n * self.d_in));
        let dy = View::row_major(dy, n, self.d_out);
        let weight = View::row_major(self.weight, self.d_out, self.d_in);
        matmul(ViewMut::row_major(&mut dx, n, self.d_in), dy, weight, 1.0, accumulate, None, self.precision);
        dx
    }

    /// `dweight = dyᵀ x`
    pub(crate) fn weight_gradient(&self, dy: &[f32], x: &[f32]) -> Vec<f32> {
        let n = dy.len() / self.d_out.max(1);
        let mut gradient = for_overwrite(self.d_out * self.d_in);
        let dy = View::row_major(dy, n, self.d_out).transposed();
        let x = View::row_major(x, n, self.d_in);
        matmul(ViewMut::row_major(&mut gradient, self.d_out, self.d_in), dy, x, 1.0, false, None, self.precision);
        gradient
    }
}

/// The sum over all rows: the gradient of a bias.
pub(crate) fn column_sums(x: &[f32], columns: usize) -> Vec<f32> {
    if x.is_empty() {
        return vec![0.0; columns];
    }
    let blocks = x.chunks(BLOCK_ROWS * columns).collect();
    let partial = parallel::map(blocks, x.len(), |_, block: &[f32]| {
        let mut sums = vec![0.0; columns];
        vectorized(
            #[inline(always)]
            || {
                for row in block.chunks_exact(columns) {
                    for (sum, x) in sums.iter_mut().zip(row) {
                        *sum += x;
                    }
                }
            },
        );
        sums
    });
    parallel::sum_of(partial, columns)
}
