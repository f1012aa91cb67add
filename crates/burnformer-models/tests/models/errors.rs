//! What is wrong with a model folder is said in one sentence, with the file, what was found, and what was expected.

use crate::support::{device, fixture, labels};
use burnformer_models::{
    BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, Head, ModelClass, ModelError, Pretrained,
    Seq2Seq,
};
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::path::Path;

/// The error of a copy of a fixture after `change`, with the folder's name taken out, and its source's.
fn error(
    name: &str,
    change: impl FnOnce(&Path),
    load: impl FnOnce(&Path) -> Result<(), ModelError>,
) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture(name).join(file), folder.path().join(file)).unwrap();
    }
    change(folder.path());
    let error = load(folder.path()).expect_err("an error");
    let text = error.to_string().replace(&folder.path().display().to_string(), "FOLDER");
    (text, error.source().map(ToString::to_string).unwrap_or_default())
}

fn load_pretraining(folder: &Path) -> Result<(), ModelError> {
    BertForPreTraining::load(folder, &device()).map(|_| ())
}

fn load_classifier(folder: &Path) -> Result<(), ModelError> {
    BertForSequenceClassification::load(folder, &device()).map(|_| ())
}

fn pretraining_error(change: impl FnOnce(&Path)) -> String {
    error("pretraining", change, load_pretraining).0
}

