//! Bias, activation and dropout in one pass.

use super::dropout::Multipliers;
use super::math::{erf, exp, tanh};
use super::parallel::{self, BLOCK_ROWS};
use super::vectorized;
use crate::Activation;
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// sqrt(2 / π), half of which is also 1 / sqrt(2 π).
const SQRT_2_OVER_PI: f32 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const CUBIC: f32 = 0.044_715;

/// A non-linearity.
trait Curve {
    fn value(x: f32) -> f32;

    /// Value and derivative, which have much in common.
    fn with_derivative(x: f32) -> [f32; 2];
}

struct Identity;

impl Curve for Identity {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x
    }

    #[inline(always)]
    fn with_derivative(x: f32) -> [f32; 2] {
        [x, 1.0]
    }
}

struct Relu;

impl Curve for Relu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        if x < 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn with_derivative(x: f32) -> [f32; 2] {
        [Self::value(x), if x > 0.0 { 1.0 } else { 0.0 }]
    }
}

/// `x Φ(x)`, whose derivative is `Φ(x) + x φ(x)`.
struct Gelu;

impl Curve for Gelu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))
    }

    #[inline(always)]
    fn with_derivative(x: f32) -> [f32; 2] {
        let below = 0.5 * (1.0 + erf(x * FRAC_1_SQRT_2));
        [x * below, below + x * (0.5 * SQRT_2_OVER_PI) * exp(-0.5 * x * x)]
    }
}

struct GeluTanh;

impl Curve for GeluTanh {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * x * (1.0 + CUBIC * x * x)))
    }

    #[inline(always)]
    fn with_derivative(x: f32) -> [f32; 2] {
        let t = tanh(SQRT_2_OVER_PI * x * (1.0 + CUBIC * x * x));
        let inner = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
        [0.5 * x * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner]
    }
}

/// `x σ(x)`, whose derivative is `σ(x) + x σ(x) (1 - σ(x))`.
struct Silu;

impl Curve for Silu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x * 0.5 * (1.0 + tanh(0.5 * x))
    }

    #[inline(always)]
    fn with_derivative(x: f32) -> [f32; 2] {
        let sigmoid = 0.5 * (1.0 + tanh(0.5 * x));
        [x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid))]
    }
}

/// `dropout(activation(x + bias))` on rows of `columns` elements.
pub(crate) struct BiasActivation<'a> {
    pub(crate) columns: usize,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Activation,
    pub(crate) dropout: Option<Multipliers<'a>>,
}

impl BiasActivation<'_> {
    /// Some rows, of which the first has a number among all rows.
    pub(crate) fn forward(&self, first_row: usize, x: &[f32], out: &mut [f32]) {
        match self.activation {
            Activation::Identity => self.values::<Identity>(first_row, x, out),
            Activation::Relu => self.values::<Relu>(first_row, x, out),
            Activation::Gelu => self.values::<Gelu>(first_row, x, out),
            Activation::GeluTanh => self.values::<GeluTanh>(first_row, x, out),
            Activation::Silu => self.values::<Silu>(first_row, x, out),
        }
    }

    /// The gradient of `x` in the place of `dy`; returns that of the bias. `out` becomes what it was in the forward pass.
    pub(crate) fn backward(&self, first_row: usize, x: &[f32], dy: &mut [f32], out: Option<&mut [f32]>) -> Vec<f32> {
        match self.activation {
            Activation::Identity => self.gradients::<Identity>(first_row, x, dy, out),
            Activation::Relu => self.gradients::<Relu>(first_row, x, dy, out),
            Activation::Gelu => self.gradients::<Gelu>(first_row, x, dy, out),
            Activation::GeluTanh => self.gradients::<GeluTanh>(first_row, x, dy, out),
            Activation::Silu => self.gradients::<Silu>(first_row, x, dy, out),
        }
    }

    fn values<C: Curve>(&self, first_row: usize, x: &[f32], out: &mut [f32]) {
        let columns = self.columns;
        if columns == 0 {
            return;
        }
        let zeros = vec![0.0; if self.bias.is_some() { 0 } else { columns }];
        let bias = self.bias.unwrap_or(&zeros);
        let size = BLOCK_ROWS * columns;
        let tasks = out.chunks_mut(size).zip(x.chunks(size)).collect();
        parallel::map(tasks, x.len(), |block, (out, x): (&mut [f32], &[f32])| {
            let mut room = vec![0.0; if self.dropout.is_some() { columns } else { 0 }];
            vectorized(
                #[inline(always)]
                || {
                    let first_row = first_row + block * BLOCK_ROWS;
                    for (row, (out, x)) in (first_row..).zip(out.chunks_exact_mut(columns).zip(x.chunks_exact(columns)))
                    {
                        for ((out, x), bias) in out.iter_mut().zip(x).zip(bias) {
                            *out = C::value(x + bias);
                        }
                        if let Some(multipliers) = &self.dropout {
                            multipliers.fill_row(row, &mut room);
                            for (out, multiplier) in out.iter_mut().zip(&room) {
                                *out *= multiplier;
                            }
                        }
                    }
                },
            );
        });
    }

    fn gradients<C: Curve>(&self, first_row: usize, x: &[f32], dy: &mut [f32], out: Option<&mut [f32]>) -> Vec<f32> {
        let columns = self.columns;
        if columns == 0 {
            return Vec::new();
        }
        let zeros = vec![0.0; if self.bias.is_some() { 0 } else { columns }];
        let bias = self.bias.unwrap_or(&zeros);
        let size = BLOCK_ROWS * columns;
        // An empty slice a block where the output is not wanted.
        let mut outs = out.unwrap_or_default().chunks_mut(size);
        let tasks: Vec<_> =
            dy.chunks_mut(size).zip(x.chunks(size)).map(|task| (task, outs.next().unwrap_or_default())).collect();
        let partial = parallel::map(tasks, x.len(), |block, ((dy, x), out): ((&mut [f32], &[f32]), &mut [f32])| {
            let mut dbias = vec![0.0; columns];
            // The row's output, where nobody wants it, and its multipliers.
            let (mut unwanted, mut room) = (vec![0.0; columns], vec![1.0; columns]);
            vectorized(
                #[inline(always)]
                || {
                    let mut outs = out.chunks_exact_mut(columns);
                    let first_row = first_row + block * BLOCK_ROWS;
                    for (row, (dy, x)) in (first_row..).zip(dy.chunks_exact_mut(columns).zip(x.chunks_exact(columns))) {
                        if let Some(multipliers) = &self.dropout {
                            multipliers.fill_row(row, &mut room);
                        }
                        let out = outs.next().unwrap_or(&mut unwanted);
                        let inputs = x.iter().zip(bias).zip(&room);
                        for (((dy, out), dbias), ((x, bias), multiplier)) in
                            dy.iter_mut().zip(out).zip(&mut dbias).zip(inputs)
                        {
                            let [value, derivative] = C::with_derivative(x + bias);
                            *out = value * multiplier;
                            *dy *= derivative * multiplier;
                            *dbias += *dy;
                        }
                    }
                },
            );
            dbias
        });
        parallel::sum_of(partial, columns)
    }
}
