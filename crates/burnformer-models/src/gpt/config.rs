//! Settings of GPT-2, and its published sizes.

use super::names::NAMES;
use crate::memory::{MicroBatchSize, Passes, Sizes, StepFloats};
use crate::weights::Place;
use crate::{Architecture, ModelConfig, ModelSize, limits};
use burnformer_core::{ConfigError, Validate};
use burnformer_nn::{Activation, LayerConfig, NormOrder, StackConfig};
use serde::{Deserialize, Serialize};

/// Settings of a [`Gpt`](crate::Gpt).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GptConfig {
    /// Number of tokens.
    pub vocab_size: usize,
    /// Longest sequence; 1,024 in the published models.
    pub max_seq_length: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// Number of heads, a divisor of `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward layers, `4 * d_model` in the published models.
    pub d_ff: usize,
    /// The non-linearity of the feed-forward layers.
    pub activation: Activation,
    /// Probability of dropping an output of a sub-layer, in `[0, 1)`.
    pub dropout: f64,
    /// Probability of dropping an embedding, in `[0, 1)`.
    pub embedding_dropout: f64,
    /// Probability of dropping an attention weight, in `[0, 1)`.
    pub attention_dropout: f64,
    /// Added to the variance by the norms.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights.
    pub init_std: f64,
    /// `true` if the output layer is the table of the token embeddings, as in the published models.
    pub tied_embeddings: bool,
    /// Special tokens.
    #[serde(flatten)]
    pub tokens: GptTokens,
}

/// Special tokens of a [`GptConfig`]. Published models have one, `<|endoftext|>`, at both ends of a text. A token
/// beyond the vocabulary is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GptTokens {
    /// The token in front of a text.
    pub bos_id: Option<u32>,
    /// The token that ends a text.
    pub eos_id: Option<u32>,
    /// The token that fills up a batch.
    pub pad_id: Option<u32>,
}

impl GptConfig {
    /// The names of the sizes, smallest first. Those that begin with `gpt2` are the published ones.
    pub const PRESETS: [&'static str; 6] = ["gpt-tiny", "gpt-mini", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"];

    /// A size by its name, or `None` if there is none of that name.
    ///
    /// Source: Radford et al. 2019, table 2 (`gpt2` and larger); the smaller ones are as wide and deep as BERT's
    /// (Turc et al. 2019).
    #[must_use]
    pub fn preset(name: &str, vocab_size: usize, tokens: GptTokens) -> Option<Self> {
        let (n_layers, d_model, n_heads) = match name {
            "gpt-tiny" => (2, 128, 2),
            "gpt-mini" => (4, 256, 4),
            "gpt2" => (12, 768, 12),
            "gpt2-medium" => (24, 1024, 16),
            "gpt2-large" => (36, 1280, 20),
            "gpt2-xl" => (48, 1600, 25),
            _ => return None,
        };
        Some(Self {
            vocab_size,
            max_seq_length: 1024,
            d_model,
            n_layers,
            n_heads,
            d_ff: 4 * d_model,
            activation: Activation::GeluTanh,
            dropout: 0.1,
            embedding_dropout: 0.1,
            attention_dropout: 0.1,
            norm_eps: 1e-5,
            init_std: 0.02,
            tied_embeddings: true,
            tokens,
        })
    }

    /// Settings of the layers.
    pub(crate) fn stack(&self) -> StackConfig {
        let layer = LayerConfig::new(self.d_model, self.n_heads, self.d_ff)
            .with_activation(self.activation)
            .with_norm_order(NormOrder::Pre)
            .with_norm_eps(self.norm_eps)
            .with_dropout(self.dropout)
            .with_attention_dropout(self.attention_dropout)
            .with_causal(true);
        StackConfig::new(self.n_layers, layer)
    }

    /// Standard deviation of the initial weights of the maps that add to the residual stream, two in each layer.
    ///
    /// Source: Radford et al. 2019, section 2.3.
    pub(super) fn residual_std(&self) -> f64 {
        self.init_std / (2.0 * self.n_layers as f64).sqrt()
    }

    /// `id`, if the vocabulary has it.
    pub(super) fn known(&self, id: Option<u32>) -> Option<u32> {
        id.filter(|&id| (id as usize) < self.vocab_size)
    }
}

impl ModelConfig for GptConfig {
    fn architecture(&self) -> Architecture {
        Architecture::Gpt2
    }

    fn size(&self) -> ModelSize {
        ModelSize {
            n_encoder_layers: 0,
            n_decoder_layers: self.n_layers,
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_ff: self.d_ff,
            vocab_size: self.vocab_size,
            target_vocab_size: None,
            max_seq_length: self.max_seq_length,
        }
    }

    fn place(&self, path: &str) -> Place {
        NAMES.place(path)
    }

    fn step_floats(&self, batch: &MicroBatchSize, passes: Passes) -> StepFloats {
        let sizes = Sizes {
            n_layers: self.n_layers,
            n_cross_layers: 0,
            d_model: self.d_model,
            d_ff: self.d_ff,
            n_heads: self.n_heads,
            vocab_size: self.vocab_size,
            tied: self.tied_embeddings,
        };
        sizes.step_floats(batch, passes)
    }
}

impl Validate for GptConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        limits::TOKENS.check("vocab_size", self.vocab_size)?;
        limits::LENGTH.check("max_seq_length", self.max_seq_length)?;
        limits::LAYERS.check("n_layers", self.n_layers)?;
        limits::WIDTH.check("d_model", self.d_model)?;
        limits::HIDDEN.check("d_ff", self.d_ff)?;
        limits::check_parameters(&self.size())?;
        self.stack().layer.validate()?;
        ConfigError::check_probability("embedding_dropout", self.embedding_dropout)?;
        ConfigError::check_finite_positive("init_std", self.init_std)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_four_times_as_wide_inside() {
        for name in GptConfig::PRESETS {
            let config = GptConfig::preset(name, 1000, GptTokens::default()).unwrap();
            assert_eq!(config.validate(), Ok(()));
            assert_eq!((config.d_ff, config.d_model / config.n_heads), (4 * config.d_model, 64), "{name}");
        }
        assert_eq!(GptConfig::preset("gpt2-huge", 1000, GptTokens::default()), None);
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let check = |change: fn(&mut GptConfig), expected: &str| {
            let mut config = GptConfig::preset("gpt-tiny", 1000, GptTokens::default()).unwrap();
            change(&mut config);
            assert_eq!(config.validate().unwrap_err().to_string(), expected);
        };
        check(|config| config.vocab_size = 0, "`vocab_size` is 0, expected at least 1");
        check(|config| config.max_seq_length = 0, "`max_seq_length` is 0, expected at least 1");
        check(|config| config.n_layers = 0, "`n_layers` is 0, expected at least 1");
        check(|config| config.d_ff = 0, "`d_ff` is 0, expected at least 1");
        check(|config| config.embedding_dropout = 1.0, "`embedding_dropout` is 1, expected a value in [0, 1)");
        check(|config| config.init_std = 0.0, "`init_std` is 0, expected a finite value above 0");
    }
}
