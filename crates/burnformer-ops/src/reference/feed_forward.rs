//! The feed-forward sub-layer.

use super::{bias_activation, dropout, linear};
use crate::{FeedForwardBias, FeedForwardOptions, MaybeTensor};
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// `dropout(activation(x weight_inᵀ + bias_in)) weight_outᵀ + bias_out` over the last axis.
///
/// # Shapes
/// - x: `[.., d_in]`; with dropout at least two axes, the batch first
/// - weights: `[d_ff, d_in]`, `[d_out, d_ff]`
/// - biases: `[d_ff]`, `[d_out]`
/// - returns: `[.., d_out]`
pub fn feed_forward<B: Backend>(
    x: FloatTensor<B>,
    weight_in: FloatTensor<B>,
    weight_out: FloatTensor<B>,
    bias: FeedForwardBias<B>,
    options: FeedForwardOptions,
) -> FloatTensor<B> {
    let [bias_in, bias_out] = bias.into_parts();
    let hidden = linear::<B>(x, weight_in, MaybeTensor::None);
    let hidden = bias_activation::<B>(hidden, bias_in, options.activation);
    let hidden = match options.dropout {
        None => hidden,
        Some(options) => dropout::<B>(hidden, MaybeTensor::None, options),
    };
    linear::<B>(hidden, weight_out, bias_out)
}
