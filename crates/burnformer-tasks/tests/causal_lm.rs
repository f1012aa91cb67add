//! Causal language modelling and the continuation of prompts, on small models of random weights.

use std::path::Path;

use burn::tensor::Device;
use burnformer_core::progress::{Interrupt, Silent};
use burnformer_data::batches::{Batch, Collator, Padding, WindowBatch, WindowCollator};
use burnformer_data::datasets::Window;
use burnformer_data::tokenizer::{Tokenizer, TokenizerConfig, TokenizerKind, train};
use burnformer_models::{GenerationConfig, GptConfig, GptForCausalLM, GptTokens, Pretrained, Sampling};
use burnformer_nn::DropoutRng;
use burnformer_ops::DeviceChoice;
use burnformer_tasks::{
    CausalLmTask, MetricState, Pipeline, Task, TaskError, TextGeneration, TextGenerationOptions, evaluate,
};

fn device() -> Device {
    DeviceChoice::Auto.open().unwrap()
}

fn tokenizer() -> Tokenizer {
    let config = TokenizerConfig { kind: TokenizerKind::ByteLevelBpe, vocab_size: 290, ..TokenizerConfig::default() };
    let texts = ["the cat sat on the mat", "the dog ran over the hill"];
    train(texts.into_iter().map(|text| Ok(text.to_owned())), &config, &Silent, &Interrupt::new()).unwrap()
}

fn config() -> GptConfig {
    let tokens = GptTokens { bos_id: Some(0), eos_id: Some(2), pad_id: Some(1) };
    let small = GptConfig::preset("gpt-tiny", 290, tokens).unwrap();
    GptConfig { d_model: 12, n_heads: 3, d_ff: 20, max_seq_length: 12, init_std: 0.5, ..small }
}

fn task() -> CausalLmTask {
    CausalLmTask::new(config(), tokenizer()).unwrap()
}

/// Windows of different lengths.
fn batch() -> WindowBatch {
    let windows = [vec![0, 70, 71, 72, 2], vec![0, 80, 81], vec![90, 91, 92, 93]];
    let samples = windows.into_iter().map(|ids| Window { ids }).collect();
    WindowCollator { padding: Padding { pad_id: 1, multiple_of: 8 } }.collate(vec![4, 9, 11], samples)
}

#[test]
fn a_steps_loss_is_the_sum_of_its_parts_whatever_they_are() {
    let (task, device) = (task(), device());
    let model = GptForCausalLM::init(&config(), 1, &device);
    let loss = |parts: Vec<WindowBatch>| {
        let totals = parts.iter().map(|part| task.counts(part)).sum();
        let mut metric_state = task.metric_state();
        let losses = parts.iter().map(|part| {
            let forward = task.forward(&model, part, &totals, DropoutRng::off(), &device);
            task.add_scores(&mut metric_state, part, &forward.scores.read().unwrap()).unwrap();
            forward.loss.into_scalar::<f32>()
        });
        (f64::from(losses.sum::<f32>()), metric_state)
    };
    let (whole, state) = loss(vec![batch()]);
    // Every token but the first of each window.
    assert_eq!(state.tokens, 4 + 2 + 3);
    assert!((whole - state.loss()).abs() < 1e-5, "{whole}");
    let (parts, of_parts) = loss(batch().split(1));
    assert!((whole - parts).abs() < 1e-5, "{whole} {parts}");
    assert_eq!((state.tokens, state.correct), (of_parts.tokens, of_parts.correct));
    let mut merged = task.metric_state();
    merged.merge(of_parts);
    assert_eq!(merged.tokens, 9);

    let found = evaluate(&task, &model, [Ok(batch())], 3, &device, &Silent, &Interrupt::new()).unwrap();
    assert!((found.loss() - whole).abs() < 1e-5);
    let names: Vec<&str> = found.metrics().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss", "perplexity", "accuracy"]);
}

#[test]
fn a_model_with_fewer_tokens_than_the_tokenizer_is_refused() {
    let error = CausalLmTask::new(GptConfig { vocab_size: 99, ..config() }, tokenizer()).unwrap_err();
    assert!(matches!(error, TaskError::VocabularyMismatch { rows: 99, .. }), "{error}");
}

