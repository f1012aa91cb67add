//! Layer normalisation with the residual connection in front of it.

use super::{as_row, dropout, into_rows};
use crate::{LayerNormOptions, MaybeTensor};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

/// `(s - mean) / sqrt(variance + eps) · weight + bias` over the last axis, with `s = residual + dropout(x)`.
///
/// # Shapes
/// - x, residual: `[.., d_model]`
/// - weight, bias: `[d_model]`
/// - returns: `[.., d_model]`
///
/// Source: Ba, Kiros, Hinton 2016, section 3; the variance is that of the population. Residual and dropout as in Vaswani
/// et al. 2017, section 5.4.
pub fn layer_norm<B: Backend>(
    x: FloatTensor<B>,
    residual: MaybeTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    options: LayerNormOptions,
) -> FloatTensor<B> {
    let shape = x.shape();
    let sum = match (options.dropout, residual) {
        (Some(options), residual) => dropout::<B>(x, residual, options),
        (None, MaybeTensor::Some(residual)) => B::float_add(residual, x),
        (None, MaybeTensor::None) => x,
    };
    let rows = into_rows::<B>(sum);
    let mean = B::float_mean_dim(rows.clone(), 1);
    let centred = B::float_sub(rows, mean);
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 1);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, options.eps.into()));
    let normal = B::float_div(centred, deviation);
    let out = B::float_add(B::float_mul(normal, as_row::<B>(weight)), as_row::<B>(bias));
    B::float_reshape(out, shape)
}
