//! Translation by small models of random weights.

use std::fs;
use std::path::Path;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_core::progress::{Interrupt, Silent};
use burnformer_data::batches::{Batch, Collator, Padding, TextPairBatch, TextPairCollator};
use burnformer_data::datasets::TextPair;
use burnformer_data::tokenizer::{Tokenizer, TokenizerConfig, TokenizerKind, train};
use burnformer_models::{GenerationConfig, Pretrained, Sampling, Seq2Seq, Seq2SeqConfig, Seq2SeqInput};
use burnformer_nn::DropoutRng;
use burnformer_ops::DeviceChoice;
use burnformer_tasks::metrics::Bleu;
use burnformer_tasks::{
    MetricState, Pipeline, Task, TaskError, TranslationMetricState, TranslationOptions, TranslationTask,
    TranslationTokenizers, Translator, evaluate,
};

fn device() -> Device {
    DeviceChoice::Auto.open().unwrap()
}

fn tokenizer(kind: TokenizerKind, text: &str) -> Tokenizer {
    let config = TokenizerConfig { kind, vocab_size: 400, min_frequency: 1, ..TokenizerConfig::default() };
    train(std::iter::once(Ok(text.to_owned())), &config, &Silent, &Interrupt::new()).unwrap()
}

fn tokenizers() -> TranslationTokenizers {
    let source = tokenizer(TokenizerKind::WordLevel, "der hund die katze schläft läuft im haus");
    let target = tokenizer(TokenizerKind::WordLevel, "the dog cat sleeps runs in house");
    TranslationTokenizers::new(source, Some(target))
}

fn config(tokenizers: &TranslationTokenizers) -> Seq2SeqConfig {
    let small = Seq2SeqConfig::preset("transformer-tiny", tokenizers.vocabularies().unwrap()).unwrap();
    Seq2SeqConfig { d_model: 16, n_heads: 2, d_ff: 24, max_seq_length: 9, ..small }
}

fn task(label_smoothing: f64) -> TranslationTask {
    let tokenizers = tokenizers();
    TranslationTask::new(config(&tokenizers), tokenizers, label_smoothing).unwrap()
}

fn pair(source: &[u32], target: &[u32]) -> TextPair {
    TextPair { source: [source, &[3]].concat(), target: [target, &[3]].concat() }
}

fn pairs() -> Vec<TextPair> {
    vec![pair(&[5, 6, 7], &[4, 9]), pair(&[8], &[5, 6, 7, 10]), pair(&[9, 4], &[8])]
}

fn batch(pairs: Vec<TextPair>) -> TextPairBatch {
    let numbers = (10..).take(pairs.len()).collect();
    TextPairCollator { padding: Padding { pad_id: 1, multiple_of: 1 } }.collate(numbers, pairs)
}

/// The loss of a step of these batches, and its metric state.
fn loss(task: &TranslationTask, model: &Seq2Seq, parts: &[TextPairBatch]) -> (f64, TranslationMetricState) {
    let (device, mut metric_state) = (device(), task.metric_state());
    let totals = parts.iter().map(|part| task.counts(part)).sum();
    let losses = parts.iter().map(|part| {
        let forward = task.forward(model, part, &totals, DropoutRng::off(), &device);
        task.add_scores(&mut metric_state, part, &forward.scores.read().unwrap()).unwrap();
        f64::from(forward.loss.into_scalar::<f32>())
    });
    (losses.sum(), metric_state)
}

#[test]
fn a_steps_loss_is_the_same_however_it_is_cut_and_padded() {
    let task = task(0.1);
    let model = Seq2Seq::init(task.config(), 1, &device());
    let (whole, metric_state) = loss(&task, &model, &[batch(pairs())]);
    let (rows, of_rows) = loss(&task, &model, &batch(pairs()).split(1));
    // Each pair alone has no padding at all.
    let alone: Vec<_> = pairs().into_iter().map(|pair| batch(vec![pair])).collect();
    let (alone, of_alone) = loss(&task, &model, &alone);
    assert!((whole - rows).abs() < 1e-5 && (whole - alone).abs() < 1e-5, "{whole}, {rows}, {alone}");
    for other in [of_rows, of_alone] {
        assert_eq!((other.tokens, other.correct), (10, metric_state.correct));
        assert!((other.negative_log_likelihood() - metric_state.negative_log_likelihood()).abs() < 1e-5);
    }
    assert!((metric_state.metrics()[0].1 - whole).abs() < 1e-5);
    assert!((metric_state.quality() + metric_state.negative_log_likelihood()).abs() < 1e-12);
}