fn set(key: &'static str, value: Value) -> impl FnOnce(&Path) {
    move |folder| {
        let path = folder.join("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        config[key] = value;
        fs::write(path, config.to_string()).unwrap();
    }
}

fn remove(file: &'static str) -> impl FnOnce(&Path) {
    move |folder| fs::remove_file(folder.join(file)).unwrap()
}

/// Changes the bytes of the weights.
fn damage(change: impl FnOnce(&mut Vec<u8>)) -> impl FnOnce(&Path) {
    |folder| {
        let path = folder.join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }
}

/// Replaces text of the header by as much other text.
fn replace_in_header(from: &'static str, to: &'static str) -> impl FnOnce(&Path) {
    assert_eq!(from.len(), to.len());
    damage(move |bytes| {
        let place = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    })
}

#[test]
fn a_folder_that_holds_no_model_is_refused() {
    let expected = "`FOLDER` is not a model folder: it has no `config.json`";
    assert_eq!(pretraining_error(remove("config.json")), expected);
    let expected = "`FOLDER` is not a model folder: it has no `model.safetensors`, `model.safetensors.index.json`, \
                    `pytorch_model.bin`, `pytorch_model.bin.index.json` or `model.int8.safetensors`";
    assert_eq!(pretraining_error(remove("model.safetensors")), expected);
    let missing = ModelClass::of(Path::new("no/such/folder")).unwrap_err().to_string();
    assert_eq!(missing, "`no/such/folder` is not a model folder: it has no `config.json`");
    let file = |folder: &Path| ModelClass::of(&folder.join("model.safetensors")).map(|_| ());
    let expected = "`FOLDER/model.safetensors` is not a model folder: it has no `config.json`";
    assert_eq!(error("pretraining", |_| (), file).0, expected);
}

#[test]
fn another_model_is_refused() {
    let expected = "`architectures` in `FOLDER/config.json` is `T5ForConditionalGeneration`, expected a class of BERT, \
                    RoBERTa, DistilBERT, XLM-RoBERTa or CamemBERT such as `BertForMaskedLM`, or `GPT2LMHeadModel`, or `MarianMTModel`";
    assert_eq!(pretraining_error(set("architectures", json!(["T5ForConditionalGeneration"]))), expected);
    let of = |folder: &Path| ModelClass::of(folder).map(|_| ());
    assert_eq!(error("pretraining", set("architectures", json!(["T5ForConditionalGeneration"])), of).0, expected);
    let expected = "`architectures` in `FOLDER/config.json` is `BertForSequenceClassification`, expected \
                    `BertForPreTraining` or `BertForMaskedLM`";
    assert_eq!(error("classification", |_| (), load_pretraining).0, expected);
    let from =
        |folder: &Path| BertForSequenceClassification::from_pretrained(folder, &labels(5), 1, &device()).map(|_| ());
    let expected = "`model_type` in `FOLDER/config.json` is `t5`, expected `bert` or `roberta` or `distilbert` or \
                    `xlm-roberta` or `camembert`";
    assert_eq!(error("pretraining", set("model_type", json!("t5")), from).0, expected);
}

/// The error of `load` on a fixture with this class and this type.
fn mismatch(name: &str, class: &str, model_type: &str, load: fn(&Path) -> Result<(), ModelError>) -> String {
    let change = |folder: &Path| {
        set("architectures", json!([class]))(folder);
        set("model_type", json!(model_type))(folder);
    };
    error(name, change, load).0
}

#[test]
fn a_class_of_another_type_of_models_is_refused() {
    let kind = |folder: &Path| ModelClass::of(folder).map(|_| ());
    let from =
        |folder: &Path| BertForSequenceClassification::from_pretrained(folder, &labels(5), 1, &device()).map(|_| ());
    let seq2seq = |folder: &Path| Seq2Seq::load(folder, &device()).map(|_| ());
    for (name, class, model_type, expected) in [
        ("pretraining", "BertForPreTraining", "roberta", "bert"),
        ("pretraining", "RobertaForMaskedLM", "bert", "roberta"),
        ("pretraining", "MarianMTModel", "bert", "marian"),
        ("pretraining", "BertForPreTraining", "marian", "bert"),
        ("marian", "PegasusForConditionalGeneration", "marian", "pegasus"),
        ("marian", "MarianMTModel", "burnformer", "marian"),
    ] {
        let text = format!(
            "`architectures` in `FOLDER/config.json` is `{class}`, but `model_type` is `{model_type}`: set `model_type` \
             to `{expected}`, or `architectures` to a class of `{model_type}`"
        );
        for load in [kind, load_pretraining, from, seq2seq] {
            assert_eq!(mismatch(name, class, model_type, load), text);
        }
    }
}

/// Only a BERT has both heads of pretraining, whatever a file says or holds.
#[test]
fn a_pretraining_model_of_a_variant_is_refused() {
    let expected = "`architectures` in `FOLDER/config.json` is `RobertaForPreTraining`, expected a class of BERT, \
                    RoBERTa, DistilBERT, XLM-RoBERTa or CamemBERT such as `BertForMaskedLM`, or `GPT2LMHeadModel`, or `MarianMTModel`";
    assert_eq!(mismatch("pretraining", "RobertaForPreTraining", "roberta", load_pretraining), expected);
    let without_class = |folder: &Path| {
        set("architectures", Value::Null)(folder);
        set("model_type", json!("roberta"))(folder);
    };
    let found = pretraining_error(without_class);
    assert!(found.starts_with("`FOLDER/model.safetensors` has no weights `roberta.embeddings."), "{found}");
}

#[test]
fn a_class_says_the_type_that_is_missing() {
    for (name, load) in [
        ("roberta_masked_lm", (|folder| BertForMaskedLM::load(folder, &device()).map(|_| ())) as fn(&Path) -> _),
        ("marian", |folder| Seq2Seq::load(folder, &device()).map(|_| ())),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(fixture(name).join(file), folder.path().join(file)).unwrap();
        }
        set("model_type", Value::Null)(folder.path());
        load(folder.path()).unwrap_or_else(|error: ModelError| panic!("{name}: {error}"));
    }
    // And a type with one class says which.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), json!({ "model_type": "marian" }).to_string()).unwrap();
    assert_eq!(ModelClass::of(folder.path()).unwrap().head(), Head::Seq2Seq);
}

#[test]
fn settings_that_cannot_work_are_named_by_their_keys_in_the_file() {
    let check = |key, value, expected: &str| {
        let found = pretraining_error(set(key, value));
        assert_eq!(found, format!("`{key}` in `FOLDER/config.json` is {expected}"));
    };
    check(
        "hidden_act",
        json!("mish"),
        "`mish`, expected `gelu` or `gelu_new` or `gelu_pytorch_tanh` or `gelu_fast` or `relu` or `silu` or `swish` or \
         `linear`",
    );
    check("num_attention_heads", json!(7), "`7`, expected a divisor of `hidden_size` (20)");
    check("num_attention_heads", json!(0), "`0`, expected at least 1");
    check("num_hidden_layers", json!(0), "`0`, expected at least 1");
    check("hidden_size", json!(0), "`0`, expected at least 1");
    check("intermediate_size", json!(0), "`0`, expected at least 1");
    check("vocab_size", json!(0), "`0`, expected at least 1");
    check("max_position_embeddings", json!(0), "`0`, expected at least 1");
    check("type_vocab_size", json!(0), "`0`, expected at least 1");
    check("hidden_dropout_prob", json!(1.0), "`1`, expected a value in [0, 1)");
    check("attention_probs_dropout_prob", json!(-1), "`-1`, expected a value in [0, 1)");
    check("layer_norm_eps", json!(0.0), "`0`, expected a finite value above 0");
    check("initializer_range", json!(-0.5), "`-0.5`, expected a finite value above 0");
    check("pad_token_id", json!(29), "`29`, expected less than `vocab_size`");
    check("position_embedding_type", json!("relative_key"), "`relative_key`, expected `absolute`");
    check("is_decoder", json!(true), "`true`, expected `false`");
    check("add_cross_attention", json!(true), "`true`, expected `false`");
}

