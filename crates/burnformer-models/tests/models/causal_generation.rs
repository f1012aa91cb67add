//! Generation with a decoder alone: prompts of several tokens and of different lengths, against full passes of the model.

use crate::support::{assert_close, devices, values};
use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_models::{
    DecoderSpec, GenerationConfig, GenerationInput, Hypothesis, ModelError, Sampling, StepDecoder, generate,
};
use burnformer_nn::{
    DecoderCache, Embedding, EmbeddingConfig, LayerConfig, LayerInput, NormKind, NormOrder, RotaryConfig, Stack,
    StackConfig, init,
};
use std::borrow::Cow;

const VOCAB_SIZE: usize = 7;
const MAX_LENGTH: usize = 9;
const END: u32 = 1;

/// A causal language model with rotary positions.
#[derive(Module, Debug)]
struct LanguageModel {
    tokens: Embedding,
    stack: Stack,
}

impl LanguageModel {
    fn new(device: &Device) -> Self {
        let layer = LayerConfig::new(12, 3, 20)
            .with_causal(true)
            .with_norm_order(NormOrder::Pre)
            .with_norm(NormKind::RmsNorm)
            .with_rotary(Some(RotaryConfig::new(MAX_LENGTH)));
        let model = Self {
            tokens: EmbeddingConfig::new(VOCAB_SIZE, 12).init(device),
            stack: StackConfig::new(2, layer).init(device),
        };
        init::by_name(model, 5, init::normal(0.4))
    }

    /// Log-probabilities of the tokens behind the first `prompt_length`, each given all before it.
    fn log_probs(&self, tokens: &[u32], prompt_length: usize, device: &Device) -> Vec<f64> {
        let logits =
            self.tokens.logits(self.stack.forward(LayerInput::new(self.tokens.forward(row(tokens, device)))), None);
        let all = values(log_softmax(logits, 2));
        let at = |t: usize| all[(t - 1) * VOCAB_SIZE + tokens[t] as usize];
        (prompt_length..tokens.len()).map(at).collect()
    }
}

fn row(tokens: &[u32], device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = tokens.iter().map(|&token| i64::from(token)).collect();
    Tensor::from_data(TensorData::new(ids, [1, tokens.len()]), device)
}

struct Decoder {
    model: LanguageModel,
    device: Device,
    eos_id: Option<u32>,
}

impl StepDecoder for Decoder {
    type Cache = DecoderCache;

    fn spec(&self) -> DecoderSpec {
        DecoderSpec {
            source_vocab_size: VOCAB_SIZE,
            max_source_length: MAX_LENGTH,
            vocab_size: VOCAB_SIZE,
            max_seq_length: MAX_LENGTH,
            eos_id: self.eos_id,
            never: vec![0],
        }
    }

    fn device(&self) -> Device {
        self.device.clone()
    }

    fn prompt<'a>(&self, source: &'a [u32]) -> Cow<'a, [u32]> {
        source.into()
    }

    fn begin(&self, _sources: &[&[u32]]) -> DecoderCache {
        self.model.stack.cache(None)
    }

    fn step(&self, tokens: Tensor<2, Int>, cache: &mut DecoderCache) -> Tensor<2> {
        let hidden = self.model.stack.forward_cached(self.model.tokens.forward(tokens), cache);
        let last = hidden.dims()[1] - 1;
        self.model.tokens.logits(hidden.narrow(1, last, 1).squeeze_dim::<2>(1), None)
    }
}

fn decoders(eos_id: Option<u32>) -> impl Iterator<Item = Decoder> {
    devices().into_iter().map(move |device| Decoder { model: LanguageModel::new(&device), device, eos_id })
}

/// Prompts of different lengths, two of them of the same.
fn prompts() -> Vec<Vec<u32>> {
    vec![vec![3, 4, 5], vec![2], vec![6, END, 2, 5, 4], vec![5, 5, 3]]
}

/// Every text of up to `max_length` tokens.
fn all_texts(max_length: usize) -> Vec<Vec<u32>> {
    let mut all: Vec<Vec<u32>> = vec![Vec::new()];
    let mut first = 0;
    for _ in 0..max_length {
        let longest = first..all.len();
        first = all.len();
        for index in longest {
            all.extend((2..VOCAB_SIZE as u32).map(|token| [&*all[index], &[token]].concat()).collect::<Vec<_>>());
        }
    }
    all
}

/// Prompts of different lengths enter one batch, where others are at other positions.
#[test]
fn prompts_that_enter_later_have_the_same_answers() {
    let settings = GenerationConfig { n_best: 2, max_length: Some(5), ..GenerationConfig::default() };
    for decoder in decoders(Some(END)) {
        let prompts = prompts();
        let input = GenerationInput::new(&prompts);
        let together = generate(&decoder, &settings, input).unwrap();
        let alone: Vec<_> = prompts
            .iter()
            .map(|prompt| {
                generate(&decoder, &settings, GenerationInput::new(std::slice::from_ref(prompt))).unwrap().remove(0)
            })
            .collect();
        let one_by_one = generate(&decoder, &settings, GenerationInput { at_once: Some(1), ..input }).unwrap();
        let two = generate(&decoder, &settings, GenerationInput { at_once: Some(2), ..input }).unwrap();
        for (name, found) in [("together", together), ("one by one", one_by_one), ("two", two)] {
            for (found, expected) in found.iter().flatten().zip(alone.iter().flatten()) {
                assert_eq!(found.tokens, expected.tokens, "{name}");
                assert_close(name, &[found.log_prob], &[expected.log_prob], 1e-4);
            }
        }
    }
}

