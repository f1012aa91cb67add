//! Settings of BERT, and its published sizes.

use super::BertVariant;
use crate::memory::{MicroBatchSize, Passes, Sizes, StepFloats};
use crate::weights::Place;
use crate::{Architecture, ModelConfig, ModelSize, limits};
use burnformer_core::{ConfigError, Validate};
use burnformer_nn::{Activation, LayerConfig};
use serde::{Deserialize, Serialize};

/// Settings of a [`Bert`](crate::Bert).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BertConfig {
    /// BERT itself, or a model that differs in details.
    #[serde(default)]
    pub variant: BertVariant,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Longest sequence; 512 in the published models.
    pub max_seq_length: usize,
    /// Number of segments that a sequence may have; 2 in the published models, 1 in RoBERTa's, none in DistilBERT's.
    pub n_segments: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of encoder layers.
    pub n_layers: usize,
    /// Number of heads, a divisor of `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward layers, `4 * d_model` in the published models.
    pub d_ff: usize,
    /// The non-linearity of the feed-forward layers and of the masked token head.
    pub activation: Activation,
    /// Probability of dropping an embedding or an output of a sub-layer, in `[0, 1)`.
    pub dropout: f64,
    /// Probability of dropping an attention weight, in `[0, 1)`.
    pub attention_dropout: f64,
    /// Added to the variance by the norms.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights, before truncation.
    pub init_std: f64,
    /// The token that fills up a batch.
    pub pad_id: u32,
    /// `true` if the masked token head's output layer is the table of the token embeddings, as in the published models.
    #[serde(default = "tied")]
    pub tied_embeddings: bool,
}

fn tied() -> bool {
    true
}

impl BertConfig {
    /// The names of the published sizes, smallest first.
    pub const PRESETS: [&'static str; 4] = ["bert-tiny", "bert-mini", "bert-small", "bert-base"];

    /// A published size, or `None` if there is none of that name.
    ///
    /// Source: Devlin et al. 2019 (base), Turc et al. 2019 (the others).
    #[must_use]
    pub fn preset(name: &str, vocab_size: usize, pad_id: u32) -> Option<Self> {
        let (n_layers, d_model, n_heads) = match name {
            "bert-tiny" => (2, 128, 2),
            "bert-mini" => (4, 256, 4),
            "bert-small" => (4, 512, 8),
            "bert-base" => (12, 768, 12),
            _ => return None,
        };
        Some(Self {
            variant: BertVariant::Bert,
            vocab_size,
            max_seq_length: 512,
            n_segments: 2,
            d_model,
            n_layers,
            n_heads,
            d_ff: 4 * d_model,
            activation: Activation::Gelu,
            dropout: 0.1,
            attention_dropout: 0.1,
            norm_eps: 1e-12,
            init_std: 0.02,
            pad_id,
            tied_embeddings: true,
        })
    }

    /// The number of the first position in the table of positions, in front of which there are unused rows.
    pub(super) fn first_position(&self) -> usize {
        if self.variant.details().positions_behind_padding { self.pad_id as usize + 1 } else { 0 }
    }

    /// Settings of every encoder layer.
    pub(crate) fn layer(&self) -> LayerConfig {
        LayerConfig::new(self.d_model, self.n_heads, self.d_ff)
            .with_activation(self.activation)
            .with_norm_eps(self.norm_eps)
            .with_dropout(self.dropout)
            .with_attention_dropout(self.attention_dropout)
    }

    /// Panics with the error of settings that cannot work; building them in code is the caller's responsibility.
    #[track_caller]
    pub(super) fn assert_valid(&self) {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
    }
}

impl ModelConfig for BertConfig {
    fn architecture(&self) -> Architecture {
        self.variant.architecture()
    }

    fn size(&self) -> ModelSize {
        ModelSize {
            n_encoder_layers: self.n_layers,
            n_decoder_layers: 0,
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_ff: self.d_ff,
            vocab_size: self.vocab_size,
            target_vocab_size: None,
            max_seq_length: self.max_seq_length,
        }
    }

