//! Bias and activation of a feed-forward layer.

use super::as_row;
use crate::{Activation, MaybeTensor};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

/// `activation(x + bias)`, the bias along the last axis.
///
/// Sources: GELU from Hendrycks and Gimpel 2016, both as `x Φ(x)` with the error function and as the approximation by
/// tanh. The first is composed of `erf` instead of burn's `gelu`, whose backward pass on `NdArray` and `Wgpu` is the
/// derivative of the approximation (wrong by up to 9e-4). `SiLU` from Elfwing et al. 2018.
pub fn bias_activation<B: Backend>(x: FloatTensor<B>, bias: MaybeTensor<B>, activation: Activation) -> FloatTensor<B> {
    let shape = x.shape();
    let x = match bias {
        MaybeTensor::None => x,
        MaybeTensor::Some(bias) => {
            let rows = super::into_rows::<B>(x);
            B::float_reshape(B::float_add(rows, as_row::<B>(bias)), shape)
        }
    };
    match activation {
        Activation::Identity => x,
        Activation::Relu => B::relu(x),
        Activation::Gelu => {
            let erf = B::float_erf(B::float_mul_scalar(x.clone(), FRAC_1_SQRT_2.into()));
            half_of_product::<B>(x, erf)
        }
        Activation::GeluTanh => {
            let square = B::float_mul(x.clone(), x.clone());
            let factor = B::float_add_scalar(B::float_mul_scalar(square, 0.044_715.into()), 1.0.into());
            // sqrt(2 / π) = (2 / sqrt(π)) / sqrt(2)
            let inner = B::float_mul_scalar(B::float_mul(x.clone(), factor), (FRAC_2_SQRT_PI / SQRT_2).into());
            half_of_product::<B>(x, B::float_tanh(inner))
        }
        Activation::Silu => {
            // σ(x) = (1 + tanh(x / 2)) / 2; burn's sigmoid is one of single precision.
            let tanh = B::float_tanh(B::float_mul_scalar(x.clone(), 0.5.into()));
            half_of_product::<B>(x, tanh)
        }
    }
}

/// `x (1 + y) / 2`.
fn half_of_product<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
    let weight = B::float_mul_scalar(B::float_add_scalar(y, 1.0.into()), 0.5.into());
    B::float_mul(x, weight)
}
