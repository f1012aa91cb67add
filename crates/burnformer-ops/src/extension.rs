//! The operators as an extension of burn's backend trait.
#![allow(deprecated)] // burn deprecates `NdArray` in the last release that has it.

use crate::reference;
use crate::{
    Activation, AdamOptions, AttentionExtra, AttentionOptions, CrossEntropyOptions, Dropout, FeedForwardOptions,
    LayerNormOptions, Places, Prepared,
};
use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension};
use burn::tensor::Tensor;

/// An optional tensor: `Option` cannot be an argument of a backend extension.
#[derive(ExtensionType, Clone, Debug)]
pub enum MaybeTensor<B: Backend> {
    /// No tensor.
    None,
    /// A tensor.
    Some(FloatTensor<B>),
}

/// The biases of [`TransformerOps::qkv`].
#[derive(ExtensionType, Clone, Debug)]
pub enum QkvBias<B: Backend> {
    /// No biases.
    None,
    /// One bias for each map.
    Some {
        /// Bias of the queries.
        q: FloatTensor<B>,
        /// Bias of the keys.
        k: FloatTensor<B>,
        /// Bias of the values.
        v: FloatTensor<B>,
    },
}

impl<B: Backend> QkvBias<B> {
    pub(crate) fn into_parts(self) -> [MaybeTensor<B>; 3] {
        match self {
            Self::None => [MaybeTensor::None, MaybeTensor::None, MaybeTensor::None],
            Self::Some { q, k, v } => [q, k, v].map(MaybeTensor::Some),
        }
    }
}

/// The biases of [`TransformerOps::feed_forward`].
#[derive(ExtensionType, Clone, Debug)]
pub enum FeedForwardBias<B: Backend> {
    /// No biases.
    None,
    /// One bias for each map.
    Some {
        /// Bias of the map to the hidden layer.
        input: FloatTensor<B>,
        /// Bias of the map from the hidden layer.
        output: FloatTensor<B>,
    },
}

impl FeedForwardBias<Dispatch> {
    pub(crate) fn of(biases: Option<[Tensor<1>; 2]>) -> Self {
        biases.map_or(Self::None, |biases| {
            let [input, output] = biases.map(Tensor::into_dispatch);
            Self::Some { input, output }
        })
    }
}

impl<B: Backend> FeedForwardBias<B> {
    pub(crate) fn into_parts(self) -> [MaybeTensor<B>; 2] {
        match self {
            Self::None => [MaybeTensor::None, MaybeTensor::None],
            Self::Some { input, output } => [input, output].map(MaybeTensor::Some),
        }
    }
}

/// [`Mask`](crate::Mask) with a backend's own tensors. `true` = blocked.
#[derive(ExtensionType, Clone, Debug)]
pub enum MaskPrimitive<B: Backend> {
    /// Nothing is blocked.
    None,
    /// `[batch_size, kv_length]`
    Keys(BoolTensor<B>),
    /// `[batch_size, q_length, kv_length]`
    Full(BoolTensor<B>),
}

/// What a prepared weight says elsewhere.
const NOT_HERE: &str = "a prepared weight multiplies tensors of the processor, without gradients";

