//! The building blocks of a Transformer on burn: attention, layers and their stacks, positions, losses, initialisation.
//!
//! Modules are burn modules. Their weights have PyTorch's layout (`[d_out, d_in]`), masks are `true` where attention is
//! blocked, and all randomness comes in as a [`DropoutRng`] that is consumed by the one place that uses it.
//!
//! ```
//! use burn::tensor::Tensor;
//! use burnformer_nn::{AttentionInput, MultiHeadAttentionConfig, init};
//! use burnformer_ops::DeviceChoice;
//!
//! let device = DeviceChoice::Auto.open()?;
//! let attention = MultiHeadAttentionConfig::new(12, 3).init(&device);
//! let attention = init::by_name(attention, 42, init::xavier_uniform);
//! let x = Tensor::<3>::ones([2, 5, 12], &device);
//! let (out, weights) = attention.forward_with_attn_weights(AttentionInput::self_attention(x).causal());
//! assert_eq!(out.dims(), [2, 5, 12]);
//! assert_eq!(weights.dims(), [2, 3, 5, 5]);
//! # Ok::<(), burnformer_ops::DeviceError>(())
//! ```

mod attention;
mod cache;
mod checkpointing;
mod cut;
mod decoder;
mod embedding;
mod embedding_loss;
mod encoder;
mod encoder_decoder;
mod feed_forward;
mod glu;
pub mod init;
mod layer;
mod layer_norm;
mod linear;
mod lora;
mod loss;
pub mod mask;
mod mlp;
mod norm;
pub mod parts;
pub mod pipeline;
mod positions;
mod prepare;
mod rms_norm;
mod rotary;
mod stack;
mod tensor_parallel;
mod transparent;
mod vocabulary;

pub use attention::{AttentionInput, MultiHeadAttention, MultiHeadAttentionConfig};
pub use burnformer_core::random::DropoutRng;
pub use burnformer_ops::{Activation, Mask};
pub use cache::{DecoderCache, KeyValue};
pub use checkpointing::with_activation_checkpointing;
pub use cut::Cut;
pub use decoder::{Decoder, DecoderConfig, DecoderInput};
pub use embedding::{Embedding, EmbeddingConfig};
pub use embedding_loss::{EmbeddingLoss, PairEmbeddings, cosines};
pub use encoder::{Encoder, EncoderConfig};
pub use encoder_decoder::{EncoderDecoder, EncoderDecoderAttnWeights, EncoderDecoderConfig, EncoderDecoderInput};
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use glu::{Glu, GluConfig};
pub use layer::{AttnWeights, Layer, LayerConfig, LayerInput, Memory, NormOrder};
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use linear::{Linear, LinearConfig};
pub use lora::{Lora, LoraConfig, LoraKind};
pub use loss::{
    CrossEntropyLoss, CrossEntropyLossConfig, LossSum, WeightedCrossEntropyLoss, binary_cross_entropy, squared_error,
    symmetric_divergence,
};
pub use mlp::{Mlp, MlpKind};
pub use norm::{Norm, NormKind};
pub use positions::{
    LearnedPositions, LearnedPositionsConfig, Offsets, SinusoidLayout, SinusoidalPositions, SinusoidalPositionsConfig,
};
pub use prepare::{is_prepared, prepare};
pub use rms_norm::{RmsNorm, RmsNormConfig};
pub use rotary::{Rotary, RotaryConfig};
pub use stack::{Stack, StackConfig};
pub use tensor_parallel::with_tensor_parallel;
pub use vocabulary::{all_tokens, best_tokens};

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Shape, Tensor};
use burnformer_core::{ConfigError, Validate};

/// Panics with the error of a config that cannot work; building one in code is the caller's responsibility.
#[track_caller]
fn assert_valid(config: &impl Validate) {
    let result: Result<(), ConfigError> = config.validate();
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// A parameter that holds `value` everywhere until it is initialised or loaded, and takes no memory before it is used.
fn constant_param<const D: usize>(shape: [usize; D], value: f64, device: &Device) -> Param<Tensor<D>> {
    Param::uninitialized(
        ParamId::new(),
        move |device, require_grad| Tensor::full(shape, value, device).set_require_grad(require_grad),
        device.clone(),
        true,
        Shape::new(shape),
    )
}
