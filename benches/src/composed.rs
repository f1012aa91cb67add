//! The definitions of the operators on burn's tensors, whatever faster body a device has. Shapes are those of the
//! functions of the same names in `burnformer_ops`, which alone check them.

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor};
use burnformer_ops::{
    Activation, AdamOptions, AttentionOptions, CrossEntropyOptions, Dropout, FeedForwardBias, FeedForwardOptions,
    LayerNormOptions, Mask, MaskPrimitive, MaybeTensor, Places, QkvBias, reference,
};

fn maybe<const D: usize>(tensor: Option<Tensor<D>>) -> MaybeTensor<Dispatch> {
    tensor.map_or(MaybeTensor::None, |tensor| MaybeTensor::Some(tensor.into_dispatch()))
}

fn primitive(mask: Mask) -> MaskPrimitive<Dispatch> {
    match mask {
        Mask::None => MaskPrimitive::None,
        Mask::Keys(keys) => MaskPrimitive::Keys(keys.into_dispatch()),
        Mask::Full(full) => MaskPrimitive::Full(full.into_dispatch()),
    }
}

pub(crate) fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    Tensor::from_dispatch(reference::linear::<Dispatch>(x.into_dispatch(), weight.into_dispatch(), maybe(bias)))
}

pub(crate) fn qkv<const D: usize>(
    x: Tensor<D>,
    weights: [Tensor<2>; 3],
    biases: Option<[Tensor<1>; 3]>,
) -> [Tensor<D>; 3] {
    let [weight_q, weight_k, weight_v] = weights.map(Tensor::into_dispatch);
    let bias = biases.map_or(QkvBias::None, |biases| {
        let [q, k, v] = biases.map(Tensor::into_dispatch);
        QkvBias::Some { q, k, v }
    });
    let (q, k, v) = reference::qkv::<Dispatch>(x.into_dispatch(), weight_q, weight_k, weight_v, bias);
    [q, k, v].map(Tensor::from_dispatch)
}

pub(crate) fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Mask,
    options: AttentionOptions,
) -> (Tensor<4>, Tensor<3>) {
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    let (out, logsumexp) = reference::attention::<Dispatch>(q, k, v, primitive(mask), options);
    (Tensor::from_dispatch(out), Tensor::from_dispatch(logsumexp))
}

pub(crate) fn attention_with_weights(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Mask,
    options: AttentionOptions,
) -> (Tensor<4>, Tensor<4>) {
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    let (out, weights) = reference::attention_with_weights::<Dispatch>(q, k, v, primitive(mask), options);
    (Tensor::from_dispatch(out), Tensor::from_dispatch(weights))
}

pub(crate) fn feed_forward<const D: usize>(
    x: Tensor<D>,
    weights: [Tensor<2>; 2],
    biases: Option<[Tensor<1>; 2]>,
    options: FeedForwardOptions,
) -> Tensor<D> {
    let [weight_in, weight_out] = weights.map(Tensor::into_dispatch);
    let bias = biases.map_or(FeedForwardBias::None, |biases| {
        let [input, output] = biases.map(Tensor::into_dispatch);
        FeedForwardBias::Some { input, output }
    });
    let out = reference::feed_forward::<Dispatch>(x.into_dispatch(), weight_in, weight_out, bias, options);
    Tensor::from_dispatch(out)
}

pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    residual: Option<Tensor<D>>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    options: LayerNormOptions,
) -> Tensor<D> {
    let [weight, bias] = [weight, bias].map(Tensor::into_dispatch);
    let out = reference::layer_norm::<Dispatch>(x.into_dispatch(), maybe(residual), weight, bias, options);
    Tensor::from_dispatch(out)
}

pub(crate) fn bias_activation<const D: usize>(
    x: Tensor<D>,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    Tensor::from_dispatch(reference::bias_activation::<Dispatch>(x.into_dispatch(), maybe(bias), activation))
}

pub(crate) fn dropout<const D: usize>(x: Tensor<D>, options: Dropout) -> Tensor<D> {
    Tensor::from_dispatch(reference::dropout::<Dispatch>(x.into_dispatch(), MaybeTensor::None, options))
}

pub(crate) fn embedding(weight: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    Tensor::from_dispatch(reference::embedding::<Dispatch>(weight.into_dispatch(), ids.into_dispatch()))
}

pub(crate) fn cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    options: CrossEntropyOptions,
) -> (Tensor<1>, Tensor<1>) {
    let (sum, count) = reference::cross_entropy::<Dispatch>(logits.into_dispatch(), targets.into_dispatch(), options);
    (Tensor::from_dispatch(sum), Tensor::from_dispatch(count))
}

pub(crate) fn attend_places(q: Tensor<3>, key: Tensor<3>, value: Tensor<3>, places: Places) -> Tensor<3> {
    let [q, key, value] = [q, key, value].map(Tensor::into_dispatch);
    Tensor::from_dispatch(reference::attend_places::<Dispatch>(q, key, value, places))
}

pub(crate) fn logsumexp(x: Tensor<2>) -> Tensor<1> {
    Tensor::from_dispatch(reference::logsumexp::<Dispatch>(x.into_dispatch()))
}

pub(crate) fn sum_of_squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(reference::sum_of_squares::<Dispatch>(x.into_dispatch()))
}

/// An update of one parameter by its definition.
pub(crate) fn adam<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    moments: [Tensor<D>; 2],
    scale: Option<Tensor<1>>,
    options: AdamOptions,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let [first, second] = moments.map(Tensor::into_dispatch);
    let (param, grad) = (param.into_dispatch(), grad.into_dispatch());
    let (param, first, second) = reference::adam::<Dispatch>(param, grad, first, second, maybe(scale), options);
    (Tensor::from_dispatch(param), [first, second].map(Tensor::from_dispatch))
}
