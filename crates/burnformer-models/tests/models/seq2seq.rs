//! The encoder–decoder: answers and gradients of transformers' Marian and Pegasus, made by `fixtures/make_fixtures.py`, with
//! the tolerances of `golden`; files; decoding step by step.

use crate::support::{
    Golden, SEQ2SEQ_FIXTURES, assert_close, assert_near, device, devices, fixture, gradients, norm, values,
};
use burn::tensor::{Device, Int, Tensor};
use burnformer_models::weights::Weights;
use burnformer_models::{
    Head, ModelClass, ModelConfig, PositionKind, Pretrained, Seq2Seq, Seq2SeqConfig, Seq2SeqInput, stats, weights,
};
use burnformer_nn::{Activation, CrossEntropyLossConfig, DropoutRng, Linear, Mask, NormOrder};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn config() -> Seq2SeqConfig {
    Seq2SeqConfig {
        source_vocab_size: 29,
        target_vocab_size: 31,
        shared_embeddings: false,
        tied_embeddings: true,
        output_bias: false,
        scaled_embeddings: true,
        positions: PositionKind::Sinusoidal,
        max_seq_length: 11,
        d_model: 20,
        n_encoder_layers: 2,
        n_decoder_layers: 3,
        n_heads: 4,
        d_ff: 23,
        activation: Activation::Relu,
        norm_order: NormOrder::Post,
        norm_eps: 1e-5,
        dropout: 0.1,
        attention_dropout: 0.1,
        activation_dropout: 0.1,
        init_std: 0.02,
        pad_id: 3,
        eos_id: 1,
        decoder_start_id: 2,
    }
}

fn input(golden: &Golden, device: &Device) -> Seq2SeqInput {
    Seq2SeqInput {
        source_mask_pad: Some(golden.mask_pad(device)),
        ..Seq2SeqInput::new(golden.ints("input.source", device), golden.ints("input.target", device))
    }
}

#[test]
fn answers_and_gradients_are_those_of_transformers() {
    for name in SEQ2SEQ_FIXTURES {
        let golden = Golden::open(&fixture(name));
        for device in devices() {
            let device = device.autodiff();
            let model = Seq2Seq::load(&fixture(name), &device).unwrap();
            let config = model.config().clone();
            let memory = model.encode(golden.ints("input.source", &device), Mask::Keys(golden.mask_pad(&device)));
            // What stands at padding means nothing.
            assert_close("memory", &values(memory)[..140], &golden.floats("output.memory")[..140], 2e-5);
            let (hidden, weights) = model.hidden_with_attn_weights(input(&golden, &device));
            assert_close("hidden", &values(hidden), &golden.floats("output.hidden"), 2e-5);
            let decoder = weights.decoder;
            let kinds =
                [("encoder", weights.encoder), ("decoder", decoder.self_attention), ("cross", decoder.cross_attention)];
            for (kind, layers) in kinds {
                assert_eq!(layers.len(), golden.names(&format!("attn_weights.{kind}.")).len());
                for (layer, weights) in layers.into_iter().enumerate() {
                    let name = format!("attn_weights.{kind}.{layer}");
                    assert_close(&name, &values(weights), &golden.floats(&name), 1e-5);
                }
            }

            let logits = model.forward(input(&golden, &device));
            assert_close("logits", &values(logits.clone()), &golden.floats("output.logits"), 4e-5);
            let labels: Tensor<2, Int> = golden.ints("input.labels", &device);
            let loss = CrossEntropyLossConfig::new().init();
            let loss = loss.forward(logits.reshape([15, config.target_vocab_size]), labels.reshape([15])).mean();
            assert_close("loss", &values(loss.clone()), &golden.floats("output.loss"), 2e-5);
            let found = gradients(&model, &loss.backward());
            assert_eq!(found.len(), golden.names("grad.").len());
            for ((path, name), found) in weight_names(&config).iter().zip(found.values()) {
                if path.ends_with("key.bias") {
                    assert!(norm(found.clone()) < 1e-5, "{path}");
                } else {
                    let expected = golden.floats(&format!("grad.{name}"));
                    // What is as small as 1e-4 is known to no more digits.
                    if norm(expected.clone()) < 1e-3 {
                        assert_close(name, found, &expected, 1e-7);
                    } else {
                        assert_near(name, found, &expected, 1e-4);
                    }
                }
            }
        }
    }
}