#[test]
fn a_wide_beam_finds_the_most_probable_texts_behind_each_prompt() {
    let settings = GenerationConfig {
        n_beams: 200,
        n_best: 5,
        length_penalty: 0.0,
        early_stopping: false,
        max_length: Some(3),
        ..GenerationConfig::default()
    };
    for decoder in decoders(Some(END)) {
        let prompts = prompts();
        let found = generate(&decoder, &settings, GenerationInput::new(&prompts)).unwrap();
        for (prompt, found) in prompts.iter().zip(&found) {
            let score = |text: Vec<u32>| {
                let tokens = [&**prompt, &text, &[END]].concat();
                let log_prob: f64 = decoder.model.log_probs(&tokens, prompt.len(), &decoder.device).iter().sum();
                (log_prob, text)
            };
            let mut expected: Vec<(f64, Vec<u32>)> = all_texts(3).into_iter().map(score).collect();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0));
            assert!(found.iter().all(|it| it.is_finished));
            let tokens: Vec<&Vec<u32>> = found.iter().map(|it| &it.tokens).collect();
            assert_eq!(tokens, expected[..5].iter().map(|(_, text)| text).collect::<Vec<_>>(), "{prompt:?}");
            let log_probs: Vec<f64> = found.iter().map(|it| it.log_prob).collect();
            let expected: Vec<f64> = expected[..5].iter().map(|(log_prob, _)| *log_prob).collect();
            assert_close("log-probability", &log_probs, &expected, 1e-4);
        }
    }
}

#[test]
fn greedy_takes_the_most_probable_token_of_a_full_pass() {
    let settings = GenerationConfig { max_length: Some(4), ..GenerationConfig::greedy() };
    for decoder in decoders(Some(END)) {
        let prompts = prompts();
        let found = generate(&decoder, &settings, GenerationInput::new(&prompts)).unwrap();
        for (prompt, found) in prompts.iter().zip(&found) {
            let mut tokens = prompt.clone();
            for _ in 0..4 {
                let log_prob = |&token: &u32| {
                    let tokens = [&*tokens, &[token]].concat();
                    decoder.model.log_probs(&tokens, tokens.len() - 1, &decoder.device)[0]
                };
                let best = (1..VOCAB_SIZE as u32).max_by(|a, b| log_prob(a).total_cmp(&log_prob(b))).unwrap();
                if best == END {
                    break;
                }
                tokens.push(best);
            }
            assert_eq!(found[0].tokens, tokens[prompt.len()..], "{prompt:?}");
        }
    }
}

#[test]
fn neither_the_batch_nor_the_other_prompts_matter() {
    let beam = GenerationConfig { n_beams: 3, n_best: 2, max_length: Some(4), ..GenerationConfig::default() };
    let sampled = GenerationConfig { n_best: 3, ..GenerationConfig::sampled(Sampling::default()) };
    let sampled = GenerationConfig { max_length: Some(4), ..sampled };
    for decoder in decoders(Some(END)) {
        let prompts = prompts();
        for settings in [&beam, &sampled] {
            let run = |prompts: &[Vec<u32>], numbers: &[u64]| {
                let input = GenerationInput { numbers: Some(numbers), seed: 3, ..GenerationInput::new(prompts) };
                generate(&decoder, settings, input).unwrap()
            };
            let together = run(&prompts, &[10, 11, 12, 13]);
            for (index, prompt) in prompts.iter().enumerate() {
                let alone = run(std::slice::from_ref(prompt), &[10 + index as u64]).remove(0);
                let tokens = |it: &[Hypothesis]| it.iter().map(|it| it.tokens.clone()).collect::<Vec<_>>();
                assert_eq!(tokens(&alone), tokens(&together[index]), "{prompt:?}");
                let scores = |it: &[Hypothesis]| it.iter().map(|it| it.score).collect::<Vec<_>>();
                assert_close("score", &scores(&alone), &scores(&together[index]), 1e-4);
            }
        }
    }
}

#[test]
fn repetitions_of_the_prompt_count_and_its_end_tokens_do_not() {
    let settings =
        GenerationConfig { no_repeat_ngram_size: Some(1), max_length: Some(6), ..GenerationConfig::greedy() };
    for decoder in decoders(Some(END)) {
        let prompts = prompts();
        let found = generate(&decoder, &settings, GenerationInput::new(&prompts)).unwrap();
        for (prompt, found) in prompts.iter().zip(found) {
            assert!(found[0].tokens.iter().all(|token| !prompt.contains(token)), "{prompt:?}: {found:?}");
            // When every other token has come, only the end is left, also behind a prompt that has one.
            assert!(found[0].is_finished, "{prompt:?}: {found:?}");
        }
    }
}

#[test]
fn without_an_end_token_texts_fill_the_positions() {
    let settings = GenerationConfig::greedy();
    for decoder in decoders(None) {
        let prompts = [vec![3; MAX_LENGTH - 2], vec![4; MAX_LENGTH], vec![2]];
        let found = generate(&decoder, &settings, GenerationInput::new(&prompts)).unwrap();
        let lengths: Vec<usize> = found.iter().map(|it| it[0].tokens.len()).collect();
        assert_eq!(lengths, [2, 0, MAX_LENGTH - 1]);
        assert!(found.iter().flatten().all(|it| !it.is_finished));
        let long = [vec![3], vec![3; MAX_LENGTH + 1]];
        let error = generate(&decoder, &settings, GenerationInput::new(&long)).unwrap_err();
        assert!(matches!(error, ModelError::SourceLength { index: 1, found: 10, max: MAX_LENGTH }), "{error}");
    }
}