    fn place(&self, path: &str) -> Place {
        self.variant.details().names.place(path)
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

impl Validate for BertConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        limits::TOKENS.check("vocab_size", self.vocab_size)?;
        limits::LENGTH.check("max_seq_length", self.max_seq_length)?;
        if self.variant.details().has_segments {
            limits::TOKENS.check("n_segments", self.n_segments)?;
        } else {
            ConfigError::check("n_segments", &self.n_segments, self.n_segments == 0, "0 in a DistilBERT")?;
            ConfigError::check("norm_eps", &self.norm_eps, self.norm_eps == 1e-12, "1e-12 in a DistilBERT")?;
        }
        limits::LAYERS.check("n_layers", self.n_layers)?;
        limits::WIDTH.check("d_model", self.d_model)?;
        limits::HIDDEN.check("d_ff", self.d_ff)?;
        limits::check_parameters(&self.size())?;
        self.layer().validate()?;
        ConfigError::check_finite_positive("init_std", self.init_std)?;
        ConfigError::check("pad_id", &self.pad_id, (self.pad_id as usize) < self.vocab_size, "less than `vocab_size`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_four_times_as_wide_inside() {
        for name in BertConfig::PRESETS {
            let config = BertConfig::preset(name, 1000, 3).unwrap();
            assert_eq!(config.validate(), Ok(()));
            assert_eq!((config.d_ff, config.d_model / config.n_heads), (4 * config.d_model, 64), "{name}");
        }
        assert_eq!(BertConfig::preset("bert-huge", 1000, 3), None);
    }

    /// A layer keeps 8 · 2 + 3 + 1 + 2 = 22 floats of each token, an embedding 2, and a prediction 10 + 5 · 2. The backward
    /// pass works with 3 · 8 · 2, 4 · 2 · 2 · 3 and four blocks.
    #[test]
    fn activations_are_counted_by_token_and_by_prediction() {
        let tiny = BertConfig::preset("bert-tiny", 10, 0).unwrap();
        let config = BertConfig { d_model: 2, d_ff: 3, n_heads: 1, ..tiny };
        let batch = MicroBatchSize { n_tokens: 8, seq_length: 4, n_predicted: 3 };
        let passes = Passes { fused: true, activation_checkpointing: false, frozen: false };
        let working = 3 * 8 * 2 + 8 * 6 + (4 << 19);
        let expected = StepFloats {
            first_activations: 8 * (2 * 22 + 2) + working,
            first_gradients: 20,
            last_activations: working + 20,
        };
        assert_eq!(config.step_floats(&batch, passes), expected);
        // Weights without gradients: 3 · 8 · 2 and four blocks.
        let frozen = config.step_floats(&batch, Passes { frozen: true, ..passes });
        assert_eq!((frozen.first_gradients, frozen.last_activations), (0, 3 * 8 * 2 + (4 << 19)));
        // With checkpointing the inputs of both layers, and all of one.
        let passes = Passes { activation_checkpointing: true, ..passes };
        assert_eq!(config.step_floats(&batch, passes).first_activations, 8 * (3 * 2 + 22 + 2) + working);
        // 24 · 2 + 6 · 3 + 7 · 1 · 4 floats of each token in a layer.
        let passes = Passes { fused: false, activation_checkpointing: false, frozen: false };
        assert_eq!(config.step_floats(&batch, passes).first_activations, 8 * (2 * 94 + 6 * 2) + working);
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let check = |change: fn(&mut BertConfig), expected: &str| {
            let mut config = BertConfig::preset("bert-tiny", 1000, 0).unwrap();
            change(&mut config);
            assert_eq!(config.validate().unwrap_err().to_string(), expected);
        };
        check(|config| config.vocab_size = 0, "`vocab_size` is 0, expected at least 1");
        check(|config| config.max_seq_length = 0, "`max_seq_length` is 0, expected at least 1");
        check(|config| config.n_segments = 0, "`n_segments` is 0, expected at least 1");
        check(|config| config.n_layers = 0, "`n_layers` is 0, expected at least 1");
        check(|config| config.d_ff = 0, "`d_ff` is 0, expected at least 1");
        check(|config| config.dropout = 1.0, "`dropout` is 1, expected a value in [0, 1)");
        check(|config| config.attention_dropout = -0.1, "`attention_dropout` is -0.1, expected a value in [0, 1)");
        check(|config| config.norm_eps = 0.0, "`norm_eps` is 0, expected a finite value above 0");
        check(|config| config.init_std = f64::NAN, "`init_std` is NaN, expected a finite value above 0");
        check(|config| config.pad_id = 1000, "`pad_id` is 1000, expected less than `vocab_size`");
        let heads = "`d_model` (128) is not divisible by `n_heads` (3), choose `n_heads` from 1, 2, 4, 8, 16";
        check(|config| config.n_heads = 3, heads);
    }
}