/// The path of every parameter and its name in a saved file, by path.
fn weight_names(config: &Seq2SeqConfig) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let model = Seq2Seq::init(config, 1, &device());
    model.save(folder.path()).unwrap();
    let names = Weights::in_folder(folder.path()).unwrap().names();
    // Parameters are written in the order of the module's fields.
    let paths = stats::parameters(&model).into_iter().map(|(path, _)| path);
    let mut pairs: Vec<(String, String)> = paths.zip(names).collect();
    pairs.sort();
    pairs
}

#[test]
fn what_is_saved_is_what_transformers_saves() {
    for name in SEQ2SEQ_FIXTURES {
        let folder = tempfile::tempdir().unwrap();
        let model = Seq2Seq::load(&fixture(name), &device()).unwrap();
        assert_eq!(ModelClass::of(&fixture(name)).unwrap().head(), Head::Seq2Seq);
        model.save(folder.path()).unwrap();
        let sorted = |folder: &Path| {
            let mut file = Weights::in_folder(folder).unwrap();
            let mut names = file.names();
            names.sort();
            names.into_iter().map(|name| (name.clone(), file.read(&name).unwrap())).collect::<Vec<_>>()
        };
        for ((found, weight), (expected, other)) in sorted(folder.path()).iter().zip(&sorted(&fixture(name))) {
            assert_eq!(found, expected, "{name}");
            let [weight, other] = [weight, other].map(|it| it.iter::<f64>().collect::<Vec<_>>());
            // Sinusoids are computed anew; all other weights are the same bits.
            let tolerance = if found.contains("embed_positions") { 1e-6 } else { 0.0 };
            assert_close(found, &weight, &other, tolerance);
        }
        assert_eq!(sorted(folder.path()).len(), sorted(&fixture(name)).len());
        for file in ["config.json", "generation_config.json"] {
            let read = |folder: &Path| -> Value {
                serde_json::from_str(&fs::read_to_string(folder.join(file)).unwrap()).unwrap()
            };
            let (found, expected) = (read(folder.path()), read(&fixture(name)));
            let mut n_equal = 0;
            for (key, value) in found.as_object().unwrap() {
                match expected.get(key) {
                    // The first of its two names.
                    Some(Value::String(name)) if name == "swish" => assert_eq!(value, "silu"),
                    Some(expected) => assert_eq!(value, expected, "{name}: {key}"),
                    None => continue,
                }
                n_equal += 1;
            }
            assert!(n_equal >= if file == "config.json" { 23 } else { 4 }, "{name}, {file}: {n_equal}");
        }
    }
}

#[test]
fn every_kind_of_model_is_read_as_it_was_written() {
    let (folder, device) = (tempfile::tempdir().unwrap(), device());
    let same = Seq2SeqConfig { target_vocab_size: 29, shared_embeddings: true, ..config() };
    let cases = [
        (config(), "MarianMTModel"),
        (same.clone(), "MarianMTModel"),
        (Seq2SeqConfig { norm_order: NormOrder::Pre, ..same.clone() }, "PegasusForConditionalGeneration"),
        (Seq2SeqConfig { norm_order: NormOrder::Pre, ..config() }, "BurnformerSeq2Seq"),
        (Seq2SeqConfig { positions: PositionKind::Learned, ..same.clone() }, "BurnformerSeq2Seq"),
        (Seq2SeqConfig { norm_eps: 1e-6, tied_embeddings: false, ..config() }, "BurnformerSeq2Seq"),
        (Seq2SeqConfig { tied_embeddings: false, scaled_embeddings: false, ..config() }, "MarianMTModel"),
        (Seq2SeqConfig { output_bias: true, ..config() }, "BurnformerSeq2Seq"),
        (Seq2SeqConfig { tied_embeddings: false, ..same }, "BurnformerSeq2Seq"),
    ];
    for (config, class) in cases {
        let model = Seq2Seq::init(&config, 1, &device);
        model.save(folder.path()).unwrap();
        let json: Value =
            serde_json::from_str(&fs::read_to_string(folder.path().join("config.json")).unwrap()).unwrap();
        assert_eq!(json["architectures"], json!([class]));
        assert_eq!(config.check_hugging_face().is_ok(), class != "BurnformerSeq2Seq");
        assert_eq!(model.class().to_string(), class);
        let again = Seq2Seq::load(folder.path(), &device).unwrap();
        let found = again.config().clone();
        assert_eq!(found, config);
        let ids = |rows: [[i64; 3]; 2]| Tensor::<2, Int>::from_data(rows, &device);
        let answer = |model: &Seq2Seq| {
            let input = Seq2SeqInput::new(ids([[5, 6, 7], [8, 9, 10]]), ids([[2, 11, 12], [2, 13, 14]]));
            values(model.forward(Seq2SeqInput { rng: DropoutRng::training(1, [7, 8]), ..input }))
        };
        assert_eq!(answer(&again), answer(&model));
    }
}

