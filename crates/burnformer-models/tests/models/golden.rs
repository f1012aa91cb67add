//! Models, answers and gradients of transformers, made by `fixtures/make_fixtures.py`: hidden states and logits to 2e-5
//! (they are as large as 5), attention weights and losses to 1e-5, gradients to 1e-4 of each tensor's norm, on every
//! backend.

use crate::support::{Golden, assert_close, assert_near, device, devices, fixture, gradients, labels, norm, values};
use burn::module::Module;
use burn::tensor::{Gradients, Tensor};
use burnformer_models::stats::n_parameters;
use burnformer_models::{
    Bert, BertConfig, BertForMaskedLM, BertForPreTraining, BertForQuestionAnswering, BertForSequenceClassification,
    BertForTokenClassification, BertVariant, Pooling, Pretrained, normalize,
};
use burnformer_nn::{Activation, CrossEntropyLossConfig};

/// Hidden states and logits, in the largest difference of an element.
const OUTPUT: f64 = 2e-5;
/// Attention weights and losses, in the largest difference of an element.
const WEIGHT: f64 = 1e-5;
/// Gradients, relative to the norm of the tensor.
const GRADIENT: f64 = 1e-4;
/// The norm that the gradient of a key bias, which vanishes, may have.
const ROUNDING: f64 = 1e-5;

fn check_attn_weights(golden: &Golden, weights: Vec<Tensor<4>>) {
    assert_eq!(weights.len(), golden.names("attn_weights.").len());
    for (layer, weights) in weights.into_iter().enumerate() {
        let name = format!("attn_weights.{layer}");
        assert_close(&name, &values(weights), &golden.floats(&name), WEIGHT);
    }
}

/// Compares what is between the layers.
fn check_hidden_states(golden: &Golden, states: Vec<Tensor<3>>) {
    assert_eq!(states.len(), golden.names("hidden.").len());
    for (layer, hidden) in states.into_iter().enumerate() {
        let name = format!("hidden.{layer}");
        assert_close(&name, &values(hidden), &golden.floats(&name), OUTPUT);
    }
}

/// Compares the gradient of every parameter; those of key biases vanish, which softmax ignores, and of what adds the same to all
/// tokens in front of a softmax over them.
fn check_gradients<M: Module>(golden: &Golden, config: &BertConfig, model: &M, grads: &Gradients) {
    let found = gradients(model, grads);
    assert_eq!(found.len(), golden.names("grad.").len());
    for (path, found) in found {
        let is_second = path == "mlm.bias" && !config.tied_embeddings;
        let name = config.variant.weight_name(if is_second { "mlm.decoder.bias" } else { &path });
        let expected = golden.floats(&format!("grad.{name}"));
        if path.ends_with("key.bias") || norm(expected.clone()) < ROUNDING * ROUNDING {
            let size = norm(found);
            assert!(size < ROUNDING, "`{name}`: {size:e}");
        } else {
            assert_near(&name, &found, &expected, GRADIENT);
        }
    }
}

#[test]
fn pretraining() {
    let folder = fixture("pretraining");
    let golden = Golden::open(&folder);
    for device in devices() {
        let device = device.autodiff();
        let model = BertForPreTraining::load(&folder, &device).unwrap();
        let config = model.config().clone();
        assert_eq!((config.activation, config.pad_id, config.n_segments), (Activation::Gelu, 3, 9));
        check_hidden_states(&golden, model.bert().hidden_states(golden.input(&device)));
        let (hidden, weights) = model.bert().forward_with_attn_weights(golden.input(&device));
        assert_close("hidden", &values(hidden), &golden.floats("output.hidden"), OUTPUT);
        check_attn_weights(&golden, weights);

        let logits = model.forward(golden.input(&device), golden.ints("input.masked_positions", &device));
        assert_close("mlm", &values(logits.mlm.clone()), &golden.floats("output.mlm"), OUTPUT);
        let next_sentence = golden.floats("output.next_sentence");
        assert_close("next_sentence", &values(logits.next_sentence.clone()), &next_sentence, OUTPUT);

        let loss = CrossEntropyLossConfig::new().init();
        let mlm = loss.forward(logits.mlm, golden.ints("input.mlm_targets", &device)).mean();
        let next_sentence = loss.forward(logits.next_sentence, golden.ints("input.next_sentence", &device)).mean();
        assert_close("mlm_loss", &values(mlm.clone()), &golden.floats("output.mlm_loss"), WEIGHT);
        let expected = golden.floats("output.next_sentence_loss");
        assert_close("next_sentence_loss", &values(next_sentence.clone()), &expected, WEIGHT);
        check_gradients(&golden, &config, &model, &(mlm + next_sentence).backward());
    }
}

