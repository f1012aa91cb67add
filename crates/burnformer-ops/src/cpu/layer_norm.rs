//! Dropout, residual and layer normalisation in one pass.

use super::dropout::Multipliers;
use super::parallel::{self, BLOCK_ROWS};
use super::reductions::{dot, sum};
use super::{Vectors, for_overwrite};
use pulp::{Simd, WithSimd};

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Normalized {
    /// `(s - mean) / deviation` of every row.
    pub(crate) normal: Vec<f32>,
    /// `1 / deviation` of every row.
    pub(crate) inverse_deviation: Vec<f32>,
}

/// What is normalised, in rows as long as `weight`.
pub(crate) struct Input<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) dropout: Option<Multipliers<'a>>,
}

/// `(s - mean) / sqrt(variance + eps) · weight + bias` with `s = residual + dropout(x)`; with `keep`, what the backward
/// pass needs.
pub(crate) fn forward(input: &Input, weight: &[f32], bias: &[f32], eps: f32, keep: bool) -> (Vec<f32>, Normalized) {
    let (len, columns) = (input.x.len(), weight.len());
    let mut out = for_overwrite(len);
    if len == 0 {
        return (out, Normalized::default());
    }
    let mut kept = Normalized::default();
    if keep {
        kept = Normalized { normal: for_overwrite(len), inverse_deviation: for_overwrite(len / columns) };
    }
    let size = BLOCK_ROWS * columns;
    // Two empty slices a block where nothing is kept.
    let mut normals = kept.normal.chunks_mut(size);
    let mut deviations = kept.inverse_deviation.chunks_mut(BLOCK_ROWS);
    let mut next = || (normals.next().unwrap_or_default(), deviations.next().unwrap_or_default());
    let tasks: Vec<_> = out.chunks_mut(size).map(|out| (out, next())).collect();
    parallel::map(tasks, len, |block, (out, (normal, deviation)): (&mut [f32], (&mut [f32], &mut [f32]))| {
        let first_row = block * BLOCK_ROWS;
        Vectors::widest().run(Forward { input, weight, bias, eps, keep, first_row, out, normal, deviation });
    });
    (out, kept)
}

/// Some rows of [`forward`].
struct Forward<'a> {
    input: &'a Input<'a>,
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
    keep: bool,
    first_row: usize,
    out: &'a mut [f32],
    normal: &'a mut [f32],
    deviation: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (weight, bias, columns) = (self.weight, self.bias, self.weight.len());
        for (index, out) in self.out.chunks_exact_mut(columns).enumerate() {
            self.input.add_up(self.first_row + index, out);
            let mean = sum(simd, out) / columns as f32;
            for s in out.iter_mut() {
                *s -= mean;
            }
            let inverse = (dot(simd, out, out) / columns as f32 + self.eps).sqrt().recip();
            if self.keep {
                self.deviation[index] = inverse;
                let normal = &mut self.normal[index * columns..(index + 1) * columns];
                for (((out, normal), weight), bias) in out.iter_mut().zip(normal).zip(weight).zip(bias) {
                    *normal = *out * inverse;
                    *out = *normal * weight + bias;
                }
            } else {
                for ((out, weight), bias) in out.iter_mut().zip(weight).zip(bias) {
                    *out = *out * inverse * weight + bias;
                }
            }
        }
    }
}

impl Input<'_> {
    /// `residual + dropout(x)` of one row.
    #[inline(always)]
    fn add_up(&self, row: usize, out: &mut [f32]) {
        let here = row * out.len()..(row + 1) * out.len();
        let x = &self.x[here.clone()];
        match &self.dropout {
            None => out.copy_from_slice(x),
            Some(multipliers) => {
                multipliers.fill_row(row, out);
                for (out, x) in out.iter_mut().zip(x) {
                    *out *= x;
                }
            }
        }
        if let Some(residual) = self.residual {
            for (out, residual) in out.iter_mut().zip(&residual[here]) {
                *out += residual;
            }
        }
    }
}

/// Gradients of a layer normalisation.
pub(crate) struct Gradients {
    /// Of the residual, or of everything that was normalised.
    pub(crate) sum: Vec<f32>,
    /// Of `x` where it was dropped out; elsewhere it is that of the sum.
    pub(crate) x: Option<Vec<f32>>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// The gradients for `dy`, which become that of the sum in the place of `normal`, and that of `x` in the place of `dy`.
pub(crate) fn backward(mut dy: Vec<f32>, kept: Normalized, weight: &[f32], dropout: Option<&Multipliers>) -> Gradients {
    let (len, columns) = (dy.len(), weight.len());
    let Normalized { mut normal, inverse_deviation } = kept;
    if len == 0 {
        let zeros = || vec![0.0; columns];
        return Gradients { sum: normal, x: dropout.map(|_| dy), weight: zeros(), bias: zeros() };
    }
    let size = BLOCK_ROWS * columns;
    let deviations = inverse_deviation.chunks(BLOCK_ROWS);
    let tasks: Vec<_> = dy.chunks_mut(size).zip(normal.chunks_mut(size)).zip(deviations).collect();
    let partial = parallel::map(tasks, len, |block, ((dy, normal), deviations): ((&mut [f32], &mut [f32]), &[f32])| {
        let (mut dweight, mut dbias, mut scaled) = (vec![0.0; columns], vec![0.0; columns], vec![0.0; columns]);
        Vectors::widest().run(Backward {
            weight,
            dropout,
            first_row: block * BLOCK_ROWS,
            dy,
            normal,
            deviations,
            dweight: &mut dweight,
            dbias: &mut dbias,
            scaled: &mut scaled,
        });
        (dweight, dbias)
    });
    let (dweights, dbiases) = partial.into_iter().unzip();
    Gradients {
        sum: normal,
        x: dropout.map(|_| dy),
        weight: parallel::sum_of(dweights, columns),
        bias: parallel::sum_of(dbiases, columns),
    }
}

/// Some rows of [`backward`].
struct Backward<'a> {
    weight: &'a [f32],
    dropout: Option<&'a Multipliers<'a>>,
    first_row: usize,
    dy: &'a mut [f32],
    normal: &'a mut [f32],
    deviations: &'a [f32],
    dweight: &'a mut [f32],
    dbias: &'a mut [f32],
    /// Room for a row.
    scaled: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (weight, columns) = (self.weight, self.weight.len());
        // Slices of their own: else the loops stay scalar.
        let (dweight, dbias, scaled) = (self.dweight, self.dbias, self.scaled);
        let rows = self.dy.chunks_exact_mut(columns).zip(self.normal.chunks_exact_mut(columns));
        for ((row, (dy, normal)), inverse) in (self.first_row..).zip(rows).zip(self.deviations) {
            let sums = dweight.iter_mut().zip(&mut *dbias);
            let inputs = dy.iter().zip(&*normal).zip(weight);
            for (((dweight, dbias), scaled), ((dy, normal), weight)) in sums.zip(&mut *scaled).zip(inputs) {
                *dweight += dy * normal;
                *dbias += dy;
                *scaled = dy * weight;
            }
            let mean = sum(simd, scaled) / columns as f32;
            let slope = dot(simd, scaled, normal) / columns as f32;
            for (normal, scaled) in normal.iter_mut().zip(&*scaled) {
                *normal = inverse * (scaled - mean - *normal * slope);
            }
            if let Some(multipliers) = self.dropout {
                multipliers.fill_row(row, dy);
                for (dy, dsum) in dy.iter_mut().zip(&*normal) {
                    *dy *= dsum;
                }
            }
        }
    }
}
