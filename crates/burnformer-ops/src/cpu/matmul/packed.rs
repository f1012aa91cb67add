//! Weights laid out once, for products of any number of rows with them.

use super::transpose::{can_transpose, transpose};
use super::{Precision, RightFactor, View, ViewMut, int8, matmul};
use crate::cpu::{for_overwrite, parallel};
use crate::{PrepareError, WeightFormat};

/// Rows of a weight that one task transposes.
const TRANSPOSED_ROWS: usize = 64;

/// A weight `[d_out, d_in]`.
pub(crate) struct Packed {
    d_in: usize,
    d_out: usize,
    layout: Layout,
}

/// The numbers of a weight, one variant for each [`WeightFormat`] that there are products of.
enum Layout {
    /// Panels for this processor's kernel, of `f32` or bfloat16.
    Panels(RightFactor<'static>),
    /// The transpose, `[d_in, d_out]`, where the kernel has no panels.
    Transposed(Vec<f32>),
    /// Integers with scales.
    Int8(int8::Weights),
}

impl Layout {
    fn floats(weight: &[f32], [d_out, d_in]: [usize; 2], precision: Precision) -> Self {
        match RightFactor::kept(View::row_major(weight, d_out, d_in).transposed(), precision) {
            Some(panels) => Self::Panels(panels),
            None => Self::Transposed(transposed(weight, d_out, d_in)),
        }
    }
}

impl Packed {
    /// Lays out `weight`, whose shape is `[d_out, d_in]`.
    pub(crate) fn new(weight: &[f32], [d_out, d_in]: [usize; 2], format: WeightFormat) -> Result<Self, PrepareError> {
        assert_eq!(weight.len(), d_out * d_in, "a weight has as many elements as its shape says");
        let layout = match format {
            WeightFormat::F32 => Layout::floats(weight, [d_out, d_in], Precision::F32),
            WeightFormat::Bf16 => Layout::floats(weight, [d_out, d_in], Precision::Bf16),
            WeightFormat::Int8 => Layout::Int8(int8::Weights::quantize(weight, [d_out, d_in])?),
        };
        Ok(Self { d_in, d_out, layout })
    }

    pub(crate) fn d_in(&self) -> usize {
        self.d_in
    }

    pub(crate) fn d_out(&self) -> usize {
        self.d_out
    }

    /// `x weightᵀ + bias` for `x` `[n, d_in]`.
    pub(crate) fn forward(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let mut y = for_overwrite(x.len() / self.d_in.max(1) * self.d_out);
        self.apply(x, bias, &mut y);
        y
    }

    /// [`Self::forward`] to `y` `[n, d_out]`.
    pub(crate) fn apply(&self, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let n = x.len() / self.d_in.max(1);
        let (x, y) = (View::row_major(x, n, self.d_in), ViewMut::row_major(y, n, self.d_out));
        match &self.layout {
            Layout::Panels(weight) => weight.multiply(y, x, false, bias),
            Layout::Transposed(weight) => {
                let weight = View::row_major(weight, self.d_in, self.d_out);
                matmul(y, x, weight, 1.0, false, bias, Precision::F32);
            }
            Layout::Int8(weights) => int8::product(y, &int8::Rows::quantize(x), weights, bias),
        }
    }
}

/// The transpose of `[rows, columns]`.
fn transposed(from: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = for_overwrite(from.len());
    let from = View::row_major(from, rows, columns);
    if !can_transpose(from) {
        for (j, column) in out.chunks_exact_mut(rows.max(1)).enumerate() {
            for (i, element) in column.iter_mut().enumerate() {
                *element = from.data()[i * columns + j];
            }
        }
        return out;
    }
    // Each task has some rows of the transpose.
    let tasks: Vec<_> = out.chunks_mut((TRANSPOSED_ROWS * rows).max(1)).collect();
    parallel::map(tasks, rows * columns, |number, out: &mut [f32]| {
        let first = number * TRANSPOSED_ROWS;
        let columns = first..columns.min(first + TRANSPOSED_ROWS);
        transpose(from.part(0..rows, columns), out, rows);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums in `f64`, within a few roundings for each term, of numbers that are also those of bfloat16.
    #[test]
    fn products_equal_sums_of_all_shapes() {
        let shapes = [[1, 1, 1], [2, 3, 5], [7, 129, 65], [33, 64, 131], [4, 200, 3], [0, 5, 4], [70, 31, 257]];
        for ([n, d_in, d_out], format) in
            shapes.into_iter().flat_map(|shape| [WeightFormat::F32, WeightFormat::Bf16].map(|format| (shape, format)))
        {
            let value = |i: usize| ((i * 2_654_435_761 % 256) as f32 - 128.0) / 64.0;
            let x: Vec<f32> = (0..n * d_in).map(value).collect();
            let weight: Vec<f32> = (7..7 + d_out * d_in).map(value).collect();
            let bias: Vec<f32> = (3..3 + d_out).map(value).collect();
            let packed = Packed::new(&weight, [d_out, d_in], format).unwrap();
            assert_eq!([packed.d_out(), packed.d_in()], [d_out, d_in]);
            for bias in [None, Some(&bias[..])] {
                let y = packed.forward(&x, bias);
                assert_eq!(y.len(), n * d_out);
                for (place, y) in y.iter().enumerate() {
                    let (row, column) = (place / d_out, place % d_out);
                    let terms = (0..d_in).map(|i| f64::from(x[row * d_in + i]) * f64::from(weight[column * d_in + i]));
                    let magnitude: f64 = terms.clone().map(f64::abs).sum();
                    let expected = terms.sum::<f64>() + bias.map_or(0.0, |bias| f64::from(bias[column]));
                    let difference = (f64::from(*y) - expected).abs();
                    assert!(
                        difference <= 1e-5 * (magnitude + 1.0),
                        "{n} {d_in} {d_out} at {place}: {y} {expected} {format}"
                    );
                }
            }
        }
    }

    /// Processors whose kernel has no panels multiply by it.
    #[test]
    fn a_transpose_has_the_elements_of_its_matrix() {
        for [rows, columns] in [[1, 1], [3, 5], [70, 33], [17, 200], [0, 4]] {
            let from: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let to = transposed(&from, rows, columns);
            assert!(
                (0..rows * columns).all(|i| to[i % columns * rows + i / columns] == from[i]),
                "[{rows}, {columns}]"
            );
        }
    }

    #[test]
    fn nan_and_infinity_spread_as_in_the_formula() {
        let mut weight = vec![0.5; 40 * 30];
        weight[3 * 30 + 7] = f32::INFINITY;
        let packed = Packed::new(&weight, [40, 30], WeightFormat::F32).unwrap();
        let mut x = vec![0.0; 2 * 30];
        x[30] = f32::NAN;
        let y = packed.forward(&x, None);
        let (first, second) = y.split_at(40);
        assert!(first.iter().enumerate().all(|(i, y)| if i == 3 { y.is_nan() } else { *y == 0.0 }), "{first:?}");
        assert!(second.iter().all(|y| y.is_nan()));
    }
}