/// Which classes, and what is particular about each model.
#[test]
fn classification() {
    let feelings = ["anger", "fear", "joy", "love", "sadness", "surprise"];
    let config = check_classification("classification", &feelings);
    assert_eq!((config.activation, config.norm_eps), (Activation::GeluTanh, 1e-2));
    let entailment = ["contradiction", "entailment", "neutral"];
    let config = check_classification("roberta_classification", &entailment);
    assert_eq!((config.variant, config.max_seq_length, config.norm_eps), (BertVariant::Roberta, 11, 1e-5));
    let config = check_classification("distilbert_classification", &entailment);
    assert_eq!((config.variant, config.activation, config.n_segments), (BertVariant::DistilBert, Activation::Relu, 0));
    let config = check_classification("xlm_roberta_classification", &entailment);
    assert_eq!((config.variant, config.max_seq_length), (BertVariant::XlmRoberta, 11));
}

fn check_classification(name: &str, expected_labels: &[&str]) -> BertConfig {
    let folder = fixture(name);
    let golden = Golden::open(&folder);
    for device in devices() {
        let device = device.autodiff();
        let model = BertForSequenceClassification::load(&folder, &device).unwrap();
        let (config, labels) = (model.config().clone(), model.labels().to_vec());
        assert_eq!(labels, expected_labels);
        check_hidden_states(&golden, model.bert().hidden_states(golden.input(&device)));
        let hidden = model.bert().forward(golden.input(&device));
        assert_close("hidden", &values(hidden), &golden.floats("output.hidden"), OUTPUT);
        let (logits, weights) = model.forward_with_attn_weights(golden.input(&device));
        assert_close("logits, with weights", &values(logits), &golden.floats("output.logits"), OUTPUT);
        check_attn_weights(&golden, weights);

        let logits = model.forward(golden.input(&device));
        assert_close("logits", &values(logits.clone()), &golden.floats("output.logits"), OUTPUT);
        let loss = CrossEntropyLossConfig::new().init().forward(logits, golden.ints("input.targets", &device)).mean();
        assert_close("loss", &values(loss.clone()), &golden.floats("output.loss"), WEIGHT);
        check_gradients(&golden, &config, &model, &loss.backward());
    }
    BertConfig::load(&folder).unwrap()
}

/// Models of each variant, whose classifiers go by one name of ours and by three of theirs.
#[test]
fn token_classification() {
    for name in [
        "token_classification",
        "roberta_token_classification",
        "distilbert_token_classification",
        "camembert_token_classification",
    ] {
        let folder = fixture(name);
        let golden = Golden::open(&folder);
        for device in devices() {
            let device = device.autodiff();
            let model = BertForTokenClassification::load(&folder, &device).unwrap();
            assert_eq!(model.labels(), ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]);
            let config = model.config().clone();
            check_hidden_states(&golden, model.bert().hidden_states(golden.input(&device)));
            let positions = golden.ints("input.positions", &device);
            let logits = model.forward(golden.input(&device), positions);
            assert_close(name, &values(logits.clone()), &golden.floats("output.logits"), OUTPUT);
            let targets = golden.ints("input.targets", &device);
            let loss = CrossEntropyLossConfig::new().init().forward(logits, targets).mean();
            assert_close("loss", &values(loss.clone()), &golden.floats("output.loss"), WEIGHT);
            check_gradients(&golden, &config, &model, &loss.backward());
        }
    }
}