fn saved(folder: &Path) {
    let task = task();
    let model = GptForCausalLM::init(&config(), 1, &device());
    task.save(&model, folder).unwrap();
    assert_eq!(task.load(folder, &device()).unwrap().config(), &config());
}

#[test]
fn prompts_are_continued_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path());
    let Pipeline::TextGeneration(pipeline) = Pipeline::from_folder(folder.path()).unwrap() else { panic!() };
    let settings = GenerationConfig { max_length: Some(4), ..GenerationConfig::greedy() };
    let options = TextGenerationOptions::new(settings);
    let prompts = ["the cat", "", "dog", "the"];
    let together = pipeline.generate(&prompts, &options).unwrap();
    for (prompt, expected) in prompts.iter().zip(&together) {
        let alone = pipeline.generate(&[prompt], &options).unwrap().remove(0);
        assert_eq!((&alone[0].text, &alone[0].tokens), (&expected[0].text, &expected[0].tokens));
        assert!((alone[0].log_prob - expected[0].log_prob).abs() < 1e-4);
        assert_eq!((alone.len(), alone[0].is_finished), (1, alone[0].tokens.len() < 4));
    }

    // The first token of a text stands in front of a prompt: the model sees what it saw in training.
    let tokenizer = tokenizer();
    let ids = [&[0], &*tokenizer.encode("the cat").unwrap()].concat();
    let model = GptForCausalLM::load(folder.path(), &device()).unwrap();
    let input = burnformer_models::GenerationInput::new(std::slice::from_ref(&ids));
    let expected = burnformer_models::generate(&model, &options.generation, input).unwrap();
    assert_eq!(together[0][0].tokens, expected[0][0].tokens);
    let whole = tokenizer.decode(&[&*ids, &expected[0][0].tokens].concat(), true).unwrap();
    assert_eq!(format!("the cat{}", together[0][0].text), whole);
}

#[test]
fn samples_depend_on_the_number_of_a_prompt_alone() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path());
    let pipeline = TextGeneration::load(folder.path(), &device()).unwrap();
    let generation =
        GenerationConfig { n_best: 3, max_length: Some(5), ..GenerationConfig::sampled(Sampling::default()) };
    let options = |first_number| TextGenerationOptions {
        seed: 3,
        first_number,
        ..TextGenerationOptions::new(generation.clone())
    };
    let prompts = ["the", "the", "the"];
    let all = pipeline.generate(&prompts, &options(7)).unwrap();
    assert!(all.iter().all(|it| it.len() == 3));
    assert_ne!(all[0], all[1]);
    let small = TextGeneration::load(folder.path(), &device()).unwrap().with_batch_size(2);
    let tokens = |all: &[Vec<burnformer_tasks::Continuation>]| -> Vec<Vec<u32>> {
        all.iter().flatten().map(|it| it.tokens.clone()).collect()
    };
    assert_eq!(tokens(&small.generate(&prompts, &options(7)).unwrap()), tokens(&all));
    assert_eq!(tokens(&pipeline.generate(&["the"], &options(9)).unwrap()), tokens(&all[2..]));
}

#[test]
fn a_prompt_without_room_behind_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path());
    let pipeline = TextGeneration::load(folder.path(), &device()).unwrap();
    let options = TextGenerationOptions::new(GenerationConfig::greedy());
    // With the first token, and the space that the tokenizer adds, 11 of 12 positions; then one more.
    let fits = pipeline.generate(&["zzzzzzzzz"], &options).unwrap();
    assert!(fits[0][0].tokens.len() <= 1);
    let error = pipeline.generate(&["zzzzzzzzzz"], &options).unwrap_err();
    let expected = "a prompt has more than 11 tokens, which is all the model can take: shorten `zzzzzzzzzz`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = burnformer_models::BertConfig::preset("bert-tiny", 270, 1).unwrap();
    let small = burnformer_models::BertConfig { d_model: 12, n_heads: 3, d_ff: 20, ..config };
    burnformer_models::BertForMaskedLM::init(&small, 1, &device()).save(folder.path()).unwrap();
    let error = TextGeneration::load(folder.path(), &device()).unwrap_err();
    let expected = "holds a model for masked language modelling, expected one for text generation";
    assert!(error.to_string().ends_with(expected), "{error}");
}
