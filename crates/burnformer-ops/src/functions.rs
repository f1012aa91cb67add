//! The operators on burn's tensors, for every device.

use crate::extension::{FeedForwardBias, MaskPrimitive, MaybeTensor, QkvBias, TransformerOps};
use crate::shapes::assert_same_axis;
use crate::{
    Activation, AttentionExtra, AttentionOptions, CrossEntropyOptions, Dropout, FeedForwardOptions, LayerNormOptions,
};
use burn::backend::Dispatch;
use burn::tensor::{Bool, Int, Tensor};

/// Attention mask. `true` = blocked.
#[derive(Clone, Debug, Default)]
pub enum Mask {
    /// Every query sees every key.
    #[default]
    None,
    /// Keys blocked for all queries, such as padding: `[batch_size, kv_length]`.
    Keys(Tensor<2, Bool>),
    /// Keys blocked for each query: `[batch_size, q_length, kv_length]`.
    Full(Tensor<3, Bool>),
}

impl Mask {
    fn into_primitive(self) -> MaskPrimitive<Dispatch> {
        match self {
            Self::None => MaskPrimitive::None,
            Self::Keys(keys) => MaskPrimitive::Keys(keys.into_dispatch()),
            Self::Full(full) => MaskPrimitive::Full(full.into_dispatch()),
        }
    }
}

pub(crate) fn maybe<const D: usize>(tensor: Option<Tensor<D>>) -> MaybeTensor<Dispatch> {
    tensor.map_or(MaybeTensor::None, |tensor| MaybeTensor::Some(tensor.into_dispatch()))
}

/// `x weightᵀ + bias` over the last axis.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - weight: `[d_out, d_in]`, PyTorch's layout
/// - bias: `[d_out]`
/// - returns: `[.., d_out]`
///
/// # Panics
/// If the shapes do not fit.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    assert_same_axis("linear", "d_in", ("x", &x.dims(), D - 1), ("weight", &weight.dims(), 1));
    if let Some(bias) = &bias {
        assert_same_axis("linear", "d_out", ("weight", &weight.dims(), 0), ("bias", &bias.dims(), 0));
    }
    let out = <Dispatch as TransformerOps>::linear(x.into_dispatch(), weight.into_dispatch(), maybe(bias));
    Tensor::from_dispatch(out)
}

/// The three [`linear`] maps of one input to query, key and value, as one operator with three weights.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - weights: `[d_q, d_in]`, `[d_k, d_in]`, `[d_v, d_in]`
/// - biases: `[d_q]`, `[d_k]`, `[d_v]`
/// - returns: `[.., d_q]`, `[.., d_k]`, `[.., d_v]`
///
/// # Panics
/// If the shapes do not fit.
pub fn qkv<const D: usize>(x: Tensor<D>, weights: [Tensor<2>; 3], biases: Option<[Tensor<1>; 3]>) -> [Tensor<D>; 3] {
    let names = [("weight_q", "bias_q"), ("weight_k", "bias_k"), ("weight_v", "bias_v")];
    for ((name, _), weight) in names.iter().zip(&weights) {
        assert_same_axis("qkv", "d_in", ("x", &x.dims(), D - 1), (name, &weight.dims(), 1));
    }
    for (((weight_name, bias_name), weight), bias) in names.iter().zip(&weights).zip(biases.iter().flatten()) {
        assert_same_axis("qkv", "d_out", (weight_name, &weight.dims(), 0), (bias_name, &bias.dims(), 0));
    }
    let [weight_q, weight_k, weight_v] = weights.map(Tensor::into_dispatch);
    let bias = biases.map_or(QkvBias::None, |biases| {
        let [q, k, v] = biases.map(Tensor::into_dispatch);
        QkvBias::Some { q, k, v }
    });
    let (q, k, v) = <Dispatch as TransformerOps>::qkv(x.into_dispatch(), weight_q, weight_k, weight_v, bias);
    [q, k, v].map(Tensor::from_dispatch)
}

/// Scaled dot-product attention: `dropout(softmax(scale · q kᵀ, masked)) v`, and the logarithm of the softmax's denominator.
///
/// A query all of whose keys are blocked gives zeros (and a logarithm of minus infinity).
///
/// # Shapes
/// - q: `[batch_size, q_length, n_heads, d_head]`
/// - k: `[batch_size, kv_length, n_heads, d_head]`
/// - v: `[batch_size, kv_length, n_heads, d_value]`
/// - returns: `[batch_size, q_length, n_heads, d_value]`, and `[batch_size, n_heads, q_length]` without gradient
///
/// # Panics
/// If the shapes do not fit.
///
/// Source: Vaswani et al. 2017, section 3.2.1. Ours keeps heads behind positions, so that a projection's output becomes
/// heads, and heads an output, without moving anything.
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Mask,
    options: AttentionOptions,
) -> (Tensor<4>, Tensor<3>) {
    attend(q, k, v, mask, options, AttentionExtra::LogSumExp)
}