#[test]
fn decoding_step_by_step_equals_the_whole() {
    for name in SEQ2SEQ_FIXTURES {
        let golden = Golden::open(&fixture(name));
        for device in devices() {
            let model = Seq2Seq::load(&fixture(name), &device).unwrap();
            let config = model.config().clone();
            let mask = Mask::Keys(golden.mask_pad(&device));
            let memory = model.encode(golden.ints("input.source", &device), mask.clone());
            let target: Tensor<2, Int> = golden.ints("input.target", &device);
            let whole = model.logits(model.decode_all(target.clone(), memory.clone(), mask.clone()));
            assert_close("whole", &values(whole), &golden.floats("output.logits"), 4e-5);
            let mut cache = model.cache(memory, mask);
            let steps = [(0, 1), (1, 1), (2, 3)];
            let logits = steps.map(|(start, n)| model.decode(target.clone().narrow(1, start, n), &mut cache));
            let logits = Tensor::cat(logits.to_vec(), 1);
            assert_eq!(logits.dims(), [3, 5, config.target_vocab_size]);
            assert_close("steps", &values(logits), &golden.floats("output.logits"), 4e-5);
        }
    }
}

#[test]
fn neither_later_tokens_nor_what_padding_holds_matters() {
    let golden = Golden::open(&fixture("marian"));
    for device in devices() {
        let model = Seq2Seq::load(&fixture("marian"), &device).unwrap();
        let expected = values(model.forward(input(&golden, &device)));
        let source: Tensor<2, Int> = golden.ints("input.source", &device);
        let source = source.mask_fill(golden.mask_pad(&device), 17);
        let changed = model.forward(Seq2SeqInput { source, ..input(&golden, &device) });
        assert_close("padding", &values(changed), &expected, 1e-5);
        let target: Tensor<2, Int> = golden.ints("input.target", &device);
        let target = Tensor::cat(vec![target.clone().narrow(1, 0, 3), Tensor::full([3, 2], 17, &device)], 1);
        let changed = model.forward(Seq2SeqInput { target, ..input(&golden, &device) }).narrow(1, 0, 3);
        let before: Vec<f64> = expected.chunks(5 * 29).flat_map(|row| row[..3 * 29].to_vec()).collect();
        assert_close("later tokens", &values(changed), &before, 1e-5);
    }
}

#[test]
fn every_parameter_gets_a_gradient_in_training() {
    for positions in [PositionKind::Sinusoidal, PositionKind::Learned] {
        let device = device().autodiff();
        let fields = Seq2SeqConfig { positions, norm_order: NormOrder::Pre, ..config() };
        let config = Seq2SeqConfig { tied_embeddings: false, output_bias: true, ..fields };
        let model = Seq2Seq::init(&config, 1, &device);
        let ids = |rows: [[i64; 3]; 2]| Tensor::<2, Int>::from_data(rows, &device);
        let input = Seq2SeqInput::new(ids([[5, 6, 7], [8, 9, 10]]), ids([[2, 11, 12], [2, 13, 14]]));
        let logits = model.forward(Seq2SeqInput { rng: DropoutRng::training(1, [7, 8]), ..input });
        let grads = gradients(&model, &logits.powi_scalar(2).sum().backward());
        for (path, gradient) in grads {
            assert!(norm(gradient) > 0.0 || path.ends_with("key.bias"), "{path}");
        }
    }
}

