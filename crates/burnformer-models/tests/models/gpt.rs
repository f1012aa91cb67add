//! GPT-2: the answers of transformers' `GPT2LMHeadModel`, made by `fixtures/make_fixtures.py`; files; what the model promises.

use crate::support::{assert_close, device, devices, fixture, gradients, norm, values};
use burn::tensor::{Bool, Device, Int, Tensor};
use burnformer_models::stats::{n_parameters, parameters};
use burnformer_models::weights::Weights;
use burnformer_models::{
    GenerationConfig, GenerationInput, GptConfig, GptForCausalLM, GptInput, GptTokens, Head, ModelClass, Pretrained,
    StepDecoder, generate, registry,
};
use burnformer_nn::{Activation, DropoutRng};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Between the same numbers summed in another order.
const ROUNDING: f64 = 2e-5;

/// What transformers answered.
#[derive(Deserialize)]
struct Golden {
    input_ids: [[i64; 6]; 2],
    attention_mask: [[i64; 6]; 2],
    shape: [usize; 3],
    first_row: [f64; 8],
    last_valid: [f64; 8],
    sum_of_squares_unpadded: f64,
}

/// A small model all of whose sizes differ, with dropout.
fn config() -> GptConfig {
    GptConfig {
        vocab_size: 31,
        max_seq_length: 9,
        d_model: 20,
        n_layers: 2,
        n_heads: 4,
        d_ff: 23,
        activation: Activation::GeluTanh,
        dropout: 0.2,
        embedding_dropout: 0.1,
        attention_dropout: 0.3,
        norm_eps: 1e-5,
        init_std: 0.3,
        tied_embeddings: true,
        tokens: GptTokens { bos_id: None, eos_id: Some(1), pad_id: Some(0) },
    }
}

fn input<const B: usize, const T: usize>(ids: [[i64; T]; B], device: &Device) -> GptInput {
    GptInput::new(Tensor::from_data(ids, device))
}

fn with_padding<const B: usize, const T: usize>(ids: [[i64; T]; B], lengths: [usize; B], device: &Device) -> GptInput {
    let mask = lengths.map(|length| std::array::from_fn::<_, T, _>(|t| t >= length));
    GptInput { mask_pad: Some(Tensor::<2, Bool>::from_data(mask, device)), ..input(ids, device) }
}

#[test]
fn logits_are_those_of_transformers() {
    let text = fs::read_to_string(fixture("gpt2").join("golden.json")).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    for device in devices() {
        let model = GptForCausalLM::load(&fixture("gpt2"), &device).unwrap();
        let mask_pad = Some(Tensor::<2, Int>::from_data(golden.attention_mask, &device).equal_elem(0));
        let logits = model.forward(GptInput { mask_pad, ..input(golden.input_ids, &device) });
        assert_eq!(logits.dims(), golden.shape);
        let logits = values(logits);
        let [_, seq_length, vocab_size] = golden.shape;
        let at = |row: usize, position: usize| &logits[(row * seq_length + position) * vocab_size..][..vocab_size];
        assert_close("first position", &at(0, 0)[..8], &golden.first_row, 2e-5);
        assert_close("last token", &at(1, 3)[..8], &golden.last_valid, 2e-5);
        let squares: f64 = (0..seq_length).flat_map(|position| at(0, position)).map(|x| x * x).sum();
        assert!((squares / golden.sum_of_squares_unpadded - 1.0).abs() < 1e-5, "{squares}");
    }
}

