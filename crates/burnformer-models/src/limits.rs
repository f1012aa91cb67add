//! Largest sizes of a model. They are numbers in a file or on a command line, and are checked before anything is built by
//! them; those of a model that is loaded are also held against its weights.

use crate::ModelSize;
use burnformer_core::ConfigError;

/// Largest value of a size, and the same in words.
pub(crate) struct Limit {
    most: usize,
    range: &'static str,
}

/// Number of layers of a stack. The deepest published Transformer has 1,000 (Wang et al. 2022).
pub(crate) const LAYERS: Limit = Limit { most: 4096, range: "at most 4,096" };
/// Width of the residual stream.
pub(crate) const WIDTH: Limit = Limit { most: 1 << 16, range: "at most 65,536" };
/// Width of the feed-forward layers.
pub(crate) const HIDDEN: Limit = Limit { most: 1 << 20, range: "at most 1,048,576" };
/// Number of tokens of a vocabulary, or of segments.
pub(crate) const TOKENS: Limit = Limit { most: 1 << 24, range: "at most 16,777,216" };
/// Longest sequence.
pub(crate) const LENGTH: Limit = Limit { most: 1 << 20, range: "at most 1,048,576" };
/// Longest sequence of a model whose positions are computed for all places at once.
pub(crate) const COMPUTED_LENGTH: Limit = Limit { most: 1 << 16, range: "at most 65,536" };

/// Number of parameters: 4 TB of weights, beyond every device.
const MOST_PARAMETERS: u64 = 1_000_000_000_000;
const PARAMETERS: &str = "sizes of at most 10^12 parameters together: choose smaller ones";

impl Limit {
    /// Checks a size, which is at least 1.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`].
    pub(crate) fn check(&self, field: &str, value: usize) -> Result<(), ConfigError> {
        ConfigError::check_positive(field, value)?;
        ConfigError::check(field, &value, value <= self.most, self.range)
    }
}

/// Checks the number of parameters of a model whose sizes are within their limits.
///
/// # Errors
/// [`ConfigError::OutOfRange`] of `d_model`, by which every other size is multiplied.
pub(crate) fn check_parameters(size: &ModelSize) -> Result<(), ConfigError> {
    let fits = n_parameters(size) <= MOST_PARAMETERS;
    ConfigError::check("d_model", &size.d_model, fits, PARAMETERS)
}

/// About the number of parameters: the matrices of the layers, and the tables of tokens and positions.
fn n_parameters(size: &ModelSize) -> u64 {
    let of = |n: usize| n as u64;
    let matrix = of(size.d_model) * of(size.d_model);
    let feed_forward = 2 * of(size.d_model) * of(size.d_ff);
    // A decoder beside an encoder attends to it too.
    let of_decoder_layer = if size.n_encoder_layers > 0 { 8 * matrix } else { 4 * matrix } + feed_forward;
    let layers = of(size.n_encoder_layers) * (4 * matrix + feed_forward) + of(size.n_decoder_layers) * of_decoder_layer;
    let rows = of(size.vocab_size) + of(size.target_vocab_size.unwrap_or(0)) + of(size.max_seq_length);
    layers + rows * of(size.d_model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BertConfig, GptConfig, GptTokens, ModelConfig, Seq2SeqConfig, Vocabularies};

    fn check<C: ModelConfig>(config: &C, change: impl FnOnce(&mut C), expected: &str) {
        let mut config = config.clone();
        change(&mut config);
        assert_eq!(config.validate().unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_size_beyond_its_limit_is_named_in_every_architecture() {
        let layers = "`n_layers` is 1000000, expected at most 4,096";
        let bert = BertConfig::preset("bert-tiny", 1000, 0).unwrap();
        check(&bert, |config| config.n_layers = 1_000_000, layers);
        check(&bert, |config| config.vocab_size = usize::MAX, &beyond("vocab_size", "16,777,216"));
        check(&bert, |config| config.max_seq_length = usize::MAX, &beyond("max_seq_length", "1,048,576"));
        check(&bert, |config| config.n_segments = usize::MAX, &beyond("n_segments", "16,777,216"));
        check(&bert, |config| config.d_ff = usize::MAX, &beyond("d_ff", "1,048,576"));
        check(&bert, |config| config.d_model = usize::MAX, &beyond("d_model", "65,536"));

        let gpt = GptConfig::preset("gpt-tiny", 1000, GptTokens::default()).unwrap();
        check(&gpt, |config| config.n_layers = 1_000_000, layers);
        check(&gpt, |config| config.vocab_size = usize::MAX, &beyond("vocab_size", "16,777,216"));
        check(&gpt, |config| config.max_seq_length = usize::MAX, &beyond("max_seq_length", "1,048,576"));
        check(&gpt, |config| config.d_ff = usize::MAX, &beyond("d_ff", "1,048,576"));
        check(&gpt, |config| config.d_model = usize::MAX, &beyond("d_model", "65,536"));

        let vocabularies =
            Vocabularies { source_size: 9, target_size: 9, shared: false, pad_id: 1, eos_id: 2, decoder_start_id: 0 };
        let pairs = Seq2SeqConfig::preset("transformer-tiny", vocabularies).unwrap();
        check(&pairs, |config| config.n_encoder_layers = usize::MAX, &beyond("n_encoder_layers", "4,096"));
        check(&pairs, |config| config.n_decoder_layers = usize::MAX, &beyond("n_decoder_layers", "4,096"));
        check(&pairs, |config| config.source_vocab_size = usize::MAX, &beyond("source_vocab_size", "16,777,216"));
        check(&pairs, |config| config.target_vocab_size = usize::MAX, &beyond("target_vocab_size", "16,777,216"));
        check(&pairs, |config| config.max_seq_length = usize::MAX, &beyond("max_seq_length", "65,536"));
        check(&pairs, |config| config.d_ff = usize::MAX, &beyond("d_ff", "1,048,576"));
        check(&pairs, |config| config.d_model = usize::MAX, &beyond("d_model", "65,536"));
        let table = "`max_seq_length` is 65536, expected at most 2^28 / `d_model`, as positions are computed for all \
                     places at once";
        check(&pairs, |config| (config.max_seq_length, config.d_model) = (1 << 16, 1 << 13), table);
    }

    fn beyond(field: &str, most: &str) -> String {
        format!("`{field}` is {}, expected at most {most}", usize::MAX)
    }

    #[test]
    fn all_sizes_together_have_a_limit_too() {
        let bert = BertConfig::preset("bert-base", 1 << 24, 0).unwrap();
        let wide = |config: &mut BertConfig| (config.d_model, config.d_ff, config.n_heads) = (1 << 16, 1 << 20, 1);
        check(&bert, wide, &format!("`d_model` is 65536, expected {PARAMETERS}"));
    }

    /// The numbers that transformers counts: 109 M (BERT), 1.56 G (GPT-2).
    #[test]
    fn parameters_are_about_those_of_published_models() {
        let bert = BertConfig::preset("bert-base", 30_522, 0).unwrap();
        let gpt = GptConfig::preset("gpt2-xl", 50_257, GptTokens::default()).unwrap();
        for (found, expected) in [(n_parameters(&bert.size()), 109_482_240), (n_parameters(&gpt.size()), 1_557_611_200)]
        {
            assert!(found.abs_diff(expected) * 100 < expected, "{found} of {expected}");
        }
    }
}