/// The bounds are those of the definitions: `4 / sqrt(d_model)` is four standard deviations.
#[test]
fn tables_begin_as_large_as_they_should() {
    let config = Seq2SeqConfig { positions: PositionKind::Learned, ..config() };
    let largest = |model: Seq2Seq| {
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let mut weights = Weights::in_folder(folder.path()).unwrap();
        ["model.encoder.embed_tokens.weight", "model.encoder.embed_positions.weight"].map(|name| {
            let data = weights.read(name).unwrap();
            data.iter::<f32>().fold(0.0, |largest: f32, x| largest.max(x.abs()))
        })
    };
    let normal = largest(Seq2Seq::init(&config, 1, &device()));
    let xavier = largest(Seq2Seq::init_xavier(&config, 1, &device()));
    for (normal, xavier, rows) in [(normal[0], xavier[0], 29.0_f32), (normal[1], xavier[1], 11.0)] {
        let bound = (6.0 / (20.0 + rows)).sqrt();
        assert!(xavier <= bound && xavier > 0.9 * bound, "{xavier} and {bound}");
        assert!(normal > 2.0 / 20_f32.sqrt() && normal < 4.0 / 20_f32.sqrt(), "{normal}");
    }
}

/// Hugging Face's Pegasus reads its positions from the file, whatever they are.
#[test]
fn stored_positions_must_be_sinusoids() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("pegasus").join("config.json"), folder.path().join("config.json")).unwrap();
    let write = |change: f32| {
        let mut file = Weights::in_folder(&fixture("pegasus")).unwrap();
        let names = file.names().into_iter();
        let mut tensors: Vec<_> = names.map(|name| (name.clone(), file.read(&name).unwrap())).collect();
        let (_, table) = tensors.iter_mut().find(|(name, _)| name == "model.decoder.embed_positions.weight").unwrap();
        table.as_mut_slice::<f32>().unwrap()[30] += change;
        let path = folder.path().join("model.safetensors");
        weights::save(&Vec::<Linear>::new(), str::to_owned, tensors, &path).unwrap();
    };
    write(1e-3);
    Seq2Seq::load(folder.path(), &device()).unwrap();
    write(0.1);
    let error = Seq2Seq::load(folder.path(), &device()).unwrap_err().to_string();
    assert!(error.starts_with("weight `model.decoder.embed_positions.weight` in "), "{error}");
}

#[test]
fn settings_that_cannot_work_are_named_by_their_keys_in_the_file() {
    let check = |key: &str, value: Value, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(fixture("marian").join(file), folder.path().join(file)).unwrap();
        }
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        config[key] = value;
        fs::write(&path, config.to_string()).unwrap();
        let error = Seq2Seq::load(folder.path(), &device()).unwrap_err().to_string();
        let error = error.replace(&path.display().to_string(), "FILE");
        assert_eq!(error.replace(&folder.path().display().to_string(), "FOLDER"), expected);
    };
    let types = "`model_type` in `FILE` is `bart`, expected `marian`, `pegasus` or `burnformer`";
    check("model_type", json!("bart"), types);
    check("decoder_ffn_dim", json!(24), "`decoder_ffn_dim` in `FILE` is `24`, expected 23, as `encoder_ffn_dim`");
    let heads = "`encoder_attention_heads` in `FILE` is `3`, expected a divisor of `d_model` (20)";
    check("encoder_attention_heads", json!(3), heads);
    let long = "`max_position_embeddings` in `FILE` is `1000000000`, expected at most 65,536";
    check("max_position_embeddings", json!(1_000_000_000), long);
    let wide = "`d_model` in `FILE` is `1000000000000`, expected at most 65,536";
    check("d_model", json!(1_000_000_000_000_u64), wide);
    let other = "weight `model.shared.weight` in `FOLDER/model.safetensors` has shape [29, 20], expected [29, 60000]";
    check("d_model", json!(60_000), other);
    let vocabulary =
        "`decoder_vocab_size` in `FILE` is `30`, expected `source_vocab_size`, as the embeddings are shared";
    check("decoder_vocab_size", json!(30), vocabulary);
    let end = "`eos_token_id` in `FILE` is `29`, expected less than both vocabulary sizes";
    check("eos_token_id", json!(29), end);
}