/// By the definition: 0.9 of the label and 0.1 spread evenly over the vocabulary.
#[test]
fn labels_are_smoothed_in_the_loss_and_not_in_the_perplexity() {
    let (smoothed, exact) = (task(0.1), task(0.0));
    let model = Seq2Seq::init(smoothed.config(), 1, &device());
    let ids = |ids: &[i32]| Tensor::<2, Int>::from_data(TensorData::new(ids.to_vec(), [1, ids.len()]), &device());
    let logits = model.forward(Seq2SeqInput::new(ids(&[5, 6, 7, 3]), ids(&[2, 4, 9])));
    let size = smoothed.config().target_vocab_size;
    let log_probs: Vec<f64> = log_softmax(logits, 2).into_data().iter::<f64>().collect();
    let (mut negative_log_likelihood, mut even) = (0.0, 0.0);
    for (row, label) in log_probs.chunks(size).zip([4, 9, 3]) {
        negative_log_likelihood -= row[label] / 3.0;
        even -= row.iter().sum::<f64>() / size as f64 / 3.0;
    }
    let one = [batch(pairs()[..1].to_vec())];
    let (loss_exact, metric_state) = loss(&exact, &model, &one);
    assert!((loss_exact - negative_log_likelihood).abs() < 1e-5, "{loss_exact} and {negative_log_likelihood}");
    let (loss_smoothed, of_smoothed) = loss(&smoothed, &model, &one);
    assert!((loss_smoothed - (0.9 * negative_log_likelihood + 0.1 * even)).abs() < 1e-5);
    let perplexity = |metric_state: &TranslationMetricState| metric_state.metrics()[1];
    assert_eq!(perplexity(&of_smoothed).0, "perplexity");
    assert!((perplexity(&of_smoothed).1 - negative_log_likelihood.exp()).abs() < 1e-3);
    assert!((perplexity(&of_smoothed).1 - perplexity(&metric_state).1).abs() < 1e-4);
}

#[test]
fn evaluations_translate_if_they_are_asked_to() {
    let plain = task(0.1);
    let model = Seq2Seq::init(plain.config(), 1, &device());
    let measured = |task: &TranslationTask, parts: Vec<TextPairBatch>| {
        let batches = parts.into_iter().map(Ok);
        evaluate(task, &model, batches, 3, &device(), &Silent, &Interrupt::new()).unwrap()
    };
    assert_eq!(measured(&plain, vec![batch(pairs())]).bleu, None);
    let generation = GenerationConfig { min_length: 2, max_length: Some(5), ..GenerationConfig::greedy() };
    let translating = task(0.1).with_bleu(generation, Bleu::default());
    let metric_state = measured(&translating, vec![batch(pairs())]);
    let bleu = metric_state.bleu.unwrap();
    assert_eq!(bleu.reference_length, 7);
    assert!(bleu.hypothesis_length > 0);
    assert_eq!(metric_state.metrics().last().unwrap(), &("bleu", metric_state.quality()));
    assert_eq!(measured(&translating, batch(pairs()).split(1)).bleu, metric_state.bleu);
    // What a checkpoint stores is what is read again.
    let json = serde_json::to_string(&metric_state).unwrap();
    assert_eq!(serde_json::from_str::<TranslationMetricState>(&json).unwrap(), metric_state);
}

/// A folder with a model of random weights, and its task.
fn folder(task: &TranslationTask) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    task.save(&Seq2Seq::init(task.config(), 3, &device()), folder.path()).unwrap();
    folder
}

const TEXTS: [&str; 5] = ["der hund schläft", "", "die katze läuft im haus im haus im haus im haus", "haus", "   "];