#[test]
fn a_config_that_cannot_be_read_says_where() {
    let (text, source) = error("pretraining", set("hidden_size", json!("wide")), load_pretraining);
    assert_eq!(text, "`hidden_size` in `FOLDER/config.json` cannot be used");
    assert_eq!(source, "invalid type: string \"wide\", expected usize");
    let cut = |folder: &Path| fs::write(folder.join("config.json"), "{\"model_type\": ").unwrap();
    let (text, source) = error("pretraining", cut, load_pretraining);
    assert_eq!(text, "`FOLDER/config.json` does not describe a model");
    assert_eq!(source, "EOF while parsing a value at line 1 column 15");
}

#[test]
fn a_classifier_must_be_one_of_named_classes() {
    let check = |key, value, expected: &str| {
        let (found, _) = error("classification", set(key, value), load_classifier);
        assert_eq!(found, format!("`{key}` in `FOLDER/config.json` is {expected}"));
    };
    let problem = "expected `single_label_classification` or `multi_label_classification`, as there are 6 labels";
    check("problem_type", json!("regression"), &format!("`regression`, {problem}"));
    check("problem_type", json!("ranking"), &format!("`ranking`, {problem}"));
    let gap = "`0, 2`, expected labels of all classes, numbered from 0";
    check("id2label", json!({"0": "no", "2": "yes"}), gap);
    check("classifier_dropout", json!(1.5), "`1.5`, expected a value in [0, 1)");
    let (found, _) = error("classification", set("id2label", json!({"0": "no", "1": "yes"})), load_classifier);
    let expected = "the classifier in `FOLDER/model.safetensors` has 6 classes, `id2label` in its `config.json` \
                    names 2";
    assert_eq!(found, expected);
}