/// The operators of a Transformer on a backend's own tensors. The functions of the same names in
/// [`reference`](mod@crate::reference) define them, document their shapes, and are the default implementations.
#[backend_extension(
    NdArray: cfg(feature = "ndarray"),
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "wgpu"),
    Autodiff
)]
#[allow(missing_docs)] // The definitions are documented at `reference`.
pub trait TransformerOps: Backend {
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: MaybeTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::linear::<Self>(x, weight, bias)
    }

    /// [`Self::linear`] by a weight that is laid out for the kernels of the host.
    fn linear_prepared(
        _x: FloatTensor<Self>,
        _weight: Prepared,
        #[extension_type] _bias: MaybeTensor<Self>,
    ) -> FloatTensor<Self> {
        panic!("{NOT_HERE}")
    }

    fn qkv(
        x: FloatTensor<Self>,
        weight_q: FloatTensor<Self>,
        weight_k: FloatTensor<Self>,
        weight_v: FloatTensor<Self>,
        #[extension_type] bias: QkvBias<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::qkv::<Self>(x, weight_q, weight_k, weight_v, bias)
    }

    /// The definition is [`reference::attention`] or [`reference::attention_with_weights`], by `extra`.
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        #[extension_type] mask: MaskPrimitive<Self>,
        options: AttentionOptions,
        extra: AttentionExtra,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::attention_and::<Self>(q, k, v, mask, options, extra)
    }

    fn layer_norm(
        x: FloatTensor<Self>,
        #[extension_type] residual: MaybeTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: LayerNormOptions,
    ) -> FloatTensor<Self> {
        reference::layer_norm::<Self>(x, residual, weight, bias, options)
    }

    fn bias_activation(
        x: FloatTensor<Self>,
        #[extension_type] bias: MaybeTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        reference::bias_activation::<Self>(x, bias, activation)
    }

    /// The default body is made of this backend's own operators.
    fn feed_forward(
        x: FloatTensor<Self>,
        weight_in: FloatTensor<Self>,
        weight_out: FloatTensor<Self>,
        #[extension_type] bias: FeedForwardBias<Self>,
        options: FeedForwardOptions,
    ) -> FloatTensor<Self> {
        let [bias_in, bias_out] = bias.into_parts();
        let hidden = <Self as TransformerOps>::linear(x, weight_in, MaybeTensor::None);
        let hidden = <Self as TransformerOps>::bias_activation(hidden, bias_in, options.activation);
        let hidden = match options.dropout {
            None => hidden,
            Some(dropout) => <Self as TransformerOps>::dropout(hidden, MaybeTensor::None, dropout),
        };
        <Self as TransformerOps>::linear(hidden, weight_out, bias_out)
    }

    /// [`Self::feed_forward`] by weights, in and out, that are laid out for the kernels of the host.
    fn feed_forward_prepared(
        _x: FloatTensor<Self>,
        _weights: [Prepared; 2],
        #[extension_type] _bias: FeedForwardBias<Self>,
        _activation: Activation,
    ) -> FloatTensor<Self> {
        panic!("{NOT_HERE}")
    }

    fn dropout(
        x: FloatTensor<Self>,
        #[extension_type] residual: MaybeTensor<Self>,
        options: Dropout,
    ) -> FloatTensor<Self> {
        reference::dropout::<Self>(x, residual, options)
    }

    fn embedding(weight: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        reference::embedding::<Self>(weight, ids)
    }

    fn cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        options: CrossEntropyOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::cross_entropy::<Self>(logits, targets, options)
    }

    fn store(pool: FloatTensor<Self>, new: FloatTensor<Self>, first: usize) -> FloatTensor<Self> {
        reference::store::<Self>(pool, new, first)
    }

    fn attend_places(
        q: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        places: Places,
    ) -> FloatTensor<Self> {
        reference::attend_places::<Self>(q, key, value, places)
    }

    fn logsumexp(x: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::logsumexp::<Self>(x)
    }

    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::sum_of_squares::<Self>(x)
    }

    fn adam(
        param: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        #[extension_type] scale: MaybeTensor<Self>,
        options: AdamOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::adam::<Self>(param, grad, first, second, scale, options)
    }
}

#[cfg(feature = "wgpu")]
impl TransformerOps for burn_wgpu::Wgpu {
    fn dropout(x: FloatTensor<Self>, residual: MaybeTensor<Self>, options: Dropout) -> FloatTensor<Self> {
        crate::cube::dropout(x, residual, options)
    }

    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        crate::cube::sum_of_squares(x)
    }

    fn adam(
        param: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        scale: MaybeTensor<Self>,
        options: AdamOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        crate::cube::adam(param, grad, first, second, scale, options)
    }
}
