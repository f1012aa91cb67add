//! Settings of an encoder–decoder.

use crate::memory::{MicroBatchSize, Passes, Sizes, StepFloats};
use crate::weights::Place;
use crate::{Architecture, ModelConfig, ModelSize, limits};
use burnformer_core::{ConfigError, Validate};
use burnformer_nn::{Activation, EncoderDecoderConfig, LayerConfig, NormOrder};
use serde::{Deserialize, Serialize};

/// Default epsilon of PyTorch's norms, which Marian and Pegasus use.
pub(super) const NORM_EPS: f64 = 1e-5;

/// How a model encodes the position of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionKind {
    /// All sines, then all cosines: the paper's own code, and Marian.
    Sinusoidal,
    /// A trained vector for each position, of the source and of the target.
    Learned,
}

/// Settings of a [`Seq2Seq`](crate::Seq2Seq).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seq2SeqConfig {
    /// Number of tokens of the source.
    pub source_vocab_size: usize,
    /// Number of tokens of the target.
    pub target_vocab_size: usize,
    /// `true` if source and target have one table of embeddings, and so one vocabulary.
    pub shared_embeddings: bool,
    /// `true` if the output layer is the table of the target's embeddings.
    pub tied_embeddings: bool,
    /// `true` if the output layer adds a trained bias.
    #[serde(default)]
    pub output_bias: bool,
    /// `true` if embeddings are multiplied by `sqrt(d_model)`, as in the paper.
    pub scaled_embeddings: bool,
    /// How positions are encoded.
    pub positions: PositionKind,
    /// Longest sequence, at most 65,536.
    pub max_seq_length: usize,
    /// Width of the residual stream, at most 65,536.
    pub d_model: usize,
    /// Number of layers of the encoder.
    pub n_encoder_layers: usize,
    /// Number of layers of the decoder.
    pub n_decoder_layers: usize,
    /// Number of heads, a divisor of `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward layers.
    pub d_ff: usize,
    /// The non-linearity of the feed-forward layers.
    pub activation: Activation,
    /// Where the layers normalise.
    pub norm_order: NormOrder,
    /// Added to the variance by the norms.
    pub norm_eps: f64,
    /// Probability of dropping an embedding or an output of a sub-layer, in `[0, 1)`.
    pub dropout: f64,
    /// Probability of dropping an attention weight, in `[0, 1)`.
    pub attention_dropout: f64,
    /// Probability of dropping a hidden activation of a feed-forward layer, in `[0, 1)`.
    pub activation_dropout: f64,
    /// Standard deviation of the initial weights of a model in the files of Hugging Face; ours are Glorot's.
    pub init_std: f64,
    /// The token that fills up a batch.
    pub pad_id: u32,
    /// The token that ends a sequence.
    pub eos_id: u32,
    /// The token that a target begins with.
    pub decoder_start_id: u32,
}

/// Vocabulary sizes and special tokens of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vocabularies {
    /// Number of tokens of the source.
    pub source_size: usize,
    /// Number of tokens of the target.
    pub target_size: usize,
    /// `true` if source and target share one vocabulary.
    pub shared: bool,
    /// The token that fills up a batch.
    pub pad_id: u32,
    /// The token that ends a sequence.
    pub eos_id: u32,
    /// The token that a target begins with.
    pub decoder_start_id: u32,
}

impl Seq2SeqConfig {
    /// The names of the sizes, smallest first.
    pub const PRESETS: [&'static str; 4] =
        ["transformer-tiny", "transformer-small", "transformer-base", "transformer-big"];

    /// A size by its name, or `None` if there is none of that name: sinusoidal positions, post-norm, scaled embeddings
    /// that are the output layer too, and those of the source where the vocabulary is shared.
    ///
    /// Source: Vaswani et al. 2017, table 3 (base, big; dropout 0.3 as for English–German). The others are ours: tiny
    /// to try things out, small for some ten thousand pairs.
    #[must_use]
    pub fn preset(name: &str, vocabularies: Vocabularies) -> Option<Self> {
        let (n_layers, d_model, n_heads, dropout) = match name {
            "transformer-tiny" => (2, 128, 4, 0.1),
            "transformer-small" => (3, 256, 8, 0.1),
            "transformer-base" => (6, 512, 8, 0.1),
            "transformer-big" => (6, 1024, 16, 0.3),
            _ => return None,
        };
        Some(Self {
            source_vocab_size: vocabularies.source_size,
            target_vocab_size: vocabularies.target_size,
            shared_embeddings: vocabularies.shared,
            tied_embeddings: true,
            output_bias: false,
            scaled_embeddings: true,
            positions: PositionKind::Sinusoidal,
            max_seq_length: 512,
            d_model,
            n_encoder_layers: n_layers,
            n_decoder_layers: n_layers,
            n_heads,
            d_ff: 4 * d_model,
            activation: Activation::Relu,
            norm_order: NormOrder::Post,
            norm_eps: 1e-5,
            dropout,
            attention_dropout: 0.0,
            activation_dropout: 0.0,
            init_std: 0.02,
            pad_id: vocabularies.pad_id,
            eos_id: vocabularies.eos_id,
            decoder_start_id: vocabularies.decoder_start_id,
        })
    }

    /// Settings of both stacks.
    pub(crate) fn stacks(&self) -> EncoderDecoderConfig {
        let layer = LayerConfig::new(self.d_model, self.n_heads, self.d_ff)
            .with_activation(self.activation)
            .with_norm_order(self.norm_order)
            .with_norm_eps(self.norm_eps)
            .with_dropout(self.dropout)
            .with_attention_dropout(self.attention_dropout)
            .with_activation_dropout(self.activation_dropout);
        EncoderDecoderConfig::new(self.n_encoder_layers, self.n_decoder_layers, layer)
    }

    /// `true` if positions are computed, not trained.
    pub(super) fn is_sinusoidal(&self) -> bool {
        self.positions == PositionKind::Sinusoidal
    }

    /// Factor of the embeddings.
    pub(super) fn embedding_scale(&self) -> f64 {
        if self.scaled_embeddings { (self.d_model as f64).sqrt() } else { 1.0 }
    }
}

impl ModelConfig for Seq2SeqConfig {
    fn architecture(&self) -> Architecture {
        match (self.check_hugging_face(), self.norm_order) {
            (Ok(()), NormOrder::Post) => Architecture::Marian,
            (Ok(()), NormOrder::Pre) => Architecture::Pegasus,
            (Err(_), _) => Architecture::Burnformer,
        }
    }

