//! Generation: texts and scores of transformers' `generate`, made by `fixtures/make_fixtures.py`; all texts there are as the
//! oracle of beam search; what is promised of lengths, repetitions, batches and draws.

use crate::support::{Golden, assert_close, device, devices, fixture, values};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_core::Interrupt;
use burnformer_models::weights::{self, Weights};
use burnformer_models::{
    GenerationConfig, GenerationInput, Hypothesis, ModelError, PositionKind, Pretrained, Sampling, Seq2Seq,
    Seq2SeqConfig, Seq2SeqInput,
};
use burnformer_nn::{Activation, Linear, NormOrder};
use std::collections::BTreeMap;
use std::fs;

const END: u32 = 1;
const START: u32 = 2;
const PAD: u32 = 3;

/// A model of few tokens, which is sure of little.
fn config(vocab_size: usize, max_seq_length: usize) -> Seq2SeqConfig {
    Seq2SeqConfig {
        source_vocab_size: 17,
        target_vocab_size: vocab_size,
        shared_embeddings: false,
        tied_embeddings: false,
        output_bias: false,
        scaled_embeddings: true,
        positions: PositionKind::Sinusoidal,
        max_seq_length,
        d_model: 12,
        n_encoder_layers: 1,
        n_decoder_layers: 2,
        n_heads: 3,
        d_ff: 19,
        activation: Activation::Relu,
        norm_order: NormOrder::Pre,
        norm_eps: 1e-5,
        dropout: 0.0,
        attention_dropout: 0.0,
        activation_dropout: 0.0,
        init_std: 0.02,
        pad_id: PAD,
        eos_id: END,
        decoder_start_id: START,
    }
}

/// Sources of different lengths, each with an end token.
fn sources(n: u32) -> Vec<Vec<u32>> {
    let source = |i: u32| (0..1 + i * 5 % 7).map(move |t| 4 + (i * 11 + t * t * 3) % 13).chain([END]).collect();
    (0..n).map(source).collect()
}

fn matrix(rows: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let length = rows.iter().map(Vec::len).max().unwrap();
    let place = |row: &[u32], t: usize| i64::from(row.get(t).copied().unwrap_or(PAD));
    let ids: Vec<i64> = rows.iter().flat_map(|row| (0..length).map(|t| place(row, t))).collect();
    Tensor::from_data(TensorData::new(ids, [rows.len(), length]), device)
}

/// Log-probabilities of each token of `targets` behind the tokens before it, by one pass over all positions.
fn forced(model: &Seq2Seq, source: &[u32], targets: &[Vec<u32>], device: &Device) -> Vec<Vec<f64>> {
    let inputs: Vec<Vec<u32>> = targets.iter().map(|it| [&[START][..], &it[..it.len() - 1]].concat()).collect();
    let source = matrix(&vec![source.to_vec(); targets.len()], device);
    let logits = model.forward(Seq2SeqInput::new(source, matrix(&inputs, device)));
    let [_, length, vocab_size] = logits.dims();
    let all = values(log_softmax(logits, 2));
    let of_row = |(row, target): (usize, &Vec<u32>)| {
        let at = |(t, &token): (usize, &u32)| all[(row * length + t) * vocab_size + token as usize];
        target.iter().enumerate().map(at).collect()
    };
    targets.iter().enumerate().map(of_row).collect()
}

/// The tokens of a hypothesis with its end token, if it has one.
fn with_end(hypothesis: &Hypothesis) -> Vec<u32> {
    hypothesis.tokens.iter().copied().chain(hypothesis.is_finished.then_some(END)).collect()
}

fn divisor(length_penalty: f64, n: usize) -> f64 {
    ((5 + n) as f64 / 6.0).powf(length_penalty)
}

#[track_caller]
fn assert_same(what: &str, found: &[Vec<Hypothesis>], expected: &[Vec<Hypothesis>]) {
    let tokens = |all: &[Vec<Hypothesis>]| -> Vec<Vec<Vec<u32>>> {
        all.iter().map(|it| it.iter().map(with_end).collect()).collect()
    };
    assert_eq!(tokens(found), tokens(expected), "{what}");
    let scores = |all: &[Vec<Hypothesis>]| all.iter().flatten().map(|it| it.score).collect::<Vec<_>>();
    assert_close(what, &scores(found), &scores(expected), 1e-4);
}

