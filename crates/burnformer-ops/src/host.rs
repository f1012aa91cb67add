//! Backends whose tensors lie in the memory of the host: their operators are the kernels of [`cpu`](crate::cpu).
#![allow(deprecated)] // burn deprecates `NdArray` in the last release that has it.

use crate::cpu::activation::BiasActivation;
use crate::cpu::attention::{self, Attention, Blocked};
use crate::cpu::dropout::Multipliers;
use crate::cpu::feed_forward::FeedForward;
use crate::cpu::linear::Map;
use crate::cpu::packed_feed_forward::PackedFeedForward;
use crate::cpu::places::PlacesAttention;
use crate::cpu::{self, layer_norm, optimizer};
use crate::extension::{FeedForwardBias, MaskPrimitive, MaybeTensor, QkvBias, TransformerOps};
use crate::{
    Activation, AdamOptions, AttentionExtra, AttentionOptions, CrossEntropyOptions, Dropout, FeedForwardOptions,
    LayerNormOptions, Places, Prepared, precision, reference,
};
use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, Shape, TensorMetadata, read_sync};
use burn::tensor::DType;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

const IN_MEMORY: &str = "a tensor of the host is in memory";

static COPIES: AtomicU64 = AtomicU64::new(0);

/// How often a kernel had to copy an input since the program began: one that is not in row-major order, or one that is
/// updated in place while somebody else holds it. A training step needs none.
pub fn copied_inputs() -> u64 {
    COPIES.load(Ordering::Relaxed)
}

#[cfg(any(feature = "ndarray", feature = "flex"))]
fn count_copy() {
    COPIES.fetch_add(1, Ordering::Relaxed);
}

/// A backend whose tensors lie in the memory of the host.
pub trait Host: Backend {
    /// The elements in row-major order; copied if they lie in another.
    ///
    /// # Panics
    /// If they are not of type `f32`.
    fn read(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]>;

    /// The elements in row-major order, in their own memory if nobody else holds it, else copied.
    ///
    /// # Panics
    /// If they are not of type `f32`.
    fn take(tensor: FloatTensor<Self>) -> Vec<f32>;

    /// A tensor of these elements, in their memory.
    fn give(values: Vec<f32>, shape: Shape) -> FloatTensor<Self>;

    /// Whole numbers in row-major order.
    fn read_ints(tensor: IntTensor<Self>) -> Vec<i64> {
        read_sync(Self::int_into_data(tensor)).expect(IN_MEMORY).iter::<i64>().collect()
    }

    /// Truth values in row-major order.
    fn read_bools(tensor: BoolTensor<Self>) -> Vec<bool> {
        read_sync(Self::bool_into_data(tensor)).expect(IN_MEMORY).iter::<bool>().collect()
    }
}

#[cfg(any(feature = "ndarray", feature = "flex"))]
#[track_caller]
fn not_f32(dtype: DType) -> ! {
    panic!("an operator's tensors must all be of one type: one is F32, another is {dtype:?}")
}

#[cfg(feature = "ndarray")]
impl Host for burn_ndarray::NdArray {
    fn read(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
        let burn_ndarray::NdArrayTensor::F32(storage) = tensor else { not_f32(tensor.dtype()) };
        let view = storage.view();
        view.to_slice().map_or_else(
            || {
                count_copy();
                Cow::Owned(view.iter().copied().collect())
            },
            Cow::Borrowed,
        )
    }

    fn take(tensor: FloatTensor<Self>) -> Vec<f32> {
        let is_ours = matches!(
            &tensor,
            burn_ndarray::NdArrayTensor::F32(storage) if storage.is_unique() && storage.view().is_standard_layout()
        );
        if !is_ours {
            count_copy();
            return Self::read(&tensor).into_owned();
        }
        let burn_ndarray::NdArrayTensor::F32(storage) = tensor else { not_f32(tensor.dtype()) };
        let len = storage.len();
        let (values, first) = storage.into_shared().into_owned().into_raw_vec_and_offset();
        if values.len() == len {
            return values;
        }
        // A part of a longer vector.
        count_copy();
        let first = first.unwrap_or(0);
        values[first..first + len].to_vec()
    }

