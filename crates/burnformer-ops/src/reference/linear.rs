//! Affine maps with PyTorch's weight layout.

use super::{as_row, into_rows};
use crate::{MaybeTensor, QkvBias};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Shape, TensorMetadata};

/// `x weightᵀ + bias` over the last axis.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - weight: `[d_out, d_in]`
/// - bias: `[d_out]`
/// - returns: `[.., d_out]`
pub fn linear<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>, bias: MaybeTensor<B>) -> FloatTensor<B> {
    let mut shape = x.shape().to_vec();
    let last = shape.len() - 1;
    shape[last] = weight.shape()[0];
    let product = B::float_matmul(into_rows::<B>(x), B::float_swap_dims(weight, 0, 1));
    let sum = match bias {
        MaybeTensor::None => product,
        MaybeTensor::Some(bias) => B::float_add(product, as_row::<B>(bias)),
    };
    B::float_reshape(sum, Shape::from(shape))
}

/// The three [`linear`] maps of one input that attention starts with: one product, three parameters.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - weights: `[d_q, d_in]`, `[d_k, d_in]`, `[d_v, d_in]`
/// - returns: `[.., d_q]`, `[.., d_k]`, `[.., d_v]`
pub fn qkv<B: Backend>(
    x: FloatTensor<B>,
    weight_q: FloatTensor<B>,
    weight_k: FloatTensor<B>,
    weight_v: FloatTensor<B>,
    bias: QkvBias<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let [bias_q, bias_k, bias_v] = bias.into_parts();
    (
        linear::<B>(x.clone(), weight_q, bias_q),
        linear::<B>(x.clone(), weight_k, bias_k),
        linear::<B>(x, weight_v, bias_v),
    )
}