#[test]
fn hidden_states_are_those_between_the_layers() {
    for device in devices() {
        let model = GptForCausalLM::load(&fixture("gpt2"), &device).unwrap();
        let ids = [[3, 5, 9, 7, 4, 11], [3, 8, 6, 4, 1, 1]];
        let states = model.gpt().hidden_states(input(ids, &device));
        assert_eq!(states.len(), 3);
        let last = values(states[2].clone());
        assert_close("last", &last, &values(model.gpt().forward(input(ids, &device))), 0.0);
        let logits = values(model.logits(states[2].clone()));
        assert_close("logits", &logits, &values(model.forward(input(ids, &device))), 0.0);
        // The first is a sum of two rows of the tables in the file.
        let mut file = Weights::in_folder(&fixture("gpt2")).unwrap();
        let mut table = |name| file.read(name).unwrap().iter::<f64>().collect::<Vec<f64>>();
        let (tokens, positions) = (table("transformer.wte.weight"), table("transformer.wpe.weight"));
        let row = |table: &[f64], index: usize| table[index * 8..][..8].to_vec();
        let expected: Vec<f64> = row(&tokens, 9).iter().zip(row(&positions, 2)).map(|(x, y)| x + y).collect();
        assert_close("embeddings", &values(states[0].clone())[2 * 8..3 * 8], &expected, 1e-6);
    }
}

fn weights(folder: &Path) -> Vec<(String, Vec<usize>, Vec<u32>)> {
    let mut file = Weights::in_folder(folder).unwrap();
    let mut names = file.names();
    names.sort();
    let mut read = |name: String| {
        let data = file.read(&name).unwrap();
        let bits = data.iter::<f32>().map(f32::to_bits).collect();
        (name, data.shape().to_vec(), bits)
    };
    names.into_iter().map(&mut read).collect()
}

fn read_json(folder: &Path, file: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

#[test]
fn what_is_saved_is_what_transformers_saves() {
    let folder = tempfile::tempdir().unwrap();
    let model = GptForCausalLM::load(&fixture("gpt2"), &device()).unwrap();
    model.save(folder.path()).unwrap();
    assert_eq!(weights(folder.path()), weights(&fixture("gpt2")));
    for (file, n_keys) in [("config.json", 22), ("generation_config.json", 2)] {
        let (found, expected) = (read_json(folder.path(), file), read_json(&fixture("gpt2"), file));
        let found = found.as_object().unwrap();
        assert_eq!(found.len(), n_keys, "{file}");
        for (key, value) in found {
            assert_eq!(expected.get(key), Some(value), "{file}: {key}");
        }
    }
    let again = GptForCausalLM::load(folder.path(), &device()).unwrap();
    assert_eq!(again.config(), model.config());
    assert_eq!(again.class().to_string(), "GPT2LMHeadModel");
}

#[test]
fn a_folder_is_opened_by_its_class() {
    let class = ModelClass::of(&fixture("gpt2")).unwrap();
    assert_eq!(class.head(), Head::CausalLm);
    let model = registry::open(&fixture("gpt2"), &device()).unwrap();
    assert_eq!((model.class(), model.check_hugging_face()), (class, Ok(())));
    let size = model.size();
    assert_eq!((size.n_encoder_layers, size.n_decoder_layers, size.vocab_size), (0, 2, 50));
    assert_eq!(model.config(), json!(GptConfig::load(&fixture("gpt2")).unwrap()));
    // A file without its class has only one that it can be.
    let folder = changed(|json| drop(json.as_object_mut().unwrap().remove("architectures")), |_| ());
    assert_eq!(ModelClass::of(folder.path()).unwrap(), class);
}

/// The fixture with changed settings, and weights as changed.
fn changed(
    config: impl FnOnce(&mut Value),
    weights: impl FnOnce(&mut Vec<(String, Vec<usize>, Vec<u32>)>),
) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut json = read_json(&fixture("gpt2"), "config.json");
    config(&mut json);
    fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
    let mut all = self::weights(&fixture("gpt2"));
    weights(&mut all);
    let bytes: Vec<Vec<u8>> =
        all.iter().map(|(_, _, bits)| bits.iter().flat_map(|bits| bits.to_le_bytes()).collect()).collect();
    let views = all.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors")).unwrap();
    folder
}