/// What every hypothesis keeps to: special tokens, lengths, order, and the probabilities of a full pass.
#[track_caller]
fn check(
    model: &Seq2Seq,
    settings: &GenerationConfig,
    sources: &[Vec<u32>],
    found: &[Vec<Hypothesis>],
    longest: usize,
) {
    assert_eq!(found.len(), sources.len());
    for (source, hypotheses) in sources.iter().zip(found) {
        assert!((1..=settings.n_best).contains(&hypotheses.len()));
        let rank = |it: &Hypothesis| (it.is_finished, it.score);
        assert!(hypotheses.windows(2).all(|pair| rank(&pair[0]) >= rank(&pair[1])));
        let targets: Vec<Vec<u32>> = hypotheses.iter().map(with_end).collect();
        for (hypothesis, log_probs) in hypotheses.iter().zip(forced(model, source, &targets, &model_device(model))) {
            let n_tokens = hypothesis.tokens.len();
            assert!(hypothesis.tokens.iter().all(|token| ![END, START, PAD].contains(token)), "{hypothesis:?}");
            assert!((settings.min_length.min(longest)..=longest).contains(&n_tokens), "{hypothesis:?}");
            assert!(hypothesis.is_finished || n_tokens == longest, "{hypothesis:?}");
            let log_prob: f64 = log_probs.iter().sum();
            assert_close("log-probability", &[hypothesis.log_prob], &[log_prob], 1e-4);
            if settings.repetition_penalty == 1.0 {
                let score = log_prob / divisor(settings.length_penalty, log_probs.len());
                assert_close("score", &[hypothesis.score], &[score], 1e-4);
            }
        }
    }
}

fn model_device(model: &Seq2Seq) -> Device {
    burn::module::Module::devices(model).remove(0)
}