/// Heads of three variants, of which each has its own name of the body; their loss is the mean of two.
#[test]
fn question_answering() {
    for name in ["question_answering", "roberta_question_answering", "distilbert_question_answering"] {
        let folder = fixture(name);
        let golden = Golden::open(&folder);
        for device in devices() {
            let device = device.autodiff();
            let model = BertForQuestionAnswering::load(&folder, &device).unwrap();
            let config = model.config().clone();
            check_hidden_states(&golden, model.bert().hidden_states(golden.input(&device)));
            let [starts, ends] = model.forward(golden.input(&device));
            assert_close(name, &values(starts.clone()), &golden.floats("output.start_logits"), OUTPUT);
            assert_close(name, &values(ends.clone()), &golden.floats("output.end_logits"), OUTPUT);
            let mean = |logits, targets| {
                let targets = golden.ints(targets, &device);
                CrossEntropyLossConfig::new().init().forward(logits, targets).mean()
            };
            let loss = (mean(starts, "input.starts") + mean(ends, "input.ends")) / 2.0;
            assert_close("loss", &values(loss.clone()), &golden.floats("output.loss"), WEIGHT);
            check_gradients(&golden, &config, &model, &loss.backward());
        }
    }
}

/// Training goes on with the head of a folder that has one, and with a new one on the body of any other.
#[test]
fn a_head_for_question_answering_is_kept() {
    let device = devices().into_iter().next().unwrap();
    let golden = Golden::open(&fixture("question_answering"));
    let kept = BertForQuestionAnswering::from_pretrained(&fixture("question_answering"), 1, &device).unwrap();
    assert_eq!((kept.fresh.len(), kept.left_over.len()), (0, 0));
    let [starts, _] = kept.model.forward(golden.input(&device));
    assert_close("kept", &values(starts), &golden.floats("output.start_logits"), OUTPUT);
    let new = BertForQuestionAnswering::from_pretrained(&fixture("classification"), 1, &device).unwrap();
    assert_eq!(new.fresh, ["qa_outputs.weight", "qa_outputs.bias"]);
    assert!(new.left_over.iter().any(|name| name == "classifier.weight"), "{:?}", new.left_over);
}

/// The mean over labelled tokens is PyTorch's, whose mean over none is NaN; ours is 0, which a step can be made of.
#[test]
fn the_loss_of_tokens_without_labels_is_zero() {
    let loss = CrossEntropyLossConfig::new().init();
    for device in devices() {
        let logits = || {
            Tensor::<2>::from_floats([[0.2, -1.0, 0.5], [1.5, 0.1, -0.3], [-0.7, 0.9, 0.4], [0.0, 0.3, -2.0]], &device)
        };
        let mean = |targets: [i64; 4]| values(loss.forward(logits(), Tensor::from_data(targets, &device)).mean());
        assert_close("loss", &mean([-100, 0, 2, -100]), &[0.718_695_461_750_030_5], 1e-6);
        assert_eq!(mean([-100; 4]), [0.0]);
    }
}

#[test]
fn masked_tokens() {
    assert!(!check_masked_lm("untied").tied_embeddings);
    // The head of RoBERTa has GELU whatever the layers have.
    let config = check_masked_lm("roberta_masked_lm");
    assert_eq!((config.variant, config.activation, config.n_segments), (BertVariant::Roberta, Activation::Relu, 1));
    assert_eq!(check_masked_lm("distilbert_masked_lm").variant, BertVariant::DistilBert);
    assert_eq!(check_masked_lm("xlm_roberta_masked_lm").variant, BertVariant::XlmRoberta);
    assert_eq!(check_masked_lm("camembert_masked_lm").variant, BertVariant::Camembert);
}

