//! Prompts into texts that go on.

use std::path::Path;

use burn::tensor::Device;
use burnformer_core::progress::Interrupt;
use burnformer_data::tokenizer::{Tokenizer, TokenizerError};
use burnformer_models::{
    GenerationConfig, GenerationFile, GenerationInput, GptForCausalLM, Head, Hypothesis, Pretrained, generate,
};
use burnformer_ops::WeightFormat;
use serde::Serialize;

use crate::TaskError;
use crate::encode::{beginning, check_vocabulary, expect_head};

/// Number of prompts that are continued at once, unless another one is asked for.
const BATCH_SIZE: usize = 16;

/// Continues prompts with a causal language model.
#[derive(Debug)]
pub struct TextGeneration {
    model: GptForCausalLM,
    tokenizer: Tokenizer,
    /// Number of the tokens that the tokenizer puts behind a text: a prompt goes on.
    n_behind: usize,
    batch_size: usize,
}

/// A continuation of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Continuation {
    /// The generated text, without the prompt.
    pub text: String,
    /// The generated tokens, without the end token.
    pub tokens: Vec<u32>,
    /// Sum of the log-probabilities of the tokens, the end token included.
    pub log_prob: f64,
    /// Score by which the continuations of a prompt are ranked.
    pub score: f64,
    /// `false` if it was cut off at the largest number of tokens.
    pub is_finished: bool,
}

/// Settings of [`TextGeneration::generate`].
#[derive(Clone, Debug)]
pub struct TextGenerationOptions<'a> {
    /// Choice of the tokens; that of the model's folder is in [`TextGeneration::generation_file`]. `max_length` is the largest
    /// number of new tokens, 50 if it is absent.
    pub generation: GenerationConfig,
    /// Seed of every draw of sampling.
    pub seed: u64,
    /// Number of the first prompt, by which samples are drawn; the others follow.
    pub first_number: u64,
    /// A request to stop.
    pub interrupt: Option<&'a Interrupt>,
}

impl TextGenerationOptions<'_> {
    /// These settings, seed 0, and numbers from 0.
    #[must_use]
    pub fn new(generation: GenerationConfig) -> Self {
        Self { generation, seed: 0, first_number: 0, interrupt: None }
    }
}