/// The files of the first release have no `transformer.`, and masks among the weights; some have the output layer too.
#[test]
fn old_names_masks_and_an_equal_output_layer_are_read() {
    let expected = weights(&fixture("gpt2"));
    let check = |folder: &Path| {
        let out = tempfile::tempdir().unwrap();
        GptForCausalLM::load(folder, &device()).unwrap().save(out.path()).unwrap();
        assert_eq!(weights(out.path()), expected);
    };
    let masks = |all: &mut Vec<(String, Vec<usize>, Vec<u32>)>, prefix: &str| {
        all.push((format!("{prefix}h.0.attn.bias"), vec![1, 1, 2, 2], vec![0; 4]));
        all.push((format!("{prefix}h.0.attn.masked_bias"), vec![1], vec![0]));
    };
    let old = |all: &mut Vec<_>| {
        all.iter_mut().for_each(|(name, ..): &mut (String, _, _)| *name = name.replacen("transformer.", "", 1));
        masks(all, "");
    };
    check(changed(|_| (), old).path());
    check(changed(|_| (), |all| masks(all, "transformer.")).path());
    let tied = |all: &mut Vec<(String, Vec<usize>, Vec<u32>)>| {
        let (_, shape, bits) = all.iter().find(|(name, ..)| name == "transformer.wte.weight").unwrap().clone();
        all.push(("lm_head.weight".to_owned(), shape, bits));
    };
    check(changed(|_| (), tied).path());

    let untied = changed(
        |_| (),
        |all| {
            tied(all);
            all.last_mut().unwrap().2[7] ^= 1;
        },
    );
    let error = GptForCausalLM::load(untied.path(), &device()).unwrap_err().to_string();
    assert!(error.contains("`lm_head.weight`") && error.contains("`transformer.wte.weight`"), "{error}");
    // With a table of its own the output layer is a weight as any other.
    let own = |json: &mut Value| json["tie_word_embeddings"] = json!(false);
    let folder = changed(own, |all| {
        tied(all);
        all.last_mut().unwrap().2[7] ^= 1;
    });
    let out = tempfile::tempdir().unwrap();
    GptForCausalLM::load(folder.path(), &device()).unwrap().save(out.path()).unwrap();
    assert_eq!(weights(out.path()), weights(folder.path()));
    let error = GptForCausalLM::load(changed(own, |_| ()).path(), &device()).unwrap_err().to_string();
    assert!(error.contains("lm_head.weight"), "{error}");
}

#[test]
fn settings_that_ask_for_another_model_are_refused_by_name() {
    let error = |key: &str, value: Value| {
        let folder = changed(|json| json[key] = value, |_| ());
        let error = GptForCausalLM::load(folder.path(), &device()).unwrap_err().to_string();
        error.replace(&folder.path().display().to_string(), "FOLDER")
    };
    for (key, value, expected) in [
        ("add_cross_attention", json!(true), "`true`, expected `false`"),
        ("reorder_and_upcast_attn", json!(true), "`true`, expected `false`"),
        ("scale_attn_by_inverse_layer_idx", json!(true), "`true`, expected `false`"),
        ("scale_attn_weights", json!(false), "`false`, expected `true`"),
        ("n_head", json!(3), "`3`, expected a divisor of `n_embd` (8)"),
        ("n_positions", json!(0), "`0`, expected at least 1"),
        ("n_layer", json!(1_000_000_000_001_u64), "`1000000000001`, expected at most 4,096"),
    ] {
        let expected = format!("`{key}` in `FOLDER/config.json` is {expected}");
        assert_eq!(error(key, json!(value)), expected);
    }
    let found = error("n_layer", json!(4096));
    assert!(found.contains("`transformer.h.4095.ln_1.weight`"), "{found}");
}