    fn give(values: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        burn_ndarray::NdArrayTensor::from_data(burn::backend::TensorData::new(values, shape))
    }
}

#[cfg(feature = "flex")]
impl Host for burn_flex::Flex {
    fn read(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
        if tensor.dtype() != DType::F32 {
            not_f32(tensor.dtype());
        }
        tensor.as_slice::<f32>().map_or_else(
            || {
                count_copy();
                Cow::Owned(tensor.to_contiguous().into_data().into_vec().expect("the elements are of type f32"))
            },
            Cow::Borrowed,
        )
    }

    fn take(tensor: FloatTensor<Self>) -> Vec<f32> {
        if tensor.dtype() != DType::F32 {
            not_f32(tensor.dtype());
        }
        let is_whole = tensor.bytes().len() == size_of::<f32>() * tensor.layout().num_elements();
        if !(tensor.is_unique() && tensor.is_contiguous() && is_whole) {
            count_copy();
        }
        tensor.into_data().into_vec().expect("the elements are of type f32")
    }

    fn give(values: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        burn_flex::FlexTensor::from_data(burn::backend::TensorData::new(values, shape))
    }
}

/// Whether the kernels are made for this tensor. Other types, and tensors without elements, take the definitions.
pub(crate) fn has_kernels(tensor: &impl TensorMetadata) -> bool {
    tensor.dtype() == DType::F32 && tensor.shape().num_elements() > 0
}

/// The elements of a tensor that may be left out.
pub(crate) fn read_maybe<B: Host>(tensor: &MaybeTensor<B>) -> Option<Cow<'_, [f32]>> {
    match tensor {
        MaybeTensor::None => None,
        MaybeTensor::Some(tensor) => Some(B::read(tensor)),
    }
}

/// Length of the last axis.
pub(crate) fn width(tensor: &impl TensorMetadata) -> usize {
    let shape = tensor.shape();
    shape[shape.num_dims() - 1]
}

/// The shape with another last axis.
pub(crate) fn with_width(mut shape: Shape, width: usize) -> Shape {
    let last = shape.num_dims() - 1;
    shape[last] = width;
    shape
}

/// The map by `weight` `[d_out, d_in]`.
pub(crate) fn map_of<'a>(weight: &'a [f32], shape: &Shape) -> Map<'a> {
    Map { weight, d_in: shape[1], d_out: shape[0], precision: precision::matmul_precision() }
}

/// An owned copy of a mask, for the kernels.
#[derive(Clone, Debug)]
pub(crate) enum HostMask {
    None,
    Keys(std::sync::Arc<[bool]>),
    Full(std::sync::Arc<[bool]>),
}

impl HostMask {
    pub(crate) fn read<B: Host>(mask: MaskPrimitive<B>) -> Self {
        match mask {
            MaskPrimitive::None => Self::None,
            MaskPrimitive::Keys(keys) => Self::Keys(B::read_bools(keys).into()),
            MaskPrimitive::Full(full) => Self::Full(B::read_bools(full).into()),
        }
    }

    fn as_blocked(&self) -> Blocked<'_> {
        match self {
            Self::None => Blocked::None,
            Self::Keys(keys) => Blocked::Keys(keys),
            Self::Full(full) => Blocked::Full(full),
        }
    }
}

/// A call of attention on tensors with these shapes.
pub(crate) fn attention_of<'a>(
    q: &Shape,
    v: &Shape,
    mask: &'a HostMask,
    options: &'a AttentionOptions,
) -> Attention<'a> {
    let [batch_size, q_length, n_heads, d_head] = q.dims();
    let [_, kv_length, _, d_value] = v.dims();
    let multipliers = |options| Multipliers::new(options, &[batch_size, n_heads, q_length, kv_length]);
    Attention {
        batch_size,
        n_heads,
        q_length,
        kv_length,
        d_head,
        d_value,
        scale: options.scale as f32,
        causal: options.causal,
        blocked: mask.as_blocked(),
        dropout: options.dropout.as_ref().map(multipliers),
        vectors: cpu::Vectors::widest(),
    }
}

