//! Models of any class.

use crate::support::{BERT_FIXTURES, Golden, SEQ2SEQ_FIXTURES, assert_close, device, fixture, values};
use burn::tensor::{Int, Tensor};
use burnformer_models::weights::Weights;
use burnformer_models::{Architecture, BertConfig, BertInput, Head, ModelClass, Seq2SeqConfig, registry};
use serde_json::json;
use std::fs;
use std::path::Path;

#[test]
fn the_classes_are_those_of_transformers_and_one_of_ours() {
    let found: Vec<String> = registry::classes().map(|class| class.to_string()).collect();
    let expected = [
        "BertForPreTraining",
        "BertForMaskedLM",
        "RobertaForMaskedLM",
        "DistilBertForMaskedLM",
        "XLMRobertaForMaskedLM",
        "CamembertForMaskedLM",
        "BertForSequenceClassification",
        "RobertaForSequenceClassification",
        "DistilBertForSequenceClassification",
        "XLMRobertaForSequenceClassification",
        "CamembertForSequenceClassification",
        "BertForTokenClassification",
        "RobertaForTokenClassification",
        "DistilBertForTokenClassification",
        "XLMRobertaForTokenClassification",
        "CamembertForTokenClassification",
        "BertForQuestionAnswering",
        "RobertaForQuestionAnswering",
        "DistilBertForQuestionAnswering",
        "XLMRobertaForQuestionAnswering",
        "CamembertForQuestionAnswering",
        "BertModel",
        "RobertaModel",
        "DistilBertModel",
        "XLMRobertaModel",
        "CamembertModel",
        "GPT2LMHeadModel",
        "MarianMTModel",
        "PegasusForConditionalGeneration",
        "BurnformerSeq2Seq",
    ];
    assert_eq!(found, expected);
    assert!(found.iter().all(|name| ModelClass::named(name).is_some_and(|class| class.to_string() == *name)));
    assert_eq!(ModelClass::named("RobertaForPreTraining"), None);
}

#[test]
fn a_folder_is_opened_by_its_class() {
    for name in BERT_FIXTURES.into_iter().chain(SEQ2SEQ_FIXTURES) {
        let model = registry::open(&fixture(name), &device()).unwrap();
        assert_eq!(model.class(), ModelClass::of(&fixture(name)).unwrap(), "{name}");
        assert_eq!(model.class().architecture(), Architecture::of(&fixture(name)).unwrap(), "{name}");
        assert_eq!(model.check_hugging_face(), Ok(()), "{name}");
        let n_tables = Weights::in_folder(&fixture(name)).unwrap().names().len();
        assert!((1..=n_tables).contains(&model.parameters().len()), "{name}");
        let size = model.size();
        let config = match model.class().head() {
            Head::Seq2Seq => {
                let config = Seq2SeqConfig::load(&fixture(name)).unwrap();
                assert_eq!(size.target_vocab_size.is_some(), !config.shared_embeddings, "{name}");
                assert_eq!((size.vocab_size, size.d_ff), (config.source_vocab_size, config.d_ff), "{name}");
                json!(config)
            }
            _ => {
                let config = BertConfig::load(&fixture(name)).unwrap();
                assert_eq!((size.n_encoder_layers, size.n_decoder_layers), (config.n_layers, 0), "{name}");
                json!(config)
            }
        };
        assert_eq!(model.config(), config, "{name}");
        assert_eq!(model.labels().is_empty(), !name.ends_with("classification"), "{name}");
    }
}

/// Copies a fixture, with another class.
fn copy(name: &str, class: &str, folder: &Path) {
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture(name).join(file), folder.join(file)).unwrap();
    }
    let path = folder.join("config.json");
    let mut config: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config["architectures"] = json!([class]);
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_class_that_is_not_implemented_is_refused_and_has_a_body() {
    let folder = tempfile::tempdir().unwrap();
    copy("classification", "BertForMultipleChoice", folder.path());
    let error = registry::open(folder.path(), &device()).unwrap_err().to_string();
    let expected = format!(
        "`architectures` in `{}` is `BertForMultipleChoice`, expected `BertForPreTraining` or `BertForMaskedLM` or \
         `BertForSequenceClassification` or `BertForTokenClassification` or `BertForQuestionAnswering` or `BertModel`",
        folder.path().join("config.json").display()
    );
    assert_eq!(error, expected);
    let body = registry::open_known(folder.path(), &device()).unwrap();
    assert_eq!(body.class().to_string(), "BertModel");
}

/// The weights that the golden tests compare, whatever the head is.
#[test]
fn models_of_one_text_have_attention_weights() {
    let device = device();
    for name in BERT_FIXTURES {
        let golden = Golden::open(&fixture(name));
        let layers = registry::open(&fixture(name), &device).unwrap().attn_weights(golden.input(&device)).unwrap();
        for (layer, weights) in layers.into_iter().enumerate() {
            let expected = golden.floats(&format!("attn_weights.{layer}"));
            assert_close(name, &values(weights), &expected, 1e-5);
        }
    }
    let ids = Tensor::<2, Int>::from_data([[5, 6]], &device);
    let model = registry::open(&fixture("marian"), &device).unwrap();
    assert!(model.attn_weights(BertInput::new(ids)).is_none());
}

#[test]
fn an_encoder_decoder_has_no_body_of_its_own() {
    let error = registry::open_body(&fixture("marian"), &device()).unwrap_err().to_string();
    let expected = format!(
        "`model_type` in `{}` is `marian`, expected `bert` or `roberta` or `distilbert` or `xlm-roberta` or `camembert`",
        fixture("marian").join("config.json").display()
    );
    assert_eq!(error, expected);
}
