//! Scaled dot-product attention.

use super::{bool_dtype, constant, dropout, fill};
use crate::{AttentionExtra, AttentionOptions, MaskPrimitive, MaybeTensor};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, Shape, TensorData, TensorMetadata};

/// Stands for minus infinity in scores: below every score, and its differences are finite.
const BLOCKED: f64 = -1e30;

/// `dropout(softmax(scale · q kᵀ, masked)) v`, and the logarithm of the softmax's denominator.
///
/// # Shapes
/// - q: `[batch_size, q_length, n_heads, d_head]`
/// - k: `[batch_size, kv_length, n_heads, d_head]`
/// - v: `[batch_size, kv_length, n_heads, d_value]`
/// - returns: `[batch_size, q_length, n_heads, d_value]`, and `[batch_size, n_heads, q_length]` without gradient
///
/// A query all of whose keys are blocked gives zeros (and a logarithm of minus infinity). With `causal`, query `i` sees the
/// keys up to `i + kv_length - q_length`: the last query sees all keys.
///
/// Source: Vaswani et al. 2017, section 3.2.1; dropout on the weights as in their code.
pub fn attention<B: Backend>(
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
    mask: MaskPrimitive<B>,
    options: AttentionOptions,
) -> (FloatTensor<B>, FloatTensor<B>) {
    attention_and::<B>(q, k, v, mask, options, AttentionExtra::LogSumExp)
}

/// [`attention`]'s first output, and the weights `[batch_size, n_heads, q_length, kv_length]` before dropout, which can be
/// differentiated too.
pub fn attention_with_weights<B: Backend>(
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
    mask: MaskPrimitive<B>,
    options: AttentionOptions,
) -> (FloatTensor<B>, FloatTensor<B>) {
    attention_and::<B>(q, k, v, mask, options, AttentionExtra::Weights)
}

/// [`attention`] or [`attention_with_weights`].
pub(crate) fn attention_and<B: Backend>(
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
    mask: MaskPrimitive<B>,
    options: AttentionOptions,
    extra: AttentionExtra,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let heads_first = |x| B::float_swap_dims(x, 1, 2); // [batch_size, n_heads, length, d_head]
    let k_transposed = B::float_swap_dims(heads_first(k), 2, 3);
    let scores = B::float_matmul(heads_first(q), k_transposed);
    let mut scores = B::float_mul_scalar(scores, options.scale.into()); // [batch_size, n_heads, q_length, kv_length]
    let [batch_size, n_heads, q_length, _] = scores.shape().dims();

    let blocked = blocked::<B>(&scores, mask, options.causal);
    if let Some(blocked) = &blocked {
        scores = fill::<B>(scores, blocked.clone(), BLOCKED);
    }
    let maximum = B::float_max_dim(constant::<B>(&scores), 3);
    let mut exp = B::float_exp(B::float_sub(scores, maximum.clone()));
    if let Some(blocked) = blocked {
        exp = fill::<B>(exp, blocked, 0.0);
    }
    let sum = B::float_sum_dim(exp.clone(), 3); // [batch_size, n_heads, q_length, 1]
    let empty = B::float_equal_elem(constant::<B>(&sum), 0.0.into(), bool_dtype::<B>(&sum));
    let logsumexp = || {
        let logsumexp = B::float_add(maximum, B::float_log(constant::<B>(&sum)));
        let logsumexp = fill::<B>(logsumexp, empty.clone(), f64::NEG_INFINITY);
        B::float_reshape(logsumexp, Shape::new([batch_size, n_heads, q_length]))
    };
    let logsumexp = (extra == AttentionExtra::LogSumExp).then(logsumexp);
    let weights = B::float_div(exp, fill::<B>(sum, empty, 1.0));

    let dropped = match options.dropout {
        None => weights.clone(),
        Some(options) => dropout::<B>(weights.clone(), MaybeTensor::None, options),
    };
    let out = B::float_matmul(dropped, heads_first(v)); // [batch_size, n_heads, q_length, d_value]
    (heads_first(out), logsumexp.unwrap_or(weights))
}

/// Where attention is blocked, in a shape that broadcasts to that of the scores; `None` if nowhere.
fn blocked<B: Backend>(scores: &FloatTensor<B>, mask: MaskPrimitive<B>, causal: bool) -> Option<BoolTensor<B>> {
    let [batch_size, _, q_length, kv_length] = scores.shape().dims();
    let given = match mask {
        MaskPrimitive::None => None,
        MaskPrimitive::Keys(keys) => Some(B::bool_reshape(keys, Shape::new([batch_size, 1, 1, kv_length]))),
        MaskPrimitive::Full(full) => Some(B::bool_reshape(full, Shape::new([batch_size, 1, q_length, kv_length]))),
    };
    // A single query is the last, which sees every key.
    let future = (causal && q_length > 1).then(|| {
        let blocked: Vec<bool> =
            (0..q_length).flat_map(|i| (0..kv_length).map(move |j| j + q_length > i + kv_length)).collect();
        let data = TensorData::new(blocked, [1, 1, q_length, kv_length]);
        let data = data.convert_dtype(bool_dtype::<B>(scores).into());
        B::bool_from_data(data, &scores.device())
    });
    match (given, future) {
        (Some(given), Some(future)) => {
            let shape = Shape::new([batch_size, 1, q_length, kv_length]);
            Some(B::bool_or(B::bool_expand(given, shape.clone()), B::bool_expand(future, shape)))
        }
        (given, future) => given.or(future),
    }
}