/// Settings like those of `generate` in `make_fixtures.py`.
fn golden_cases() -> [(&'static str, GenerationConfig); 6] {
    let beam = |n_beams| GenerationConfig {
        n_beams,
        n_best: n_beams,
        length_penalty: 0.0,
        early_stopping: false,
        max_length: Some(13),
        ..GenerationConfig::default()
    };
    let no_repeat = |n_beams, size| GenerationConfig { no_repeat_ngram_size: Some(size), ..beam(n_beams) };
    [
        ("greedy", no_repeat(1, 2)),
        ("beam", beam(3)),
        ("early", GenerationConfig { early_stopping: true, ..beam(3) }),
        ("no_repeat", no_repeat(3, 2)),
        ("repetition", GenerationConfig { repetition_penalty: 1.7, ..beam(4) }),
        ("long", GenerationConfig { min_length: 5, ..no_repeat(3, 1) }),
    ]
}

/// Longest hypotheses end in another way there: transformers counts the end token among `max_new_tokens`, and ranks what is
/// cut off together with what ended. So the finished ones are compared, which come in the same order; and of the greedy ones
/// all tokens but the last, which is one too many.
#[test]
fn texts_and_scores_are_those_of_transformers() {
    for name in ["marian", "pegasus"] {
        let golden = Golden::open(&fixture("generation").join(name));
        let ids = |name: &str| -> Vec<u32> {
            golden.ints::<2>(name, &device()).into_data().iter::<i64>().map(|id| id as u32).collect()
        };
        let source_length = golden.ints::<2>("source", &device()).dims()[1];
        let sources: Vec<Vec<u32>> = ids("source")
            .chunks(source_length)
            .map(|row| row.iter().copied().filter(|id| *id != PAD).collect())
            .collect();
        for device in devices() {
            let model = Seq2Seq::load(&fixture("generation").join(name), &device).unwrap();
            for (case, settings) in golden_cases() {
                let found = model.generate(&settings, GenerationInput::new(&sources)).unwrap();
                check(&model, &settings, &sources, &found, 13);
                let tokens: Tensor<3, Int> = golden.ints(&format!("{case}.tokens"), &device);
                let [_, n_best, length] = tokens.dims();
                let tokens: Vec<u32> = tokens.into_data().iter::<i64>().map(|id| id as u32).collect();
                let log_probs = golden.floats(&format!("{case}.log_prob"));
                let scores = if n_best == 1 { log_probs.clone() } else { golden.floats(&format!("{case}.score")) };
                let mut n_finished = 0;
                for (index, found) in found.iter().enumerate() {
                    let theirs = (index * n_best..(index + 1) * n_best).map(|place| {
                        let tokens = &tokens[place * length..(place + 1) * length];
                        let end = tokens.iter().position(|&token| token == END);
                        (end.map(|end| tokens[..end].to_vec()), tokens, log_probs[place], scores[place])
                    });
                    let mut ours = found.iter();
                    for (finished, cut_off, log_prob, score) in theirs {
                        let Some(finished) = finished else {
                            assert!(n_best > 1 || found[0].tokens == cut_off[..13], "{name}, {case}, source {index}");
                            continue;
                        };
                        let hypothesis = ours.next().unwrap();
                        assert!(hypothesis.is_finished);
                        assert_eq!(hypothesis.tokens, finished, "{name}, {case}, source {index}");
                        assert_close("log-probability", &[hypothesis.log_prob], &[log_prob], 1e-4);
                        assert_close("score", &[hypothesis.score], &[score], 1e-4);
                        n_finished += 1;
                    }
                }
                assert!(n_finished >= 3, "{name}, {case}: {n_finished}");
            }
        }
    }
}

/// All texts of up to four of three tokens.
fn all_texts() -> Vec<Vec<u32>> {
    let mut texts = vec![Vec::new()];
    let mut last = texts.clone();
    for _ in 0..4 {
        last = last
            .iter()
            .flat_map(|text: &Vec<u32>| [0, 4, 5].map(|token| [text.as_slice(), &[token]].concat()))
            .collect();
        texts.extend(last.clone());
    }
    texts
}

/// A beam as wide as there are candidates leaves nothing out, so that the best are those of all texts, in their order: also
/// where the search ends early.
#[test]
fn a_wide_beam_finds_the_best_of_all_texts() {
    let texts = all_texts();
    assert_eq!(texts.len(), 1 + 3 + 9 + 27 + 81);
    let targets: Vec<Vec<u32>> = texts.iter().map(|text| [text.as_slice(), &[END]].concat()).collect();
    let config = config(6, 9);
    for device in devices() {
        let model = Seq2Seq::init(&config, 5, &device);
        for source in sources(2) {
            let log_probs = forced(&model, &source, &targets, &device);
            for length_penalty in [0.0, 0.6, 2.0] {
                let score = |place: &usize| {
                    log_probs[*place].iter().sum::<f64>() / divisor(length_penalty, targets[*place].len())
                };
                let mut order: Vec<usize> = (0..texts.len()).collect();
                order.sort_by(|a, b| score(b).total_cmp(&score(a)));
                for n_best in [1, 5, 121] {
                    let settings = GenerationConfig {
                        n_beams: 4 * 81,
                        n_best,
                        length_penalty,
                        early_stopping: false,
                        max_length: Some(4),
                        ..GenerationConfig::default()
                    };
                    let input = GenerationInput::new(std::slice::from_ref(&source));
                    let found = model.generate(&settings, input).unwrap().remove(0);
                    assert_eq!(found.len(), n_best);
                    let scores: Vec<f64> = found.iter().map(|it| it.score).collect();
                    assert_close("scores", &scores, &order[..n_best].iter().map(score).collect::<Vec<_>>(), 1e-4);
                    // Scores so near that rounding may exchange them are compared above.
                    for (place, hypothesis) in found.iter().enumerate().take(5) {
                        assert!(hypothesis.is_finished);
                        assert_eq!(hypothesis.tokens, texts[order[place]], "{length_penalty}, {place} of {n_best}");
                    }
                }
            }
        }
    }
}

/// The models of `fixtures/generation`, whose texts have variety.
fn models(device: &Device) -> [Seq2Seq; 2] {
    ["marian", "pegasus"].map(|name| Seq2Seq::load(&fixture("generation").join(name), device).unwrap())
}

fn some_settings() -> Vec<GenerationConfig> {
    let beam = GenerationConfig { n_best: 4, ..GenerationConfig::default() };
    vec![
        GenerationConfig::greedy(),
        GenerationConfig { length_penalty: 0.0, max_length: Some(7), ..beam.clone() },
        GenerationConfig { no_repeat_ngram_size: Some(2), min_length: 3, ..beam.clone() },
        GenerationConfig { repetition_penalty: 1.4, length_penalty: 1.5, ..beam },
        GenerationConfig { n_best: 3, ..GenerationConfig::sampled(Sampling { top_k: Some(9), ..Sampling::default() }) },
    ]
}

#[test]
fn neither_batch_nor_order_nor_padding_matters() {
    let (sources, numbers): (_, Vec<u64>) = (sources(6), (100..106).collect());
    for device in devices() {
        for model in models(&device) {
            for settings in some_settings() {
                let input = GenerationInput { numbers: Some(&numbers), seed: 3, ..GenerationInput::new(&sources) };
                let together = model.generate(&settings, input).unwrap();
                check(&model, &settings, &sources, &together, settings.max_length.unwrap_or(13).min(13));

                let order = [3, 0, 5, 2, 1, 4];
                let other_sources = order.map(|i| sources[i].clone());
                let other_numbers = order.map(|i| numbers[i]);
                let other = GenerationInput { sources: &other_sources, numbers: Some(&other_numbers), ..input };
                let other = model.generate(&settings, other).unwrap();
                assert_same("order", &other, &order.map(|i| together[i].clone()));

                let one = GenerationInput { sources: &sources[3..=3], numbers: Some(&numbers[3..=3]), ..input };
                let alone = model.generate(&settings, one).unwrap();
                assert_same("batch", &alone, &together[3..=3]);
            }
        }
    }
}

/// Few places in a batch, so that sources enter while others are at later tokens, as the places become free.
#[test]
fn sources_that_enter_later_have_the_same_answers() {
    let sources = sources(11);
    for device in devices() {
        for model in models(&device) {
            for settings in some_settings() {
                let input = GenerationInput { seed: 3, ..GenerationInput::new(&sources) };
                let together = model.generate(&settings, input).unwrap();
                for at_once in [1, 2, 5, 20] {
                    let found = model.generate(&settings, GenerationInput { at_once: Some(at_once), ..input }).unwrap();
                    assert_same(&format!("{at_once} at once"), &found, &together);
                }
            }
        }
    }
}

#[test]
fn one_beam_is_the_most_probable_token_each_time() {
    for device in devices() {
        for model in models(&device) {
            let sources = sources(6);
            let settings = GenerationConfig { max_length: Some(9), ..GenerationConfig::greedy() };
            let found = model.generate(&settings, GenerationInput::new(&sources)).unwrap();
            for (source, found) in sources.iter().zip(found) {
                let mut tokens = Vec::new();
                let is_finished = loop {
                    let after: Vec<Vec<u32>> = (0..29).map(|token| [tokens.as_slice(), &[token]].concat()).collect();
                    let log_probs = forced(&model, source, &after, &device);
                    let allowed = (0..29).filter(|token| ![START, PAD].contains(token));
                    let last = |token: &u32| *log_probs[*token as usize].last().unwrap();
                    let best = allowed.max_by(|a, b| last(a).total_cmp(&last(b))).unwrap();
                    if best == END || tokens.len() == 9 {
                        break best == END;
                    }
                    tokens.push(best);
                };
                assert_eq!((&found[0].tokens, found[0].is_finished), (&tokens, is_finished));
            }
        }
    }
}

/// The search may end as soon as nothing can change: what it answers does not depend on when it does.
#[test]
fn the_best_of_many_is_the_best_of_one() {
    let sources = sources(12);
    for model in models(&device()) {
        for length_penalty in [0.0, 0.6, 1.5] {
            let settings =
                |n_best| GenerationConfig { n_beams: 4, n_best, length_penalty, ..GenerationConfig::default() };
            let run = |n_best| model.generate(&settings(n_best), GenerationInput::new(&sources)).unwrap();
            let firsts: Vec<Vec<Hypothesis>> = run(4).into_iter().map(|it| it[..1].to_vec()).collect();
            assert_same("best", &run(1), &firsts);
        }
    }
}

#[test]
fn no_sequence_of_tokens_comes_twice() {
    let sources = sources(8);
    for model in models(&device()) {
        for size in [1, 2, 3] {
            let beam = GenerationConfig { n_best: 4, no_repeat_ngram_size: Some(size), ..GenerationConfig::default() };
            let sampled = GenerationConfig { n_best: 4, ..GenerationConfig::sampled(Sampling::default()) };
            for settings in [beam, GenerationConfig { no_repeat_ngram_size: Some(size), ..sampled }] {
                let found = model.generate(&settings, GenerationInput::new(&sources)).unwrap();
                for hypothesis in found.iter().flatten() {
                    let mut ngrams: Vec<&[u32]> = hypothesis.tokens.windows(size).collect();
                    let n_ngrams = ngrams.len();
                    ngrams.sort_unstable();
                    ngrams.dedup();
                    assert_eq!(ngrams.len(), n_ngrams, "{hypothesis:?}");
                }
            }
        }
    }
}

/// Where every token is forbidden, a hypothesis ends there, unfinished: three tokens, each once, and the end comes too early.
#[test]
fn a_hypothesis_that_cannot_go_on_is_cut_off() {
    let config = config(6, 9);
    let model = Seq2Seq::init(&config, 5, &device());
    let settings = GenerationConfig {
        n_best: 4,
        no_repeat_ngram_size: Some(1),
        min_length: 5,
        max_length: Some(6),
        ..GenerationConfig::default()
    };
    let found = model.generate(&settings, GenerationInput::new(&sources(3))).unwrap();
    for hypothesis in found.iter().flatten() {
        let mut tokens = hypothesis.tokens.clone();
        tokens.sort_unstable();
        assert_eq!((tokens, hypothesis.is_finished), (vec![0, 4, 5], false));
    }
}

/// The end token comes too early at every position, so that all reach the longest length: each the one of its own source.
#[test]
fn a_hypothesis_has_fifty_tokens_more_than_its_source_at_most() {
    let (sources, config) = (sources(4), config(9, 57));
    let model = Seq2Seq::init(&config, 5, &device());
    let sampled = GenerationConfig::sampled(Sampling::default());
    for settings in [GenerationConfig::greedy(), GenerationConfig::default(), sampled] {
        let settings = GenerationConfig { min_length: 500, ..settings };
        let found = model.generate(&settings, GenerationInput::new(&sources)).unwrap();
        let lengths: Vec<usize> = found.iter().map(|it| it[0].tokens.len()).collect();
        // The model has room for 56.
        let expected: Vec<usize> = sources.iter().map(|source| (source.len() + 50).min(56)).collect();
        assert_eq!(lengths, expected);
        assert!(expected.contains(&56) && expected.contains(&52), "{expected:?}");
    }
}

/// Logits that are not finite are no reason to answer with nothing.
#[test]
fn a_model_that_says_nothing_finite_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = |name: &str, change: &dyn Fn(&mut [f32])| {
        let marian = fixture("generation").join("marian");
        fs::copy(marian.join("config.json"), folder.path().join("config.json")).unwrap();
        let mut file = Weights::in_folder(&marian).unwrap();
        let names = file.names().into_iter();
        let mut tensors: Vec<_> = names.map(|name| (name.clone(), file.read(&name).unwrap())).collect();
        let (_, weight) = tensors.iter_mut().find(|(other, _)| other == name).unwrap();
        change(weight.as_mut_slice().unwrap());
        weights::save(&Vec::<Linear>::new(), str::to_owned, tensors, &folder.path().join("model.safetensors")).unwrap();
        Seq2Seq::load(folder.path(), &device())
    };
    // Of what has been normalised, one number is greater than 1.
    let model = damaged("model.decoder.layers.1.final_layer_norm.weight", &|weight| weight.fill(f32::MAX)).unwrap();
    for settings in some_settings() {
        let found = model.generate(&settings, GenerationInput::new(&sources(3)));
        assert!(matches!(found, Err(ModelError::NotFinite)), "{found:?}");
    }
    for value in [f32::NAN, f32::INFINITY] {
        let error = damaged("final_logits_bias", &|bias| bias[7] = value).unwrap_err();
        assert!(matches!(&error, ModelError::NotFiniteWeight { name, .. } if name == "final_logits_bias"), "{error}");
    }
    // No token needs to be possible.
    let model = damaged("final_logits_bias", &|bias| bias[7] = f32::NEG_INFINITY).unwrap();
    model.generate(&GenerationConfig::default(), GenerationInput::new(&sources(3))).unwrap();
}