fn check_masked_lm(name: &str) -> BertConfig {
    let folder = fixture(name);
    let golden = Golden::open(&folder);
    for device in devices() {
        let device = device.autodiff();
        let model = BertForMaskedLM::load(&folder, &device).unwrap();
        let config = model.config().clone();
        check_hidden_states(&golden, model.bert().hidden_states(golden.input(&device)));
        let (hidden, weights) = model.bert().forward_with_attn_weights(golden.input(&device));
        assert_close("hidden", &values(hidden), &golden.floats("output.hidden"), OUTPUT);
        check_attn_weights(&golden, weights);

        let logits = model.forward(golden.input(&device), golden.ints("input.masked_positions", &device));
        assert_close("mlm", &values(logits.clone()), &golden.floats("output.mlm"), OUTPUT);
        let targets = golden.ints("input.mlm_targets", &device);
        let loss = CrossEntropyLossConfig::new().init().forward(logits, targets).mean();
        assert_close("mlm_loss", &values(loss.clone()), &golden.floats("output.mlm_loss"), WEIGHT);
        check_gradients(&golden, &config, &model, &loss.backward());
    }
    BertConfig::load(&folder).unwrap()
}

/// A model with more heads than are wanted.
#[test]
fn masked_tokens_of_a_pretraining_model() {
    let folder = fixture("pretraining");
    let golden = Golden::open(&folder);
    let model = BertForMaskedLM::load(&folder, &device()).unwrap();
    let logits = model.forward(golden.input(&device()), golden.ints("input.masked_positions", &device()));
    assert_close("mlm", &values(logits), &golden.floats("output.mlm"), OUTPUT);
}

#[test]
fn the_published_sizes_have_as_many_parameters_as_there() {
    let counts = std::fs::read_to_string(fixture("n_parameters.json")).unwrap();
    let counts: serde_json::Value = serde_json::from_str(&counts).unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
    let (vocab_size, n_labels) = (number(&counts["vocab_size"]), number(&counts["n_labels"]));
    let device = device();
    for name in BertConfig::PRESETS {
        let config = BertConfig::preset(name, vocab_size, 0).unwrap();
        let expected = &counts["sizes"][name];
        let found = n_parameters(&BertForPreTraining::new(&config, &device));
        assert_eq!(found, number(&expected["pretraining"]), "{name}");
        let found = n_parameters(&BertForSequenceClassification::new(&config, &labels(n_labels), &device));
        assert_eq!(found, number(&expected["classification"]), "{name}");
    }
}

/// Of the body of any folder, whatever heads it has.
#[test]
fn pooled() {
    for name in ["pretraining", "classification", "roberta_masked_lm", "distilbert_classification"] {
        let folder = fixture(name);
        let golden = Golden::open(&folder);
        for device in devices() {
            let model = Bert::load(&folder, &device).unwrap();
            let input = golden.input(&device);
            let mask_pad = input.mask_pad.clone();
            let hidden = model.forward(input);
            let pool = |pooling: Pooling| pooling.apply(hidden.clone(), mask_pad.clone());
            assert_close("mean", &values(pool(Pooling::Mean)), &golden.floats("pooled.mean"), OUTPUT);
            assert_close("cls", &values(pool(Pooling::Cls)), &golden.floats("pooled.cls"), OUTPUT);
            let normalized = values(normalize(pool(Pooling::Mean)));
            assert_close("normalized", &normalized, &golden.floats("pooled.mean_normalized"), OUTPUT);
            let whole = Pooling::Mean.apply(hidden.clone(), None);
            assert_close("without padding", &values(whole), &values(hidden.mean_dim(1)), 1e-6);
        }
    }
}

#[test]
fn a_row_of_padding_alone_is_pooled_to_zeros() {
    for device in devices() {
        let hidden = Tensor::<3>::ones([2, 3, 4], &device);
        let mask = Tensor::from_data([[true, true, true], [false, true, true]], &device);
        let pooled = normalize(Pooling::Mean.apply(hidden, Some(mask)));
        assert_close("zeros", &values(pooled), &[0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5], 1e-6);
    }
}