impl TextGeneration {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// If the folder holds no causal language model with its tokenizer.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        expect_head(folder, &[Head::CausalLm])?;
        let model = GptForCausalLM::load(folder, device)?;
        let tokenizer = Tokenizer::load(folder)?;
        check_vocabulary(&tokenizer, model.config().vocab_size)?;
        // A sequence of the tokenizer without its end; GPT-2's own has nothing around a text.
        let n_behind = tokenizer.specials_around()?.1.len();
        Ok(Self { model, tokenizer, n_behind, batch_size: BATCH_SIZE })
    }

    /// The same pipeline with the weights of its model laid out once, as `format`, for the products of this processor: see
    /// [`Pretrained::prepare`].
    ///
    /// # Errors
    /// If the processor or the device has no products of this type.
    pub fn prepared(self, format: WeightFormat) -> Result<Self, TaskError> {
        Ok(Self { model: self.model.prepare(format)?, ..self })
    }

    /// The same with another number of prompts at once, at least one.
    #[must_use]
    pub fn with_batch_size(self, batch_size: usize) -> Self {
        Self { batch_size: batch_size.max(1), ..self }
    }

    /// The settings of generation in the model's folder.
    #[must_use]
    pub fn generation_file(&self) -> &GenerationFile {
        self.model.generation_file()
    }

    /// The continuations of each prompt, best first, in the order of the prompts. An empty prompt is continued from the first
    /// token of a text.
    ///
    /// # Errors
    /// [`TaskError::PromptLength`] if a prompt leaves no room for a token; if a setting cannot work, a prompt cannot be
    /// tokenised, the device fails, or on request of the interrupt.
    pub fn generate(
        &self,
        prompts: &[&str],
        options: &TextGenerationOptions,
    ) -> Result<Vec<Vec<Continuation>>, TaskError> {
        let prompts = prompts.iter().map(|prompt| self.encode(prompt)).collect::<Result<Vec<_>, _>>()?;
        let mut answers = Vec::with_capacity(prompts.len());
        for (first, sources) in (options.first_number..).step_by(self.batch_size).zip(prompts.chunks(self.batch_size)) {
            let numbers: Vec<u64> = (first..).take(sources.len()).collect();
            let input = GenerationInput {
                numbers: Some(&numbers),
                seed: options.seed,
                interrupt: options.interrupt,
                ..GenerationInput::new(sources)
            };
            for (prompt, hypotheses) in sources.iter().zip(generate(&self.model, &options.generation, input)?) {
                let texts = hypotheses.into_iter().map(|it| self.continuation(prompt, it));
                answers.push(texts.collect::<Result<_, _>>()?);
            }
        }
        Ok(answers)
    }

    fn encode(&self, prompt: &str) -> Result<Vec<u32>, TaskError> {
        let max = self.model.config().max_seq_length.saturating_sub(1);
        let mut tokens = match self.tokenizer.encode_with_specials(prompt, None, Some(max + self.n_behind)) {
            Ok(encoded) if encoded.is_cut => return Err(TaskError::PromptLength { prompt: beginning(prompt), max }),
            Ok(encoded) => encoded.ids,
            Err(TokenizerError::NoTokens) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        tokens.truncate(tokens.len().saturating_sub(self.n_behind));
        if tokens.is_empty() {
            let specials = self.tokenizer.specials();
            tokens.push(specials.bos_id.or(specials.eos_id).ok_or(TaskError::NoToken { role: "first" })?);
        }
        Ok(tokens)
    }

    fn continuation(&self, prompt: &[u32], hypothesis: Hypothesis) -> Result<Continuation, TaskError> {
        let Hypothesis { tokens, log_prob, score, is_finished } = hypothesis;
        // The text behind that of the prompt: alone the tokens might lose the space in front of them.
        let whole = self.tokenizer.decode(&[prompt, &tokens].concat(), true)?;
        let text = match whole.strip_prefix(&self.tokenizer.decode(prompt, true)?) {
            Some(text) => text.to_owned(),
            None => self.tokenizer.decode(&tokens, true)?,
        };
        Ok(Continuation { text, tokens, log_prob, score, is_finished })
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::progress::Silent;
    use burnformer_data::tokenizer::{TokenizerConfig, TokenizerKind, train};
    use burnformer_models::{GptConfig, GptTokens};
    use burnformer_ops::DeviceChoice;

    use super::*;

    #[test]
    fn a_continuation_keeps_the_space_in_front_of_it() {
        let kind = TokenizerConfig { kind: TokenizerKind::ByteLevelBpe, vocab_size: 290, ..TokenizerConfig::default() };
        let texts = ["the cat sat", "the cat sat"].map(|text| Ok(text.to_owned()));
        let tokenizer = train(texts.into_iter(), &kind, &Silent, &Interrupt::new()).unwrap();
        let config = GptConfig::preset("gpt-tiny", 290, GptTokens::default()).unwrap();
        let model = GptForCausalLM::new(&config, &DeviceChoice::Auto.open().unwrap());
        let pipeline = TextGeneration { model, tokenizer, n_behind: 1, batch_size: 1 };
        let prompt = pipeline.encode("the cat").unwrap();
        assert_eq!(prompt[0], 0);
        // As in transformers, a special token in a prompt is one.
        let marked = pipeline.encode("the cat</s>").unwrap();
        assert_eq!(marked, [prompt.as_slice(), &[pipeline.tokenizer.specials().eos_id.unwrap()]].concat());
        let text = |text: &str| {
            let tokens = pipeline.tokenizer.encode(text).unwrap();
            let hypothesis = Hypothesis { tokens, log_prob: -1.0, score: -1.0, is_finished: true };
            pipeline.continuation(&prompt, hypothesis).unwrap().text
        };
        assert_eq!([text("sat"), text("")], [" sat", ""]);
    }
}