/// 10,000 first tokens, each share within five standard deviations of its probability.
#[test]
fn tokens_are_drawn_by_their_probabilities() {
    const N: usize = 10_000;
    for device in devices() {
        let model = models(&device)[1].clone();
        let sources = sources(2);
        let probabilities = |source: &[u32], temperature: f64| {
            let first: Vec<Vec<u32>> = (0..29).map(|token| vec![token]).collect();
            let log_probs = forced(&model, source, &first, &device);
            let weight = |token: u32| match token {
                START | PAD => 0.0,
                _ => (log_probs[token as usize][0] / temperature).exp(),
            };
            let weights: Vec<f64> = (0..29).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|it| it / sum).collect::<Vec<f64>>()
        };
        for temperature in [1.0, 0.5] {
            let sampling = Sampling { temperature, ..Sampling::default() };
            let settings = GenerationConfig { n_best: N, max_length: Some(1), ..GenerationConfig::sampled(sampling) };
            let found = model.generate(&settings, GenerationInput::new(&sources)).unwrap();
            for (source, found) in sources.iter().zip(found) {
                let mut counts = BTreeMap::new();
                for hypothesis in &found {
                    *counts.entry(hypothesis.tokens.first().copied().unwrap_or(END)).or_insert(0_u32) += 1;
                }
                for (token, p) in (0..29).zip(probabilities(source, temperature)) {
                    let share = f64::from(counts.get(&token).copied().unwrap_or(0)) / N as f64;
                    let deviation = (p * (1.0 - p) / N as f64).sqrt();
                    assert!((share - p).abs() <= 5.0 * deviation, "token {token}: {share}, expected {p}");
                }
            }
        }
    }
}

