//! The affine map `y = x weightᵀ + bias` on `[n, d_in]` and its gradients.

use super::matmul::{RightFactor, View, ViewMut, matmul};
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
        let mut y = for_overwrite(x.len() / self.d_in.max(1) * self.d_out);
        self.apply(x, bias, &mut y);
        y
    }

    /// [`Self::forward`] to `y`.
    pub(crate) fn apply(&self, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        self.apply_by(&self.factor(1), x, bias, y);
    }

    /// The weight as a factor of so many calls of [`Self::apply_by`].
    pub(crate) fn factor(&self, uses: usize) -> RightFactor<'_> {
        let weight = View::row_major(self.weight, self.d_out, self.d_in).transposed();
        RightFactor::new(weight, self.precision, uses)
    }

    /// [`Self::apply`] by what [`Self::factor`] gave.
    pub(crate) fn apply_by(&self, weight: &RightFactor, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let n = x.len() / self.d_in.max(1);
        let x = View::row_major(x, n, self.d_in);
        weight.multiply(ViewMut::row_major(y, n, self.d_out), x, false, bias);
    }

    /// `dx = dy weight`; `onto` is added to.
    pub(crate) fn input_gradient(&self, dy: &[f32], onto: Option<Vec<f32>>) -> Vec<f32> {
        let accumulate = onto.is_some();
        let mut dx = onto.unwrap_or_else(|| for_overwrite(dy.len() / self.d_out.max(1) * self.d_in));
        self.add_input_gradient_by(&self.gradient_factor(1), dy, &mut dx, accumulate);
        dx
    }

    /// The weight as a factor of so many calls of [`Self::add_input_gradient_by`].
    pub(crate) fn gradient_factor(&self, uses: usize) -> RightFactor<'_> {
        RightFactor::new(View::row_major(self.weight, self.d_out, self.d_in), self.precision, uses)
    }

    /// [`Self::input_gradient`] to `dx`, or added to it, by what [`Self::gradient_factor`] gave.
    pub(crate) fn add_input_gradient_by(&self, weight: &RightFactor, dy: &[f32], dx: &mut [f32], accumulate: bool) {
        let n = dy.len() / self.d_out.max(1);
        let dy = View::row_major(dy, n, self.d_out);
        weight.multiply(ViewMut::row_major(dx, n, self.d_in), dy, accumulate, None);
    }

    /// `dweight = dyᵀ x`
    pub(crate) fn weight_gradient(&self, dy: &[f32], x: &[f32]) -> Vec<f32> {
        let mut gradient = for_overwrite(self.d_out * self.d_in);
        self.add_weight_gradient(dy, x, &mut gradient, false);
        gradient
    }

    /// [`Self::weight_gradient`] to `gradient`, or added to it.
    pub(crate) fn add_weight_gradient(&self, dy: &[f32], x: &[f32], gradient: &mut [f32], accumulate: bool) {
        let n = dy.len() / self.d_out.max(1);
        let dy = View::row_major(dy, n, self.d_out).transposed();
        let x = View::row_major(x, n, self.d_in);
        let out = ViewMut::row_major(gradient, self.d_out, self.d_in);
        matmul(out, dy, x, 1.0, accumulate, None, self.precision);
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
