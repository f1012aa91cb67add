//! Bias and activation in one pass.

use super::math::{erf, exp, tanh};
use super::parallel::{self, BLOCK_ROWS};
use super::{for_overwrite, vectorized};
use crate::Activation;
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// sqrt(2 / π), half of which is also 1 / sqrt(2 π).
const SQRT_2_OVER_PI: f32 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const CUBIC: f32 = 0.044_715;

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// `Φ(x) + x φ(x)`
#[inline(always)]
fn gelu_derivative(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * FRAC_1_SQRT_2)) + x * (0.5 * SQRT_2_OVER_PI) * exp(-0.5 * x * x)
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * x * (1.0 + CUBIC * x * x)))
}

#[inline(always)]
fn gelu_tanh_derivative(x: f32) -> f32 {
    let t = tanh(SQRT_2_OVER_PI * x * (1.0 + CUBIC * x * x));
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x)
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

#[inline(always)]
fn relu_derivative(x: f32) -> f32 {
    if x > 0.0 { 1.0 } else { 0.0 }
}

/// `activation(x + bias)` on rows of `columns` elements.
pub(crate) fn forward(x: &[f32], bias: Option<&[f32]>, columns: usize, activation: Activation) -> Vec<f32> {
    match activation {
        Activation::Identity => map(
            x,
            bias,
            columns,
            #[inline(always)]
            |x| x,
        ),
        Activation::Relu => map(x, bias, columns, relu),
        Activation::Gelu => map(x, bias, columns, gelu),
        Activation::GeluTanh => map(x, bias, columns, gelu_tanh),
    }
}

#[inline(always)]
fn map(x: &[f32], bias: Option<&[f32]>, columns: usize, f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    let mut out = for_overwrite(x.len());
    if out.is_empty() {
        return out;
    }
    let size = BLOCK_ROWS * columns;
    let tasks = out.chunks_mut(size).zip(x.chunks(size)).collect();
    parallel::map(tasks, x.len(), |_, (out, x): (&mut [f32], &[f32])| {
        vectorized(
            #[inline(always)]
            || match bias {
                None => {
                    for (out, x) in out.iter_mut().zip(x) {
                        *out = f(*x);
                    }
                }
                Some(bias) => {
                    for (out, x) in out.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                        for ((out, x), bias) in out.iter_mut().zip(x).zip(bias) {
                            *out = f(x + bias);
                        }
                    }
                }
            },
        );
    });
    out
}

/// Gradients of input (in place of `dy`) and bias (empty without one).
pub(crate) fn backward(
    dy: Vec<f32>,
    x: &[f32],
    bias: Option<&[f32]>,
    columns: usize,
    activation: Activation,
) -> (Vec<f32>, Vec<f32>) {
    match activation {
        Activation::Identity => times_derivative(
            dy,
            x,
            bias,
            columns,
            #[inline(always)]
            |_| 1.0,
        ),
        Activation::Relu => times_derivative(dy, x, bias, columns, relu_derivative),
        Activation::Gelu => times_derivative(dy, x, bias, columns, gelu_derivative),
        Activation::GeluTanh => times_derivative(dy, x, bias, columns, gelu_tanh_derivative),
    }
}

#[inline(always)]
fn times_derivative(
    mut dy: Vec<f32>,
    x: &[f32],
    bias: Option<&[f32]>,
    columns: usize,
    derivative: impl Fn(f32) -> f32 + Sync,
) -> (Vec<f32>, Vec<f32>) {
    if dy.is_empty() {
        return (dy, vec![0.0; bias.map_or(0, <[f32]>::len)]);
    }
    let size = BLOCK_ROWS * columns;
    let tasks = dy.chunks_mut(size).zip(x.chunks(size)).collect();
    let partial = parallel::map(tasks, x.len(), |_, (dy, x): (&mut [f32], &[f32])| {
        let mut dbias = vec![0.0; bias.map_or(0, <[f32]>::len)];
        vectorized(
            #[inline(always)]
            || match bias {
                None => {
                    for (dy, x) in dy.iter_mut().zip(x) {
                        *dy *= derivative(*x);
                    }
                }
                Some(bias) => {
                    for (dy, x) in dy.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                        for (((dy, x), bias), dbias) in dy.iter_mut().zip(x).zip(bias).zip(&mut dbias) {
                            *dy *= derivative(x + bias);
                            *dbias += *dy;
                        }
                    }
                }
            },
        );
        dbias
    });
    let dbias = parallel::sum_of(partial, 0);
    (dy, dbias)
}