#[test]
fn a_translation_does_not_depend_on_the_texts_beside_it() {
    let folder = folder(&task(0.0));
    let translate = |batch_size: usize, texts: &[&str]| {
        let translator = Translator::load(folder.path(), &device()).unwrap().with_batch_size(batch_size);
        let generation = GenerationConfig { n_best: 2, max_length: Some(6), ..GenerationConfig::default() };
        translator.translate(texts, &TranslationOptions::new(generation)).unwrap()
    };
    let all = translate(64, &TEXTS);
    assert_eq!(all.len(), 5);
    for blank in [1, 4] {
        assert_eq!((all[blank].len(), all[blank][0].text.as_str(), all[blank][0].log_prob), (1, "", 0.0));
    }
    for (text, expected) in TEXTS.iter().zip(&all) {
        let alone = translate(1, &[text]).remove(0);
        assert_eq!(alone.len(), expected.len());
        for (alone, expected) in alone.iter().zip(expected) {
            assert_eq!((&alone.text, &alone.tokens), (&expected.text, &expected.tokens));
            assert!((alone.score - expected.score).abs() < 1e-4);
        }
    }
    let reversed: Vec<_> = TEXTS.iter().rev().copied().collect();
    let texts = |answers: &[Vec<_>]| -> Vec<String> {
        answers.iter().map(|it: &Vec<burnformer_tasks::Translation>| it[0].text.clone()).collect()
    };
    let mut again = texts(&translate(2, &reversed));
    again.reverse();
    assert_eq!(again, texts(&all));
}

#[test]
fn what_is_drawn_for_a_text_depends_on_its_number_and_the_seed() {
    let folder = folder(&task(0.0));
    let translator = Translator::load(folder.path(), &device()).unwrap();
    let draw = |texts: &[&str], first_number, seed| {
        let generation = GenerationConfig { max_length: Some(8), ..GenerationConfig::sampled(Sampling::default()) };
        let options = TranslationOptions { first_number, seed, ..TranslationOptions::new(generation) };
        translator.translate(texts, &options).unwrap().into_iter().map(|it| it[0].tokens.clone()).collect::<Vec<_>>()
    };
    let texts = [TEXTS[0]; 4];
    let all = draw(&texts, 0, 1);
    assert!(all.iter().any(|it| it != &all[0]));
    assert_eq!(draw(&texts[2..], 2, 1), all[2..]);
    assert_ne!(draw(&texts, 0, 2), all);
}

#[test]
fn a_score_is_that_of_the_task_and_long_pairs_are_left_out() {
    let task = task(0.0);
    let folder = folder(&task);
    let translator = Translator::load(folder.path(), &device()).unwrap();
    let long = "the dog the dog the dog the dog the dog";
    let (metric_state, n_left_out) =
        translator.score(&[("der hund", "the dog"), (TEXTS[2], "the cat"), ("haus", long)], None).unwrap();
    assert_eq!((metric_state.tokens, n_left_out), (3, 2));
    let encode = |tokenizer: &Tokenizer, text| [tokenizer.encode(text).unwrap(), vec![3]].concat();
    let tokenizers = task.tokenizers();
    let pair =
        TextPair { source: encode(tokenizers.source(), "der hund"), target: encode(tokenizers.target(), "the dog") };
    let model = Seq2Seq::load(folder.path(), &device()).unwrap();
    assert_eq!(loss(&task, &model, &[batch(vec![pair])]).1, metric_state);
}