    fn size(&self) -> ModelSize {
        ModelSize {
            n_encoder_layers: self.n_encoder_layers,
            n_decoder_layers: self.n_decoder_layers,
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_ff: self.d_ff,
            vocab_size: self.source_vocab_size,
            target_vocab_size: (!self.shared_embeddings).then_some(self.target_vocab_size),
            max_seq_length: self.max_seq_length,
        }
    }

    fn place(&self, path: &str) -> Place {
        self.weight_name(path).into()
    }

    fn step_floats(&self, batch: &MicroBatchSize, passes: Passes) -> StepFloats {
        let sizes = Sizes {
            n_layers: self.n_encoder_layers,
            n_cross_layers: self.n_decoder_layers,
            d_model: self.d_model,
            d_ff: self.d_ff,
            n_heads: self.n_heads,
            vocab_size: self.target_vocab_size,
            tied: self.tied_embeddings,
        };
        sizes.step_floats(batch, passes)
    }

    /// A Marian has post-norm layers, a Pegasus pre-norm ones; both have sinusoidal positions.
    fn check_hugging_face(&self) -> Result<(), ConfigError> {
        let positions = if self.is_sinusoidal() { "sinusoidal" } else { "learned" };
        ConfigError::check("positions", &positions, self.is_sinusoidal(), "`sinusoidal`")?;
        ConfigError::check("norm_eps", &self.norm_eps, self.norm_eps == NORM_EPS, "1e-5")?;
        let [shared, tied] = [self.shared_embeddings, self.tied_embeddings];
        ConfigError::check("output_bias", &self.output_bias, !self.output_bias, "`false`")?;
        // Hugging Face's setting unties both sides from one another too.
        ConfigError::check("tied_embeddings", &tied, tied || !shared, "`true`, as the embeddings are shared")?;
        let fits = shared || self.norm_order == NormOrder::Post;
        ConfigError::check("shared_embeddings", &shared, fits, "`true` in a model with pre-norm layers")
    }
}

/// Largest table of computed positions: 1 GiB.
const MOST_SINUSOIDS: usize = 1 << 28;
const SINUSOIDS_RANGE: &str = "at most 2^28 / `d_model`, as positions are computed for all places at once";

impl Validate for Seq2SeqConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        limits::TOKENS.check("source_vocab_size", self.source_vocab_size)?;
        limits::TOKENS.check("target_vocab_size", self.target_vocab_size)?;
        let (source, target) = (self.source_vocab_size, self.target_vocab_size);
        let fits = !self.shared_embeddings || source == target;
        ConfigError::check("target_vocab_size", &target, fits, "`source_vocab_size`, as the embeddings are shared")?;
        limits::COMPUTED_LENGTH.check("max_seq_length", self.max_seq_length)?;
        limits::LAYERS.check("n_encoder_layers", self.n_encoder_layers)?;
        limits::LAYERS.check("n_decoder_layers", self.n_decoder_layers)?;
        limits::WIDTH.check("d_model", self.d_model)?;
        limits::HIDDEN.check("d_ff", self.d_ff)?;
        limits::check_parameters(&self.size())?;
        let fits = !self.is_sinusoidal() || self.max_seq_length * self.d_model <= MOST_SINUSOIDS;
        ConfigError::check("max_seq_length", &self.max_seq_length, fits, SINUSOIDS_RANGE)?;
        self.stacks().layer.validate()?;
        ConfigError::check_finite_positive("init_std", self.init_std)?;
        let check = |field, id: u32, size: usize, range| ConfigError::check(field, &id, (id as usize) < size, range);
        let both = source.min(target);
        check("pad_id", self.pad_id, both, "less than both vocabulary sizes")?;
        check("eos_id", self.eos_id, both, "less than both vocabulary sizes")?;
        check("decoder_start_id", self.decoder_start_id, target, "less than `target_vocab_size`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_a_marian() {
        let vocabularies = Vocabularies {
            source_size: 1000,
            target_size: 1000,
            shared: true,
            pad_id: 1,
            eos_id: 2,
            decoder_start_id: 0,
        };
        for name in Seq2SeqConfig::PRESETS {
            for vocabularies in [vocabularies, Vocabularies { target_size: 800, shared: false, ..vocabularies }] {
                let config = Seq2SeqConfig::preset(name, vocabularies).unwrap();
                assert_eq!(config.validate(), Ok(()), "{name}");
                assert_eq!(
                    (config.check_hugging_face(), config.architecture()),
                    (Ok(()), Architecture::Marian),
                    "{name}"
                );
                assert_eq!(config.d_ff, 4 * config.d_model, "{name}");
            }
        }
        assert_eq!(Seq2SeqConfig::preset("transformer-huge", vocabularies), None);
    }
}
