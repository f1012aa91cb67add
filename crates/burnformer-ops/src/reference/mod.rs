//! The definition of every operator: one generic function on burn's backend trait, composed of burn's primitives.
//!
//! These functions run unchanged on `NdArray`, `Flex`, `Wgpu` and `Autodiff` of each. They are the default implementations
//! of [`TransformerOps`](crate::TransformerOps), and the fast implementations are tested against them.

mod activation;
mod attention;
mod cross_entropy;
mod dropout;
mod embedding;
mod feed_forward;
mod layer_norm;
mod linear;
mod logsumexp;
mod optimizer;
mod places;

pub use activation::bias_activation;
pub(crate) use attention::attention_and;
pub use attention::{attention, attention_with_weights};
pub use cross_entropy::cross_entropy;
pub use dropout::dropout;
pub use embedding::embedding;
pub use feed_forward::feed_forward;
pub use layer_norm::layer_norm;
pub use linear::{linear, qkv};
pub use logsumexp::logsumexp;
pub use optimizer::{adam, sum_of_squares};
pub use places::{attend_places, store};

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, BoolDType, Shape, TensorMetadata, get_or_init_device_settings};

/// The type in which the tensor's device keeps truth values.
fn bool_dtype<B: Backend>(tensor: &FloatTensor<B>) -> BoolDType {
    get_or_init_device_settings::<B>(&tensor.device()).bool_dtype
}

/// `tensor` as a constant: no gradient flows through it. Detaching alone leaves a leaf tracked.
fn constant<B: Backend>(tensor: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_set_require_grad(B::float_detach(tensor.clone()), false)
}

/// `tensor` with `value` wherever `mask` is true; the mask is broadcast to the tensor's shape.
fn fill<B: Backend>(tensor: FloatTensor<B>, mask: BoolTensor<B>, value: f64) -> FloatTensor<B> {
    let mask = B::bool_expand(mask, tensor.shape());
    B::float_mask_fill(tensor, mask, value.into())
}

/// `tensor` of any rank as `[rows, columns]` over its last axis.
fn into_rows<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<B> {
    let shape = tensor.shape();
    let columns = shape[shape.num_dims() - 1];
    let rows = shape.num_elements() / columns;
    B::float_reshape(tensor, Shape::new([rows, columns]))
}

/// A vector `[d]` as `[1, d]`.
fn as_row<B: Backend>(vector: FloatTensor<B>) -> FloatTensor<B> {
    let d = vector.shape()[0];
    B::float_reshape(vector, Shape::new([1, d]))
}
