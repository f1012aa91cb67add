//! The encoder: layers of self-attention in which every position sees all others.

use crate::transparent::transparent_module;
use crate::{DropoutRng, LayerConfig, LayerInput, Mask, Stack, StackConfig};
use burn::config::Config;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};

/// Settings of an [`Encoder`].
#[derive(Config, Debug)]
pub struct EncoderConfig {
    /// Number of layers.
    pub n_layers: usize,
    /// Settings of every layer; neither causal nor with cross-attention, whatever they say.
    pub layer: LayerConfig,
}

impl Validate for EncoderConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        self.stack().validate()
    }
}

impl EncoderConfig {
    /// Allocates the stack on `device`.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> Encoder {
        Encoder(self.stack().init(device))
    }

    fn stack(&self) -> StackConfig {
        StackConfig::new(self.n_layers, self.layer.clone().with_causal(false).with_cross_attention(false))
    }
}

/// A [`Stack`] in which every position sees all others.
#[derive(Clone, Debug)]
pub struct Encoder(Stack);

transparent_module!(Encoder: Encoder);

impl Encoder {
    /// # Shapes
    /// - x: `[batch_size, seq_length, d_model]`, embedded tokens with their positions
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, x: Tensor<3>, mask: Mask, rng: DropoutRng) -> Tensor<3> {
        self.0.forward(LayerInput { mask, rng, ..LayerInput::new(x) })
    }

    /// [`Self::forward`], and the attention weights of every layer and head, before dropout.
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]`, `[batch_size, n_heads, seq_length, seq_length]` for each layer
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward_with_attn_weights(&self, x: Tensor<3>, mask: Mask, rng: DropoutRng) -> (Tensor<3>, Vec<Tensor<4>>) {
        let (out, weights) = self.0.forward_with_attn_weights(LayerInput { mask, rng, ..LayerInput::new(x) });
        (out, weights.self_attention)
    }

    /// The input of every layer, and the output of [`Self::forward`].
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]` for each layer, and one more
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn hidden_states(&self, x: Tensor<3>, mask: Mask, rng: DropoutRng) -> Vec<Tensor<3>> {
        self.0.hidden_states(LayerInput { mask, rng, ..LayerInput::new(x) })
    }
}