#[test]
fn samples_follow_from_the_seed() {
    let model = models(&device())[1].clone();
    let sources = vec![sources(3)[2].clone(); 2];
    let settings = GenerationConfig { n_best: 3, ..GenerationConfig::sampled(Sampling::default()) };
    let run = |seed, numbers: &[u64]| {
        let input = GenerationInput { numbers: Some(numbers), seed, ..GenerationInput::new(&sources) };
        model.generate(&settings, input).unwrap()
    };
    let first = run(7, &[0, 1]);
    assert_eq!(run(7, &[0, 1]), first);
    assert_ne!(run(8, &[0, 1]), first);
    // Equal sources of different numbers have different samples, and the samples of one source differ.
    assert_ne!(first[0], first[1]);
    assert_ne!(first[0][0].tokens, first[0][1].tokens);
    let exchanged = run(7, &[1, 0]);
    assert_same("numbers", &exchanged, &[first[1].clone(), first[0].clone()]);
}

#[test]
fn what_cannot_be_generated_is_an_error() {
    let model = models(&device())[0].clone();
    let run = |settings: &GenerationConfig, sources: &[Vec<u32>]| {
        model.generate(settings, GenerationInput::new(sources)).map_err(|error| error.to_string())
    };
    let settings = GenerationConfig::default();
    assert_eq!(run(&settings, &[]), Ok(Vec::new()));
    let none = run(&settings, &[vec![4, END], Vec::new()]).unwrap_err();
    assert_eq!(none, "source 1 has 0 tokens, expected 1 to 14 (`max_seq_length` of the model)");
    let long = run(&settings, &[vec![4; 15]]).unwrap_err();
    assert_eq!(long, "source 0 has 15 tokens, expected 1 to 14 (`max_seq_length` of the model)");
    let unknown = run(&settings, &[vec![4, 29]]).unwrap_err();
    let expected = "source 0 has the token 29, expected less than 29 (`source_vocab_size` of the model): encode it with the tokenizer of the model";
    assert_eq!(unknown, expected);
    let wide = run(&GenerationConfig { n_beams: 0, ..settings.clone() }, &sources(1)).unwrap_err();
    assert_eq!(wide, "`n_beams` is 0, expected 1 to 1024");

    let interrupt = Interrupt::new();
    interrupt.request();
    let sources = sources(1);
    let input = GenerationInput { interrupt: Some(&interrupt), ..GenerationInput::new(&sources) };
    assert!(matches!(model.generate(&settings, input), Err(ModelError::Interrupted(_))));
}