/// [`attention`]'s first output, and the weights `[batch_size, n_heads, q_length, kv_length]` before dropout.
///
/// Materialises the weights, and can be differentiated through them.
///
/// # Panics
/// If the shapes do not fit.
pub fn attention_with_weights(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Mask,
    options: AttentionOptions,
) -> (Tensor<4>, Tensor<4>) {
    attend(q, k, v, mask, options, AttentionExtra::Weights)
}

/// The output, and the extra one, which has `D` axes.
#[track_caller]
fn attend<const D: usize>(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Mask,
    options: AttentionOptions,
    extra: AttentionExtra,
) -> (Tensor<4>, Tensor<D>) {
    check_attention(&q, &k, &v, &mask);
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    let (out, extra) = <Dispatch as TransformerOps>::attention(q, k, v, mask.into_primitive(), options, extra);
    (Tensor::from_dispatch(out), Tensor::from_dispatch(extra))
}

fn check_attention(q: &Tensor<4>, k: &Tensor<4>, v: &Tensor<4>, mask: &Mask) {
    let (q, k, v) = (q.dims(), k.dims(), v.dims());
    let same = |name, axis, first: (&str, &[usize]), second: (&str, &[usize])| {
        assert_same_axis("attention", name, (first.0, first.1, axis), (second.0, second.1, axis));
    };
    same("batch_size", 0, ("q", &q), ("k", &k));
    same("n_heads", 2, ("q", &q), ("k", &k));
    same("d_head", 3, ("q", &q), ("k", &k));
    same("batch_size", 0, ("k", &k), ("v", &v));
    same("kv_length", 1, ("k", &k), ("v", &v));
    same("n_heads", 2, ("k", &k), ("v", &v));
    match mask {
        Mask::None => {}
        Mask::Keys(keys) => {
            assert_same_axis("attention", "batch_size", ("q", &q, 0), ("mask", &keys.dims(), 0));
            assert_same_axis("attention", "kv_length", ("k", &k, 1), ("mask", &keys.dims(), 1));
        }
        Mask::Full(full) => {
            assert_same_axis("attention", "batch_size", ("q", &q, 0), ("mask", &full.dims(), 0));
            assert_same_axis("attention", "q_length", ("q", &q, 1), ("mask", &full.dims(), 1));
            assert_same_axis("attention", "kv_length", ("k", &k, 1), ("mask", &full.dims(), 2));
        }
    }
}

/// Layer normalisation of `residual + dropout(x)` over the last axis.
///
/// # Shapes
/// - x, residual: `[.., d_model]`
/// - weight, bias: `[d_model]`
/// - returns: `[.., d_model]`
///
/// # Panics
/// If the shapes do not fit.
///
/// Source: Ba, Kiros, Hinton 2016, section 3.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    residual: Option<Tensor<D>>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    options: LayerNormOptions,
) -> Tensor<D> {
    assert_same_axis("layer_norm", "d_model", ("x", &x.dims(), D - 1), ("weight", &weight.dims(), 0));
    assert_same_axis("layer_norm", "d_model", ("x", &x.dims(), D - 1), ("bias", &bias.dims(), 0));
    check_residual("layer_norm", &x, residual.as_ref());
    let out = <Dispatch as TransformerOps>::layer_norm(
        x.into_dispatch(),
        maybe(residual),
        weight.into_dispatch(),
        bias.into_dispatch(),
        options,
    );
    Tensor::from_dispatch(out)
}

/// `activation(x + bias)`, the bias along the last axis. Gradients are exact on every backend.
///
/// # Shapes
/// - x: `[.., d]`
/// - bias: `[d]`
/// - returns: `[.., d]`
///
/// # Panics
/// If the shapes do not fit.
pub fn bias_activation<const D: usize>(x: Tensor<D>, bias: Option<Tensor<1>>, activation: Activation) -> Tensor<D> {
    if let Some(bias) = &bias {
        assert_same_axis("bias_activation", "d", ("x", &x.dims(), D - 1), ("bias", &bias.dims(), 0));
    }
    let out = <Dispatch as TransformerOps>::bias_activation(x.into_dispatch(), maybe(bias), activation);
    Tensor::from_dispatch(out)
}

