//! Encoder and decoder together.

use crate::{
    AttnWeights, Decoder, DecoderConfig, DecoderInput, DropoutRng, Encoder, EncoderConfig, LayerConfig, Mask,
    assert_valid,
};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use burnformer_core::{ConfigError, Validate};

/// Settings of an [`EncoderDecoder`].
#[derive(Config, Debug)]
pub struct EncoderDecoderConfig {
    /// Number of layers of the encoder.
    pub n_encoder_layers: usize,
    /// Number of layers of the decoder.
    pub n_decoder_layers: usize,
    /// Settings of every layer.
    pub layer: LayerConfig,
}

impl Validate for EncoderDecoderConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("n_encoder_layers", self.n_encoder_layers)?;
        ConfigError::check_positive("n_decoder_layers", self.n_decoder_layers)?;
        self.layer.validate().map_err(|error| error.within("layer"))
    }
}

impl EncoderDecoderConfig {
    /// Allocates both stacks on `device`.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> EncoderDecoder {
        assert_valid(self);
        EncoderDecoder {
            encoder: EncoderConfig::new(self.n_encoder_layers, self.layer.clone()).init(device),
            decoder: DecoderConfig::new(self.n_decoder_layers, self.layer.clone()).init(device),
        }
    }
}

/// Input of an [`EncoderDecoder`].
#[derive(Debug)]
pub struct EncoderDecoderInput {
    /// Embedded source tokens with their positions, `[batch_size, source_length, d_model]`.
    pub source: Tensor<3>,
    /// Embedded target tokens with their positions, `[batch_size, target_length, d_model]`.
    pub target: Tensor<3>,
    /// `true` marks padding in the source, `[batch_size, source_length]`.
    pub source_mask_pad: Option<Tensor<2, Bool>>,
    /// `true` marks padding in the target, `[batch_size, target_length]`.
    pub target_mask_pad: Option<Tensor<2, Bool>>,
    /// Permission to draw dropout masks; off in evaluation.
    pub rng: DropoutRng,
}

/// The attention weights of every layer and head, before dropout.
#[derive(Clone, Debug)]
pub struct EncoderDecoderAttnWeights {
    /// `[batch_size, n_heads, source_length, source_length]` for each layer of the encoder.
    pub encoder: Vec<Tensor<4>>,
    /// The weights of the decoder.
    pub decoder: AttnWeights,
}

/// The Transformer between embeddings and output layer.
///
/// Source: Vaswani et al. 2017, figure 1.
#[derive(Module, Debug)]
pub struct EncoderDecoder {
    /// The encoder.
    pub encoder: Encoder,
    /// The decoder.
    pub decoder: Decoder,
}

impl EncoderDecoder {
    /// # Shapes
    /// - returns: `[batch_size, target_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, input: EncoderDecoderInput) -> Tensor<3> {
        self.decoder.forward(decoder_input(input, |source, mask, rng| self.encoder.forward(source, mask, rng)))
    }

    /// [`Self::forward`], and all attention weights.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward_with_attn_weights(&self, input: EncoderDecoderInput) -> (Tensor<3>, EncoderDecoderAttnWeights) {
        let mut encoder = Vec::new();
        let input = decoder_input(input, |source, mask, rng| {
            let (memory, weights) = self.encoder.forward_with_attn_weights(source, mask, rng);
            encoder = weights;
            memory
        });
        let (out, decoder) = self.decoder.forward_with_attn_weights(input);
        (out, EncoderDecoderAttnWeights { encoder, decoder })
    }
}

/// Encodes the source; the decoder looks at the result where the source is not padding.
fn decoder_input(
    input: EncoderDecoderInput,
    encode: impl FnOnce(Tensor<3>, Mask, DropoutRng) -> Tensor<3>,
) -> DecoderInput {
    let EncoderDecoderInput { source, target, source_mask_pad, target_mask_pad, rng } = input;
    let [encoder_rng, rng] = rng.split();
    let memory_mask = keys(source_mask_pad);
    let memory = encode(source, memory_mask.clone(), encoder_rng);
    DecoderInput { x: target, memory, mask: keys(target_mask_pad), memory_mask, rng }
}

fn keys(mask_pad: Option<Tensor<2, Bool>>) -> Mask {
    mask_pad.map_or(Mask::None, Mask::Keys)
}