#[test]
fn labels_must_name_the_classes() {
    let folder = tempfile::tempdir().unwrap();
    let mut labels = labels(6);
    labels[1] = labels[0].clone();
    let loaded =
        BertForSequenceClassification::from_pretrained(&fixture("classification"), &labels, 1, &device()).unwrap();
    let error = loaded.model.save(folder.path()).unwrap_err();
    assert_eq!(error.to_string(), "found 5 different labels, expected 6, one for each class");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn weights_that_are_not_the_models_are_named() {
    let expected = "`FOLDER/model.safetensors` has no weight `cls.predictions.bias`, but has the weight \
                    `cls.predictions.base`, which the model does not have: is `cls.predictions.base` meant to be \
                    `cls.predictions.bias`?";
    assert_eq!(pretraining_error(replace_in_header("cls.predictions.bias", "cls.predictions.base")), expected);
    let expected = "weight `bert.embeddings.word_embeddings.weight` in `FOLDER/model.safetensors` has shape [29, 20], \
                    expected [30, 20]";
    assert_eq!(pretraining_error(set("vocab_size", json!(30))), expected);
    let found = pretraining_error(set("num_hidden_layers", json!(1)));
    let expected =
        "`FOLDER/model.safetensors` has the weights `bert.encoder.layer.1.attention.output.LayerNorm.bias`, ";
    assert!(found.starts_with(expected), "{found}");
    assert!(found.ends_with(" and 11 more, which the model does not have"), "{found}");
    let expected = "`FOLDER/model.safetensors` has no weights `bert.encoder.layer.2.attention.self.query.weight`, \
                    `bert.encoder.layer.2.attention.self.query.bias`, `bert.encoder.layer.2.attention.self.key.weight`, \
                    `bert.encoder.layer.2.attention.self.key.bias`, `bert.encoder.layer.2.attention.self.value.weight` and \
                    11 more";
    assert_eq!(pretraining_error(set("num_hidden_layers", json!(3))), expected);
}

#[test]
fn numbers_in_a_config_allocate_nothing() {
    // Within the limits of each size the weights decide.
    let expected = "`FOLDER/model.safetensors` has no weight `bert.encoder.layer.4095.attention.self.query.weight`";
    assert_eq!(pretraining_error(set("num_hidden_layers", json!(4096))), expected);
    let expected = "weight `bert.embeddings.word_embeddings.weight` in `FOLDER/model.safetensors` has shape [29, 20], \
                    expected [16777216, 20]";
    assert_eq!(pretraining_error(set("vocab_size", json!(16_777_216))), expected);
    for (key, value, most) in [
        ("num_hidden_layers", 1_000_000, "4,096"),
        ("num_hidden_layers", 1_000_000_000_000, "4,096"),
        ("vocab_size", u64::MAX, "16,777,216"),
        ("hidden_size", u64::MAX - 3, "65,536"),
        ("intermediate_size", u64::MAX, "1,048,576"),
        ("max_position_embeddings", u64::MAX, "1,048,576"),
    ] {
        let expected = format!("`{key}` in `FOLDER/config.json` is `{value}`, expected at most {most}");
        assert_eq!(pretraining_error(set(key, json!(value))), expected);
    }
}

#[test]
fn a_weight_file_that_is_cut_off_is_refused() {
    let n_bytes = fs::metadata(fixture("pretraining").join("model.safetensors")).unwrap().len();
    for kept in [0, 7, 8, 100, n_bytes as usize - 1] {
        let found = pretraining_error(damage(move |bytes| bytes.truncate(kept)));
        let beginning = format!("`FOLDER/model.safetensors` has {kept} bytes, ");
        assert!(found.starts_with(&beginning), "{found}");
        assert!(found.ends_with(" by its header: it is cut off or damaged"), "{found}");
    }
    let found = pretraining_error(damage(|bytes| bytes.push(0)));
    let expected = format!(
        "`FOLDER/model.safetensors` has {} bytes, {n_bytes} by its header: it is cut off or damaged",
        n_bytes + 1
    );
    assert_eq!(found, expected);
}

/// Replaces the weight file by a header and `n_bytes` zeros.
fn write_header(header: &'static str, n_bytes: usize) -> impl FnOnce(&Path) {
    damage(move |bytes| {
        *bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; n_bytes]].concat();
    })
}

#[test]
fn a_header_that_lies_is_refused() {
    let found = pretraining_error(damage(|bytes| bytes[..8].fill(255)));
    assert!(found.contains("bytes, 18446744073709551615 by its header"), "{found}");

    fn check(change: impl FnOnce(&Path), expected: &str) {
        let (text, source) = error("pretraining", change, load_pretraining);
        assert_eq!(text, "`FOLDER/model.safetensors` is not a safetensors file");
        assert_eq!(source, expected);
    }
    check(write_header("no JSON", 0), "expected ident at line 1 column 2");
    check(replace_in_header("[29,20]", "[99,20]"), "invalid shape, data type, or offset for tensor");
    let huge = r#"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}"#;
    check(write_header(huge, 16), "overflow computing buffer size from shape and/or element type");
    let behind = r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#;
    check(write_header(behind, 16), "invalid offset for tensor `x`");
    let twice =
        r#"{"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"y":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
    check(write_header(twice, 8), "invalid offset for tensor `x`");

    let repeated = r#"{"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"x":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;
    check(write_header(repeated, 8), "the name `x` is there twice at line 1 column 111");

    let long = r#"{"x":{"dtype":"F32","shape":[288230376151711743],"data_offsets":[0,1152921504606846972]}}"#;
    let expected = 1_152_921_504_606_846_972 + 8 + long.len();
    let found = pretraining_error(write_header(long, 16));
    assert!(found.contains(&format!("bytes, {expected} by its header")), "{found}");
}

#[test]
fn a_weight_that_is_no_float_is_refused() {
    let expected = "weight `bert.pooler.dense.bias` in `FOLDER/model.safetensors` has type `I32`, expected `F32`, \
                    `F16`, `BF16` or `F64`";
    let found = pretraining_error(replace_in_header(
        "\"bert.pooler.dense.bias\":{\"dtype\":\"F32\"",
        "\"bert.pooler.dense.bias\":{\"dtype\":\"I32\"",
    ));
    assert_eq!(found, expected);
}
