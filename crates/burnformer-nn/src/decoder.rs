//! The decoder: causal layers that look at an encoder's output.

use crate::transparent::transparent_module;
use crate::{AttnWeights, DecoderCache, DropoutRng, LayerConfig, LayerInput, Mask, Memory, Stack, StackConfig};
use burn::config::Config;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};

/// Settings of a [`Decoder`].
#[derive(Config, Debug)]
pub struct DecoderConfig {
    /// Number of layers.
    pub n_layers: usize,
    /// Settings of every layer; causal and with cross-attention, whatever they say.
    pub layer: LayerConfig,
}

impl Validate for DecoderConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        self.stack().validate()
    }
}

impl DecoderConfig {
    /// Allocates the stack on `device`.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> Decoder {
        Decoder(self.stack().init(device))
    }

    fn stack(&self) -> StackConfig {
        StackConfig::new(self.n_layers, self.layer.clone().with_causal(true).with_cross_attention(true))
    }
}

/// Input of a [`Decoder`].
#[derive(Debug)]
pub struct DecoderInput {
    /// Embedded target tokens with their positions, `[batch_size, q_length, d_model]`.
    pub x: Tensor<3>,
    /// The encoder's output, `[batch_size, kv_length, d_model]`.
    pub memory: Tensor<3>,
    /// Mask of the target, besides later positions: padding.
    pub mask: Mask,
    /// Mask of the memory: padding.
    pub memory_mask: Mask,
    /// Permission to draw dropout masks; off in evaluation.
    pub rng: DropoutRng,
}

impl DecoderInput {
    /// Nothing is padding, no dropout.
    pub fn new(x: Tensor<3>, memory: Tensor<3>) -> Self {
        Self { x, memory, mask: Mask::None, memory_mask: Mask::None, rng: DropoutRng::off() }
    }
}

impl From<DecoderInput> for LayerInput {
    fn from(input: DecoderInput) -> Self {
        let DecoderInput { x, memory, mask, memory_mask, rng } = input;
        Self { x, mask, memory: Some(Memory { states: memory, mask: memory_mask }), rng }
    }
}

/// A causal [`Stack`] with cross-attention.
#[derive(Clone, Debug)]
pub struct Decoder(Stack);

transparent_module!(Decoder: Decoder);

impl Decoder {
    /// All positions at once; none sees a later one.
    ///
    /// # Shapes
    /// - returns: `[batch_size, q_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, input: DecoderInput) -> Tensor<3> {
        self.0.forward(input.into())
    }

    /// [`Self::forward`], and the attention weights of every layer and head.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward_with_attn_weights(&self, input: DecoderInput) -> (Tensor<3>, AttnWeights) {
        self.0.forward_with_attn_weights(input.into())
    }

    /// An empty cache, which begins decoding: the memory `[batch_size, kv_length, d_model]` is projected for every layer,
    /// once.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn cache(&self, memory: Tensor<3>, memory_mask: Mask) -> DecoderCache {
        self.0.cache(Some(Memory { states: memory, mask: memory_mask }))
    }

    /// The positions that follow those in the cache: see [`Stack::forward_cached`].
    ///
    /// # Shapes
    /// - x: `[batch_size, n_new, d_model]`, embedded with positions from [`DecoderCache::offsets`] on; the batch size is
    ///   a multiple of the memory's
    /// - returns: `[batch_size, n_new, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit, or the cache was made by a decoder with another number of layers.
    pub fn forward_cached(&self, x: Tensor<3>, cache: &mut DecoderCache) -> Tensor<3> {
        self.0.forward_cached(x, cache)
    }
}
