//! Generation with an encoder–decoder.

use super::Seq2Seq;
use crate::{DecoderSpec, GenerationConfig, GenerationInput, Hypothesis, ModelError, StepDecoder, generate};
use burn::tensor::{Device, Int, Tensor};
use burnformer_nn::{DecoderCache, all_tokens, mask};
use std::borrow::Cow;

impl Seq2Seq {
    /// The best texts for each source, or samples of them: see [`generate`](crate::generate).
    ///
    /// ```
    /// use burnformer_models::{GenerationConfig, GenerationInput, Seq2Seq, Seq2SeqConfig, Vocabularies};
    /// use burnformer_ops::DeviceChoice;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let vocabularies = Vocabularies {
    ///     source_size: 50,
    ///     target_size: 50,
    ///     shared: true,
    ///     pad_id: 0,
    ///     eos_id: 1,
    ///     decoder_start_id: 2,
    /// };
    /// let config = Seq2SeqConfig::preset("transformer-tiny", vocabularies).ok_or("no such size")?;
    /// let model = Seq2Seq::init(&config, 42, &DeviceChoice::Auto.open()?);
    /// let sources = [vec![7, 8, 9, 1], vec![10, 11, 1]];
    /// let settings = GenerationConfig { n_beams: 4, n_best: 2, max_length: Some(10), ..GenerationConfig::default() };
    /// let answers = model.generate(&settings, GenerationInput::new(&sources))?;
    /// assert_eq!(answers.len(), 2);
    /// assert!(answers[0][0].tokens.len() <= 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`generate`](crate::generate).
    ///
    /// # Panics
    /// If there are not as many numbers as sources.
    pub fn generate(
        &self,
        settings: &GenerationConfig,
        input: GenerationInput,
    ) -> Result<Vec<Vec<Hypothesis>>, ModelError> {
        generate(self, settings, input)
    }
}

impl StepDecoder for Seq2Seq {
    type Cache = DecoderCache;

    fn spec(&self) -> DecoderSpec {
        DecoderSpec {
            source_vocab_size: self.config.source_vocab_size,
            max_source_length: self.config.max_seq_length,
            vocab_size: self.config.target_vocab_size,
            max_seq_length: self.config.max_seq_length,
            eos_id: Some(self.config.eos_id),
            never: vec![self.config.pad_id, self.config.decoder_start_id],
        }
    }

    fn device(&self) -> Device {
        self.weight_device()
    }

    fn prompt<'a>(&self, _source: &'a [u32]) -> Cow<'a, [u32]> {
        vec![self.start_id].into()
    }

    fn begin(&self, sources: &[&[u32]]) -> DecoderCache {
        let (ids, mask) = mask::pad_rows(sources, self.config.pad_id, &self.weight_device());
        self.cache(self.encode(ids, mask.clone()), mask)
    }

    fn step(&self, tokens: Tensor<2, Int>, cache: &mut DecoderCache) -> Tensor<2> {
        // One token a row: the start token is the whole prompt.
        all_tokens(self.decode(tokens, cache).squeeze_dim::<2>(1), self.config.target_vocab_size)
    }
}