/// Attention of queries, keys and values: the output and the extra one.
pub(crate) fn attend<B: Host>(
    [q, k, v]: [&FloatTensor<B>; 3],
    mask: &HostMask,
    options: &AttentionOptions,
    extra: AttentionExtra,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let call = attention_of(&q.shape(), &v.shape(), mask, options);
    let inputs = attention::Inputs { q: &B::read(q), k: &B::read(k), v: &B::read(v) };
    let rows = [call.batch_size, call.n_heads, call.q_length];
    let ((out, extra), shape) = match extra {
        AttentionExtra::LogSumExp => (call.forward(inputs), Shape::new(rows)),
        AttentionExtra::Weights => {
            let [batch_size, n_heads, q_length] = rows;
            (call.forward_with_weights(inputs), Shape::new([batch_size, n_heads, q_length, call.kv_length]))
        }
    };
    (B::give(out, with_width(q.shape(), call.d_value)), B::give(extra, shape))
}

/// Layer normalisation, and with `keep` what its backward pass needs.
pub(crate) fn normalize<B: Host>(
    x: &FloatTensor<B>,
    residual: &MaybeTensor<B>,
    [weight, bias]: [&FloatTensor<B>; 2],
    options: &LayerNormOptions,
    keep: bool,
) -> (FloatTensor<B>, layer_norm::Normalized) {
    let shape = x.shape();
    let (values, residual) = (B::read(x), read_maybe::<B>(residual));
    let dropout = options.dropout.as_ref().map(|options| Multipliers::new(options, &shape));
    let input = layer_norm::Input { x: &values, residual: residual.as_deref(), dropout };
    let (out, kept) = layer_norm::forward(&input, &B::read(weight), &B::read(bias), options.eps as f32, keep);
    (B::give(out, shape), kept)
}