/// The defaults of `GPT2Config` in transformers 5.24.0.
#[test]
fn what_a_file_leaves_out_is_as_in_transformers() {
    let folder = tempfile::tempdir().unwrap();
    let load = |json: Value| {
        fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
        GptConfig::load(folder.path()).unwrap()
    };
    let tokens = GptTokens { bos_id: Some(50_256), eos_id: Some(50_256), pad_id: None };
    let expected = GptConfig::preset("gpt2", 50_257, tokens).unwrap();
    assert_eq!(load(json!({ "model_type": "gpt2" })), expected);
    assert_eq!((expected.n_layers, expected.d_model, expected.n_heads, expected.d_ff), (12, 768, 12, 3072));
    let wide = load(json!({ "model_type": "gpt2", "n_embd": 24, "eos_token_id": null }));
    assert_eq!((wide.d_ff, wide.tokens.eos_id, wide.tokens.bos_id), (96, None, Some(50_256)));
    assert_eq!(load(json!({ "model_type": "gpt2", "n_embd": 24, "n_inner": 30 })).d_ff, 30);
}

/// The numbers of parameters of the published models, as Hugging Face's hub counts them.
#[test]
fn published_sizes_have_as_many_parameters_as_the_published_models() {
    for (name, expected) in
        [("gpt2", 124_439_808), ("gpt2-medium", 354_823_168), ("gpt2-large", 774_030_080), ("gpt2-xl", 1_557_611_200)]
    {
        let config = GptConfig::preset(name, 50_257, GptTokens::default()).unwrap();
        assert_eq!(n_parameters(&GptForCausalLM::new(&config, &device())), expected, "{name}");
    }
}

#[test]
fn decoding_step_by_step_gives_the_logits_of_a_full_pass() {
    for device in devices() {
        let model = GptForCausalLM::init(&config(), 1, &device);
        let ids = [[5, 6, 7, 8, 9, 10, 11, 12, 13], [14, 15, 16, 17, 18, 19, 20, 21, 22]];
        let full = model.forward(input(ids, &device));
        let mut cache = model.begin(&[&[], &[]]);
        let mut end = 0;
        for n_new in [4, 1, 3, 1] {
            end += n_new;
            let new = Tensor::<2, Int>::from_data(ids, &device).narrow(1, end - n_new, n_new);
            let found = values(model.step(new, &mut cache));
            let expected = values(full.clone().narrow(1, end - 1, 1));
            assert_close("logits", &found, &expected, ROUNDING);
        }
    }
}

#[test]
fn greedy_generation_takes_the_best_token_of_a_full_pass() {
    for device in devices() {
        let model = GptForCausalLM::init(&config(), 1, &device);
        let prompts = [vec![5, 6, 7], vec![8, 9]];
        let settings = GenerationConfig { max_length: Some(4), ..GenerationConfig::greedy() };
        let found = generate(&model, &settings, GenerationInput::new(&prompts)).unwrap();
        for (prompt, found) in prompts.iter().zip(found) {
            let mut tokens = prompt.clone();
            for _ in 0..4 {
                let ids: Vec<i64> = tokens.iter().map(|&token| i64::from(token)).collect();
                let ids = Tensor::<1, Int>::from_data(&*ids, &device).unsqueeze();
                let logits = values(model.forward(GptInput::new(ids)));
                let last = &logits[logits.len() - 31..];
                let best = (1..31_u32).max_by(|&a, &b| last[a as usize].total_cmp(&last[b as usize])).unwrap();
                if best == 1 {
                    break;
                }
                tokens.push(best);
            }
            assert_eq!(found[0].tokens, tokens[prompt.len()..]);
        }
    }
}