/// `dropout(activation(x weight_inᵀ + bias_in)) weight_outᵀ + bias_out` over the last axis.
///
/// # Shapes
/// - x: `[.., d_in]`; with dropout at least two axes, the batch first
/// - weights: `[d_ff, d_in]`, `[d_out, d_ff]`
/// - biases: `[d_ff]`, `[d_out]`
/// - returns: `[.., d_out]`
///
/// # Panics
/// If the shapes do not fit.
///
/// Source: Vaswani et al. 2017, section 3.3.
pub fn feed_forward<const D: usize>(
    x: Tensor<D>,
    [weight_in, weight_out]: [Tensor<2>; 2],
    biases: Option<[Tensor<1>; 2]>,
    options: FeedForwardOptions,
) -> Tensor<D> {
    assert_same_axis("feed_forward", "d_in", ("x", &x.dims(), D - 1), ("weight_in", &weight_in.dims(), 1));
    assert_same_axis(
        "feed_forward",
        "d_ff",
        ("weight_in", &weight_in.dims(), 0),
        ("weight_out", &weight_out.dims(), 1),
    );
    if let Some([input, output]) = &biases {
        assert_same_axis("feed_forward", "d_ff", ("weight_in", &weight_in.dims(), 0), ("bias_in", &input.dims(), 0));
        assert_same_axis(
            "feed_forward",
            "d_out",
            ("weight_out", &weight_out.dims(), 0),
            ("bias_out", &output.dims(), 0),
        );
    }
    let bias = FeedForwardBias::of(biases);
    let [weight_in, weight_out] = [weight_in, weight_out].map(Tensor::into_dispatch);
    let out = <Dispatch as TransformerOps>::feed_forward(x.into_dispatch(), weight_in, weight_out, bias, options);
    Tensor::from_dispatch(out)
}

/// `residual + dropout(x)`; without a draw (`None`) the sum alone.
///
/// # Shapes
/// - x, residual: `[batch_size, .., d]`, at least two axes
/// - returns: the same
///
/// # Panics
/// If the shapes do not fit, or the batch size is not the number of the draw's samples.
///
/// Source: Srivastava et al. 2014; Vaswani et al. 2017, section 5.4.
pub fn dropout<const D: usize>(x: Tensor<D>, residual: Option<Tensor<D>>, options: Option<Dropout>) -> Tensor<D> {
    check_residual("dropout", &x, residual.as_ref());
    match (options, residual) {
        (Some(options), residual) => {
            let out = <Dispatch as TransformerOps>::dropout(x.into_dispatch(), maybe(residual), options);
            Tensor::from_dispatch(out)
        }
        (None, Some(residual)) => residual + x,
        (None, None) => x,
    }
}

#[track_caller]
fn check_residual<const D: usize>(operator: &str, x: &Tensor<D>, residual: Option<&Tensor<D>>) {
    if let Some(residual) = residual {
        assert!(
            x.dims() == residual.dims(),
            "{operator}: `residual` {:?} must have the shape of `x` {:?}",
            residual.dims(),
            x.dims()
        );
    }
}

/// Row `ids[b, t]` of `weight` for every position.
///
/// # Shapes
/// - weight: `[vocab_size, d_model]`
/// - ids: `[batch_size, seq_length]`, each in `[0, vocab_size)`; not checked, since a check would wait for the device
/// - returns: `[batch_size, seq_length, d_model]`
pub fn embedding(weight: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as TransformerOps>::embedding(weight.into_dispatch(), ids.into_dispatch()))
}

/// Cross-entropy summed over the rows that are not ignored, and the number of these rows. The loss of a step is the quotient
/// of both sums over all its batches.
///
/// # Shapes
/// - logits: `[n, vocab_size]`
/// - targets: `[n]`, each in `[0, vocab_size)` or the ignored value
/// - returns: `[1]`, and `[1]` without gradient
///
/// # Panics
/// If the shapes do not fit, or the smoothing is outside `[0, 1)`.
///
/// Source: Szegedy et al. 2016, section 7, and PyTorch: smoothing spreads over the whole vocabulary, the target included
/// (OpenNMT and the paper's code leave target and padding out).
pub fn cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    options: CrossEntropyOptions,
) -> (Tensor<1>, Tensor<1>) {
    assert_same_axis("cross_entropy", "n", ("logits", &logits.dims(), 0), ("targets", &targets.dims(), 0));
    assert!(
        (0.0..1.0).contains(&options.label_smoothing),
        "cross_entropy: label smoothing {} is outside [0, 1)",
        options.label_smoothing
    );
    let (sum, count) =
        <Dispatch as TransformerOps>::cross_entropy(logits.into_dispatch(), targets.into_dispatch(), options);
    (Tensor::from_dispatch(sum), Tensor::from_dispatch(count))
}

/// `ln Σ_j exp(x_j)` of every row. Logits minus this value are log-probabilities.
///
/// # Shapes
/// - x: `[n, d]`
/// - returns: `[n]`, without gradient
pub fn logsumexp(x: Tensor<2>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as TransformerOps>::logsumexp(x.into_dispatch()))
}
