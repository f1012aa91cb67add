//! The operators of a Transformer, as an extension of burn's backend trait.
//!
//! Every operator is one function on burn's [`Tensor`](burn::tensor::Tensor) ([`attention`], [`layer_norm`], …). Its
//! definition is one generic function on [`Backend`](burn::backend::Backend), in [`reference`](mod@reference). A backend may
//! replace it with a faster implementation through [`TransformerOps`]; callers do not notice which one runs.
//!
//! ```
//! use burn::tensor::Tensor;
//! use burnformer_ops::{Activation, DeviceChoice, bias_activation};
//!
//! let device = "auto".parse::<DeviceChoice>()?.open()?;
//! let x = Tensor::<2>::from_floats([[-1.0, 0.0, 2.0]], &device);
//! let y = bias_activation(x, None, Activation::Relu);
//! assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [0.0, 0.0, 2.0]);
//! # Ok::<(), burnformer_ops::DeviceError>(())
//! ```
//!
//! # Features
//! `ndarray` (default), `flex` and `wgpu` choose the backends; at least one is needed. `autotune` lets `wgpu` measure
//! variants of its own kernels, for real GPUs. `allocator` adds the allocator recommended for programs that train.

#[cfg(not(any(feature = "ndarray", feature = "flex", feature = "wgpu")))]
compile_error!("burnformer-ops needs a backend: enable feature `ndarray`, `flex` or `wgpu`");

mod autodiff;
mod cpu;
#[cfg(feature = "wgpu")]
mod cube;
mod device;
mod extension;
mod functions;
mod host;
mod optimizer;
mod options;
mod places;
mod precision;
mod prepared;
mod recompute;
pub mod reference;
mod shapes;
mod threads;

#[cfg(feature = "allocator")]
pub use cpu::allocator::Allocator;
pub use cpu::matmul::round_to_int8;
pub use device::{DeviceChoice, DeviceError, is_on_host};
pub use extension::{FeedForwardBias, MaskPrimitive, MaybeTensor, QkvBias, TransformerOps};
pub use functions::{
    Mask, attention, attention_with_weights, bias_activation, cross_entropy, dropout, embedding, feed_forward,
    layer_norm, linear, logsumexp, qkv,
};
pub use host::{Host, copied_inputs};
pub use optimizer::{adam, sum_of_squares};
pub use options::{
    Activation, AdamOptions, AdamVariant, AttentionExtra, AttentionOptions, CrossEntropyOptions, Dropout,
    FeedForwardOptions, LayerNormOptions,
};
pub use places::{Places, attend_places, store};
pub use precision::{HostProducts, Precision, PrecisionError, host_products, matmul_precision, with_matmul_precision};
pub use prepared::{PrepareError, Prepared, WeightFormat, feed_forward_prepared, linear_prepared};
pub use recompute::{alias, backward_from, backward_from_all, recomputed, with_backward};
pub use shapes::assert_same_axis;
pub use threads::{ThreadsError, start_threads};