#[test]
fn neither_padding_nor_later_tokens_change_what_is_before() {
    for device in devices() {
        let model = GptForCausalLM::init(&config(), 1, &device);
        let expected = values(model.forward(input([[5, 6, 7]], &device)));
        let first = |input| values(model.forward(input).narrow(1, 0, 3));
        assert_close("later", &first(input([[5, 6, 7, 8, 9]], &device)), &expected, ROUNDING);
        assert_close("other", &first(input([[5, 6, 7, 20, 21, 22]], &device)), &expected, ROUNDING);
        assert_close("padding", &first(with_padding([[5, 6, 7, 0, 0, 0]], [3], &device)), &expected, ROUNDING);
        // Padding in the middle is seen by nobody behind it.
        let with = |ids| {
            let mask = Tensor::<2, Bool>::from_data([[false, true, false, false]], &device);
            values(model.forward(GptInput { mask_pad: Some(mask), ..input(ids, &device) }).narrow(1, 2, 2))
        };
        assert_close("content", &with([[5, 6, 7, 8]]), &with([[5, 20, 7, 8]]), ROUNDING);
    }
}

#[test]
fn a_sequence_does_not_depend_on_the_others_in_its_batch() {
    for device in devices() {
        let model = GptForCausalLM::init(&config(), 1, &device);
        let rows = [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]];
        let answer = |input: GptInput, rng| values(model.forward(GptInput { rng, ..input }));
        for rng in [|_: &[u64]| DropoutRng::off(), |samples: &[u64]| DropoutRng::training(1, samples)] {
            let together = answer(input(rows, &device), rng(&[3, 4, 5]));
            for (index, row) in rows.into_iter().enumerate() {
                let alone = answer(input([row], &device), rng(&[3 + index as u64]));
                assert_close("alone", &alone, &together[4 * 31 * index..4 * 31 * (index + 1)], ROUNDING);
            }
        }
    }
}

#[test]
fn every_parameter_gets_a_gradient_in_training() {
    for device in devices() {
        let device = device.autodiff();
        for tied_embeddings in [true, false] {
            let model = GptForCausalLM::init(&GptConfig { tied_embeddings, ..config() }, 1, &device);
            let rows = [[5, 6, 7, 8, 9, 10, 11, 12, 13], [14, 15, 16, 17, 18, 19, 20, 21, 22]];
            let training = GptInput { rng: DropoutRng::training(1, [7, 8]), ..input(rows, &device) };
            let loss = model.forward(training).powi_scalar(2).sum();
            for (name, gradient) in gradients(&model, &loss.backward()) {
                let size = norm(gradient);
                // A key's bias adds one number to all scores of a query, which the softmax ignores.
                if name.ends_with("key.bias") {
                    assert!(size < 1e-3, "`{name}`: {size:e}");
                } else {
                    assert!(size.is_finite() && size > 1e-3, "`{name}`: {size:e}");
                }
            }
        }
    }
}

#[test]
fn initial_weights_are_those_of_transformers() {
    let config = GptConfig { d_model: 100, d_ff: 200, init_std: 0.02, ..config() };
    let model = GptForCausalLM::init(&config, 1, &device());
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    for (name, shape, bits) in weights(folder.path()) {
        let values: Vec<f64> = bits.into_iter().map(|bits| f64::from(f32::from_bits(bits))).collect();
        if name.ends_with("bias") {
            assert!(values.iter().all(|&x| x == 0.0), "{name}");
        } else if shape.len() == 1 {
            assert!(values.iter().all(|&x| x == 1.0), "{name}");
        } else {
            // Two layers, each with two weights that write into the residual stream: a factor of 1 / sqrt(4).
            let expected = if name.ends_with("c_proj.weight") { 0.01 } else { 0.02 };
            let n = values.len() as f64;
            let std = norm(values.iter().copied()) / n.sqrt();
            // Five standard errors.
            assert!((std / expected - 1.0).abs() < 5.0 / (2.0 * n).sqrt(), "{name}: {std}");
        }
    }
    // By name: another number of layers changes no table.
    let deeper = GptForCausalLM::init(&GptConfig { n_layers: 3, ..config }, 1, &device());
    assert_eq!(values(deeper.gpt().token().weight.val()), values(model.gpt().token().weight.val()));
    assert_eq!(parameters(&model)[0].0, "gpt.token.weight");
}