/// A call of the feed-forward sub-layer on tensors with these shapes; `bias` holds both or neither.
pub(crate) fn feed_forward_of<'a>(
    x: &Shape,
    weights: [(&'a [f32], &Shape); 2],
    [bias_in, bias_out]: [Option<&'a [f32]>; 2],
    options: &'a FeedForwardOptions,
) -> FeedForward<'a> {
    let [input, output] = weights.map(|(weight, shape)| map_of(weight, shape));
    let hidden = with_width(x.clone(), input.d_out);
    let hidden = BiasActivation {
        columns: input.d_out,
        bias: bias_in,
        activation: options.activation,
        dropout: options.dropout.as_ref().map(|options| Multipliers::new(options, &hidden)),
    };
    FeedForward { input, hidden, output, bias_out }
}

/// The feed-forward sub-layer, and with `keep` what its backward pass needs.
pub(crate) fn feed_forward<B: Host>(
    x: &FloatTensor<B>,
    [weight_in, weight_out]: [&FloatTensor<B>; 2],
    [bias_in, bias_out]: [&MaybeTensor<B>; 2],
    options: &FeedForwardOptions,
    keep: bool,
) -> (FloatTensor<B>, Vec<f32>) {
    let shapes = [weight_in.shape(), weight_out.shape()];
    let (values_in, values_out) = (B::read(weight_in), B::read(weight_out));
    let (bias_in, bias_out) = (read_maybe::<B>(bias_in), read_maybe::<B>(bias_out));
    let weights = [(&*values_in, &shapes[0]), (&*values_out, &shapes[1])];
    let call = feed_forward_of(&x.shape(), weights, [bias_in.as_deref(), bias_out.as_deref()], options);
    let (out, kept) = call.forward(&B::read(x), keep);
    (B::give(out, with_width(x.shape(), call.output.d_out)), kept)
}

/// One update by a kernel on parameter, gradient and moments.
fn update<B: Host>(
    [param, first, second]: [FloatTensor<B>; 3],
    grad: &[f32],
    scale: MaybeTensor<B>,
    kernel: impl FnOnce(optimizer::Update),
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let shape = param.shape();
    let [mut param, mut first, mut second] = [param, first, second].map(B::take);
    let scale = read_maybe::<B>(&scale).map_or(1.0, |scale| scale[0]);
    kernel(optimizer::Update { param: &mut param, grad, first: &mut first, second: &mut second, scale });
    let give = |values| B::give(values, shape.clone());
    (give(param), give(first), give(second))
}

impl<B: Host> TransformerOps for B {
    fn linear(x: FloatTensor<B>, weight: FloatTensor<B>, bias: MaybeTensor<B>) -> FloatTensor<B> {
        if !has_kernels(&x) {
            return reference::linear::<B>(x, weight, bias);
        }
        let shape = weight.shape();
        let values = map_of(&B::read(&weight), &shape).forward(&B::read(&x), read_maybe::<B>(&bias).as_deref());
        B::give(values, with_width(x.shape(), shape[0]))
    }

    fn linear_prepared(x: FloatTensor<B>, weight: Prepared, bias: MaybeTensor<B>) -> FloatTensor<B> {
        let values = weight.packed().forward(&B::read(&x), read_maybe::<B>(&bias).as_deref());
        B::give(values, with_width(x.shape(), weight.d_out()))
    }

    fn qkv(
        x: FloatTensor<B>,
        weight_q: FloatTensor<B>,
        weight_k: FloatTensor<B>,
        weight_v: FloatTensor<B>,
        bias: QkvBias<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let [bias_q, bias_k, bias_v] = bias.into_parts();
        (
            <B as TransformerOps>::linear(x.clone(), weight_q, bias_q),
            <B as TransformerOps>::linear(x.clone(), weight_k, bias_k),
            <B as TransformerOps>::linear(x, weight_v, bias_v),
        )
    }

    fn attention(
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        v: FloatTensor<B>,
        mask: MaskPrimitive<B>,
        options: AttentionOptions,
        extra: AttentionExtra,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        if ![&q, &k, &v].into_iter().all(has_kernels) {
            return reference::attention_and::<B>(q, k, v, mask, options, extra);
        }
        attend::<B>([&q, &k, &v], &HostMask::read::<B>(mask), &options, extra)
    }

    fn layer_norm(
        x: FloatTensor<B>,
        residual: MaybeTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        options: LayerNormOptions,
    ) -> FloatTensor<B> {
        if !has_kernels(&x) {
            return reference::layer_norm::<B>(x, residual, weight, bias, options);
        }
        normalize::<B>(&x, &residual, [&weight, &bias], &options, false).0
    }

    fn bias_activation(x: FloatTensor<B>, bias: MaybeTensor<B>, activation: Activation) -> FloatTensor<B> {
        if !has_kernels(&x) {
            return reference::bias_activation::<B>(x, bias, activation);
        }
        let bias = read_maybe::<B>(&bias);
        let call = BiasActivation { columns: width(&x), bias: bias.as_deref(), activation, dropout: None };
        let x_values = B::read(&x);
        let mut out = cpu::for_overwrite(x_values.len());
        call.forward(0, &x_values, &mut out);
        B::give(out, x.shape())
    }

    fn feed_forward(
        x: FloatTensor<B>,
        weight_in: FloatTensor<B>,
        weight_out: FloatTensor<B>,
        bias: FeedForwardBias<B>,
        options: FeedForwardOptions,
    ) -> FloatTensor<B> {
        if !(has_kernels(&x) && has_kernels(&weight_in)) {
            return reference::feed_forward::<B>(x, weight_in, weight_out, bias, options);
        }
        let [bias_in, bias_out] = bias.into_parts();
        feed_forward::<B>(&x, [&weight_in, &weight_out], [&bias_in, &bias_out], &options, false).0
    }

    fn feed_forward_prepared(
        x: FloatTensor<B>,
        [input, output]: [Prepared; 2],
        bias: FeedForwardBias<B>,
        activation: Activation,
    ) -> FloatTensor<B> {
        let bias = bias.into_parts();
        let [bias_in, bias_out] = bias.each_ref().map(read_maybe::<B>);
        let hidden = BiasActivation { columns: input.d_out(), bias: bias_in.as_deref(), activation, dropout: None };
        let call =
            PackedFeedForward { input: input.packed(), hidden, output: output.packed(), bias_out: bias_out.as_deref() };
        B::give(call.forward(&B::read(&x)), with_width(x.shape(), output.d_out()))
    }

    fn dropout(x: FloatTensor<B>, residual: MaybeTensor<B>, options: Dropout) -> FloatTensor<B> {
        if !has_kernels(&x) {
            return reference::dropout::<B>(x, residual, options);
        }
        let shape = x.shape();
        let multipliers = Multipliers::new(&options, &shape);
        let residual = read_maybe::<B>(&residual);
        let out = cpu::dropout::forward(&B::read(&x), residual.as_deref(), width(&x), &multipliers);
        B::give(out, shape)
    }

    fn embedding(weight: FloatTensor<B>, ids: IntTensor<B>) -> FloatTensor<B> {
        if !has_kernels(&weight) {
            return reference::embedding::<B>(weight, ids);
        }
        let d_model = width(&weight);
        let [batch_size, seq_length] = ids.shape().dims();
        let out = cpu::embedding::forward(&B::read(&weight), d_model, &B::read_ints(ids));
        B::give(out, Shape::new([batch_size, seq_length, d_model]))
    }

    fn cross_entropy(
        logits: FloatTensor<B>,
        targets: IntTensor<B>,
        options: CrossEntropyOptions,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        if !has_kernels(&logits) {
            return reference::cross_entropy::<B>(logits, targets, options);
        }
        let targets = B::read_ints(targets);
        let (sum, count, _) = cpu::cross_entropy::forward(&B::read(&logits), width(&logits), &targets, &options);
        (B::give(vec![sum], Shape::new([1])), B::give(vec![count], Shape::new([1])))
    }

    fn store(pool: FloatTensor<B>, new: FloatTensor<B>, first: usize) -> FloatTensor<B> {
        if !(has_kernels(&pool) && has_kernels(&new)) {
            return reference::store::<B>(pool, new, first);
        }
        let [_, n_heads, d_head] = pool.shape().dims();
        let width = n_heads * d_head;
        let values = cpu::places::store(B::take(pool), width, first, &B::read(&new));
        let n_places = values.len() / width;
        B::give(values, Shape::new([n_places, n_heads, d_head]))
    }

    fn attend_places(q: FloatTensor<B>, key: FloatTensor<B>, value: FloatTensor<B>, places: Places) -> FloatTensor<B> {
        if ![&q, &key, &value].into_iter().all(has_kernels) {
            return reference::attend_places::<B>(q, key, value, places);
        }
        let ([n, n_heads, d_head], [_, n_kv_heads, d_value]) = (q.shape().dims(), value.shape().dims());
        let call = PlacesAttention { n_heads, n_kv_heads, d_head, d_value };
        let out = call.forward(&B::read(&q), &B::read(&key), &B::read(&value), &places);
        B::give(out, Shape::new([n, n_heads, d_value]))
    }

    fn logsumexp(x: FloatTensor<B>) -> FloatTensor<B> {
        if !has_kernels(&x) {
            return reference::logsumexp::<B>(x);
        }
        let [n, columns] = x.shape().dims();
        B::give(cpu::logsumexp::forward(&B::read(&x), columns), Shape::new([n]))
    }

    fn sum_of_squares(x: FloatTensor<B>) -> FloatTensor<B> {
        if !has_kernels(&x) {
            return reference::sum_of_squares::<B>(x);
        }
        B::give(vec![optimizer::sum_of_squares(&B::read(&x)) as f32], Shape::new([1]))
    }

    fn adam(
        param: FloatTensor<B>,
        grad: FloatTensor<B>,
        first: FloatTensor<B>,
        second: FloatTensor<B>,
        scale: MaybeTensor<B>,
        options: AdamOptions,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        if !has_kernels(&param) {
            return reference::adam::<B>(param, grad, first, second, scale, options);
        }
        let grad = B::read(&grad);
        update::<B>([param, first, second], &grad, scale, |update| optimizer::adam(update, &options))
    }
}