#[test]
fn attention_has_a_row_for_each_target_token_with_the_sum_one() {
    let folder = folder(&task(0.0));
    let translator = Translator::load(folder.path(), &device()).unwrap();
    let options = TranslationOptions::new(GenerationConfig { max_length: Some(4), ..GenerationConfig::default() });
    let translation = translator.translate(&TEXTS[..1], &options).unwrap().remove(0).remove(0);
    let attention = translator.attention(TEXTS[0], &translation).unwrap();
    assert_eq!(attention.source, ["der", "hund", "schläft", "<eos>"].map(|it| it.replace('ä', "a")));
    assert_eq!(attention.target.len(), translation.tokens.len() + 1);
    assert_eq!((attention.weights.len(), attention.weights[0].len()), (2, 2));
    for rows in attention.weights.iter().flatten().chain([&attention.alignment()]) {
        assert_eq!(rows.len(), attention.target.len());
        for row in rows {
            assert!(row.len() == 4 && (row.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{row:?}");
        }
    }
}

#[test]
fn a_folder_has_both_tokenizers_and_is_a_pipeline() {
    let task = task(0.0);
    let folder = folder(&task);
    let tokenizers = TranslationTokenizers::load(folder.path()).unwrap();
    for (found, expected) in
        [(tokenizers.source(), task.tokenizers().source()), (tokenizers.target(), task.tokenizers().target())]
    {
        assert_eq!((found.fingerprint(), found.specials()), (expected.fingerprint(), expected.specials()));
    }
    assert!(matches!(Pipeline::from_folder_on(folder.path(), &device()).unwrap(), Pipeline::Translation(_)));
    let shared = TranslationTokenizers::new(task.tokenizers().source().clone(), None);
    let task = TranslationTask::new(config(&shared), shared, 0.0).unwrap();
    let folder = self::folder(&task);
    assert!(!folder.path().join("target_tokenizer.json").exists());
    assert!(TranslationTokenizers::load(folder.path()).unwrap().vocabularies().unwrap().shared);
}

#[test]
fn tokenizers_of_opus_mt_are_kept_as_they_are() {
    let opus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../burnformer-data/tests/fixtures/foreign");
    let files = ["source.spm", "target.spm", "vocab.json", "target_vocab.json"];
    for (name, files) in [("opus", &files[..3]), ("opus_separate", &files[..])] {
        let tokenizers = TranslationTokenizers::load(&opus.join(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        tokenizers.save(folder.path(), 9).unwrap();
        for file in files {
            assert_eq!(fs::read(folder.path().join(file)).unwrap(), fs::read(opus.join(name).join(file)).unwrap());
        }
        let again = TranslationTokenizers::load(folder.path()).unwrap();
        assert_eq!(again.source().fingerprint(), tokenizers.source().fingerprint());
        assert_eq!(again.target().fingerprint(), tokenizers.target().fingerprint());
        assert_ne!(again.source().fingerprint(), again.target().fingerprint());
    }
    let tokenizers = TranslationTokenizers::load(&opus.join("opus")).unwrap();
    assert!(tokenizers.vocabularies().unwrap().shared);
    let mixed = TranslationTokenizers::new(self::tokenizers().source().clone(), Some(tokenizers.target().clone()));
    assert!(mixed.save(tempfile::tempdir().unwrap().path(), 9).is_err());
    let folder = folder(&TranslationTask::new(config(&tokenizers), tokenizers, 0.0).unwrap());
    let translator = Translator::load(folder.path(), &device()).unwrap();
    let options = TranslationOptions::new(GenerationConfig { max_length: Some(4), ..GenerationConfig::greedy() });
    assert_eq!(translator.translate(&[">>fra<< the ships"], &options).unwrap()[0][0].source_length, 7);
}

#[test]
fn tokenizers_that_do_not_fit_are_refused() {
    let word_piece = tokenizer(TokenizerKind::WordPiece, "the dog sleeps");
    let words = tokenizer(TokenizerKind::WordLevel, "der hund schläft");
    let mixed = TranslationTokenizers::new(words.clone(), Some(word_piece));
    let error = mixed.vocabularies().unwrap_err().to_string();
    let wanted = "the padding token has the id 1 in the source's tokenizer and 0 in the target's, expected one: train both \
                  with the same kind";
    assert_eq!(error, wanted);
    let larger = TranslationTokenizers::new(words, None);
    let config = Seq2SeqConfig { source_vocab_size: 4, target_vocab_size: 4, ..config(&larger) };
    let error = TranslationTask::new(config, larger, 0.0).unwrap_err();
    assert!(matches!(error, TaskError::VocabularyMismatch { tokens: 7, rows: 4 }), "{error}");
    let nothing = Translator::load(Path::new("nowhere"), &device()).unwrap_err();
    assert!(nothing.to_string().contains("nowhere"), "{nothing}");
}

#[test]
fn a_request_to_stop_ends_a_translation() {
    let folder = folder(&task(0.0));
    let translator = Translator::load(folder.path(), &device()).unwrap();
    let interrupt = Interrupt::new();
    interrupt.request();
    let options =
        TranslationOptions { interrupt: Some(&interrupt), ..TranslationOptions::new(GenerationConfig::default()) };
    let error = translator.translate(&TEXTS, &options).unwrap_err();
    assert!(burnformer_core::is_interrupted(&error), "{error}");
}
