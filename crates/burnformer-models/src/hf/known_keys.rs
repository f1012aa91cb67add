//! The keys of a `config.json` beside those of [`Keys`](super::Keys): values that would make another model are refused by
//! name, other names of settings are followed, what changes nothing is silent, and the rest is unknown.

use super::{ConfigJson, Keys};
use crate::ModelError;
use crate::generation::is_generation_key;
use serde_json::{Map, Value};

/// Kinds of models whose files have the same keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// BERT and its variants.
    Encoder,
    /// Causal language models.
    Decoder,
    /// Encoder–decoders.
    Seq2Seq,
}

use Family::{Decoder, Encoder, Seq2Seq};

/// A key, and the only value that it may have in some families, besides null. An empty list or map may be any.
struct Only {
    key: &'static str,
    families: &'static [Family],
    /// As JSON.
    value: &'static str,
}

const fn only(key: &'static str, families: &'static [Family], value: &'static str) -> Only {
    Only { key, families, value }
}

const ALL: &[Family] = &[Encoder, Decoder, Seq2Seq];

/// Settings of models that are not implemented.
const ONLY: [Only; 13] = [
    only("adapters", ALL, "{}"),
    only("add_cross_attention", ALL, "false"),
    // The name of a class in Python, which is not run.
    only("auto_map", ALL, "{}"),
    only("cross_attention_hidden_size", ALL, "null"),
    only("is_decoder", &[Encoder, Seq2Seq], "false"),
    only("is_encoder_decoder", &[Encoder, Decoder], "false"),
    only("is_encoder_decoder", &[Seq2Seq], "true"),
    only("position_embedding_type", ALL, "\"absolute\""),
    only("pruned_heads", ALL, "{}"),
    only("quantization_config", ALL, "{}"),
    only("reorder_and_upcast_attn", &[Decoder], "false"),
    only("scale_attn_by_inverse_layer_idx", &[Decoder], "false"),
    only("scale_attn_weights", &[Decoder], "true"),
];

/// Keys that change no output: how other programs work, train or write files, heads that a class does not have, special
/// tokens that are the tokenizer's, settings of versions that no class reads any more; and keys that other parts read.
const SILENT: [&str; 84] = [
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_commit_hash",
    "_name_or_path",
    "_num_labels",
    "add_bias_logits",
    "add_final_layer_norm",
    "architectures",
    "attn_implementation",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classif_dropout",
    "classifier_dropout",
    "cls_token_id",
    "decoder_attention_heads",
    "decoder_ffn_dim",
    "decoder_layerdrop",
    "decoder_start_token_id",
    "decoder_vocab_size",
    "directionality",
    "do_blenderbot_90_layernorm",
    "dtype",
    "encoder_layerdrop",
    "eos_token_id",
    "extra_pos_embeddings",
    "finetuning_task",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "initializer_range",
    "init_std",
    "is_decoder",
    "keys_to_ignore_at_inference",
    "label2id",
    "mask_token_id",
    "model_max_length",
    "model_type",
    "n_ctx",
    "name_or_path",
    "normalize_before",
    "normalize_embedding",
    "num_labels",
    "onnx_export",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "pad_token_id",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "prefix",
    "problem_type",
    "qa_dropout",
    "return_dict",
    "sbert_ce_default_activation_function",
    "sentence_transformers",
    "sep_token_id",
    "seq_classif_dropout",
    "sinusoidal_pos_embds",
    "static_position_embeddings",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_weights_",
    "tie_word_embeddings",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "trust_remote_code",
    "type_vocab_size",
    "unk_token_id",
    "use_bfloat16",
    "use_cache",
    "xla_device",
    "layer_norm_eps",
];

impl ConfigJson {
    /// Refuses settings of models that are not implemented.
    ///
    /// # Errors
    /// [`ModelError::Setting`] of the first such key.
    pub(crate) fn check_known(&self, family: Family) -> Result<(), ModelError> {
        for it in ONLY.iter().filter(|it| it.families.contains(&family)) {
            let neutral: Value = serde_json::from_str(it.value).expect("the table holds JSON");
            let Some(found) = self.settings.get(it.key).filter(|found| !is_empty(found) && **found != neutral) else {
                continue;
            };
            let expected = match &neutral {
                Value::Object(_) | Value::Null => "no value, as such models are not supported".to_owned(),
                value => format!("`{}`", super::shown(value)),
            };
            return Err(self.setting(it.key, Some(found), expected));
        }
        Ok(())
    }

    /// Takes values at other names of keys, as pairs of name and key, as those of the keys.
    ///
    /// # Errors
    /// [`ModelError::Setting`] if a name has another value than its key.
    pub(crate) fn follow(&mut self, names: &[(&'static str, &'static str)]) -> Result<(), ModelError> {
        for &(name, key) in names {
            let Some(value) = self.settings.get(name).filter(|value| !value.is_null()).cloned() else { continue };
            match self.settings.get(key).filter(|value| !value.is_null()) {
                None => drop(self.settings.insert(key.to_owned(), value)),
                Some(other) if *other == value => {}
                Some(other) => {
                    let expected = format!("{}, as `{key}`, or no such key", super::shown(other));
                    return Err(self.setting(name, Some(&value), expected));
                }
            }
        }
        Ok(())
    }
}

/// The keys of a file that neither `keys` nor `names` nor the tables above have.
pub(crate) fn unknown(settings: &Map<String, Value>, keys: &Keys, names: &[(&str, &str)]) -> Vec<String> {
    let is_known = |key: &str| {
        keys.0.iter().any(|(_, known)| *known == key)
            || names.iter().any(|(name, _)| *name == key)
            || ONLY.iter().any(|only| only.key == key)
            || SILENT.contains(&key)
            || is_generation_key(key)
    };
    settings.keys().filter(|key| !is_known(key)).cloned().collect()
}

/// `true` for null, and for lists and maps that hold nothing else.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().all(is_empty),
        Value::Object(values) => values.values().all(is_empty),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BertConfig, GptConfig, ModelError, Seq2SeqConfig};
    use serde_json::json;
    use std::path::Path;

    fn with_config(config: &Value, load: impl Fn(&Path) -> Result<Value, ModelError>) -> Result<Value, ModelError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        load(folder.path())
    }

    /// The settings in a file of this type with one more key.
    fn load(model_type: &str, key: &str, value: &Value) -> Result<Value, ModelError> {
        let config = json!({"model_type": model_type, key: value});
        with_config(&config, |folder| match model_type {
            "gpt2" => GptConfig::load(folder).map(|config| json!(config)),
            "marian" | "pegasus" => Seq2SeqConfig::load(folder).map(|config| json!(config)),
            _ => BertConfig::load(folder).map(|config| json!(config)),
        })
    }

    #[test]
    fn a_setting_of_another_model_is_refused_by_name() {
        for (model_type, key, value, expected) in [
            ("bert", "is_decoder", json!(true), "`false`"),
            ("roberta", "add_cross_attention", json!(true), "`false`"),
            ("bert", "position_embedding_type", json!("relative_key"), "`absolute`"),
            ("distilbert", "pruned_heads", json!({"1": [0, 2]}), "no value, as such models are not supported"),
            (
                "distilbert",
                "quantization_config",
                json!({"quant_method": "gptq"}),
                "no value, as such models are not supported",
            ),
            ("bert", "auto_map", json!({"AutoModel": "modeling.Model"}), "no value, as such models are not supported"),
            ("bert", "is_encoder_decoder", json!(true), "`false`"),
            ("gpt2", "scale_attn_by_inverse_layer_idx", json!(true), "`false`"),
            ("gpt2", "scale_attn_weights", json!(false), "`true`"),
            ("gpt2", "adapters", json!({"adapters": {"a": "b"}}), "no value, as such models are not supported"),
            ("marian", "is_encoder_decoder", json!(false), "`true`"),
            ("pegasus", "is_decoder", json!(true), "`false`"),
            ("marian", "cross_attention_hidden_size", json!(3), "no value, as such models are not supported"),
        ] {
            let error = load(model_type, key, &value).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{key}` in `")), "{error}");
            assert!(error.ends_with(&format!(", expected {expected}")), "{error}");
        }
        for (model_type, key, value) in [
            ("bert", "pruned_heads", json!({})),
            ("bert", "adapters", json!({"adapters": {}, "config_map": {}})),
            ("bert", "position_embedding_type", json!("absolute")),
            ("gpt2", "is_decoder", json!(true)),
            ("gpt2", "quantization_config", Value::Null),
            ("marian", "is_encoder_decoder", json!(true)),
        ] {
            assert!(load(model_type, key, &value).is_ok(), "{model_type}, {key}");
        }
    }

    #[test]
    fn other_names_of_settings_are_followed() {
        for (model_type, name, field) in [
            ("distilbert", "num_attention_heads", "n_heads"),
            ("distilbert", "num_hidden_layers", "n_layers"),
            ("gpt2", "num_attention_heads", "n_heads"),
            ("gpt2", "max_position_embeddings", "max_seq_length"),
            ("marian", "num_attention_heads", "n_heads"),
            ("pegasus", "num_hidden_layers", "n_encoder_layers"),
        ] {
            let mut config = json!({"model_type": model_type, name: 2});
            if name == "num_attention_heads" && model_type != "distilbert" && model_type != "gpt2" {
                config["decoder_attention_heads"] = json!(2);
            }
            let load = |folder: &Path| match model_type {
                "gpt2" => GptConfig::load(folder).map(|config| json!(config)),
                "distilbert" => BertConfig::load(folder).map(|config| json!(config)),
                _ => Seq2SeqConfig::load(folder).map(|config| json!(config)),
            };
            assert_eq!(with_config(&config, load).unwrap()[field], 2, "{model_type}, {name}");
        }
        let config = json!({"model_type": "distilbert", "dim": 32, "n_heads": 4, "num_attention_heads": 2});
        let error =
            with_config(&config, |folder| BertConfig::load(folder).map(|it| json!(it))).unwrap_err().to_string();
        assert!(error.ends_with("is `2`, expected 4, as `n_heads`, or no such key"), "{error}");
    }

    /// Every key that transformers writes is known: `fixtures/defaults.json`, and the fixtures' own files.
    #[test]
    fn the_keys_of_transformers_are_known_and_others_are_listed() {
        let defaults: Value = serde_json::from_str(include_str!("../../tests/fixtures/defaults.json")).unwrap();
        for (model_type, settings) in defaults.as_object().unwrap() {
            let mut config = settings.as_object().unwrap().clone();
            config.insert("model_type".to_owned(), json!(model_type));
            config.insert("my_key".to_owned(), json!(1));
            let found = with_config(&Value::from(config), |folder| {
                crate::registry::unknown_keys(folder).map(|unknown| json!(unknown))
            });
            assert_eq!(found.unwrap(), json!(["my_key"]), "{model_type}");
        }
    }

    /// As files on the hub have them, which older versions of transformers wrote.
    #[test]
    fn the_keys_of_older_files_are_known() {
        for config in [
            json!({"model_type": "marian", "_name_or_path": "x", "_num_labels": 3, "add_bias_logits": false,
                "add_final_layer_norm": false, "bad_words_ids": [[9]], "classif_dropout": 0.0, "max_length": 512,
                "normalize_before": false, "normalize_embedding": false, "num_beams": 6, "num_hidden_layers": 6,
                "encoder_layers": 6, "static_position_embeddings": true, "extra_pos_embeddings": 2, "use_cache": true}),
            json!({"model_type": "gpt2", "n_ctx": 1024, "summary_type": "cls_index", "torch_dtype": "float32",
                "task_specific_params": {"text-generation": {"do_sample": true}}, "gradient_checkpointing": false}),
            json!({"model_type": "bert", "directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12,
                "pooler_num_fc_layers": 3, "pooler_size_per_head": 128, "pooler_type": "first_token_transform",
                "output_past": true, "position_embedding_type": "absolute", "finetuning_task": null}),
            json!({"model_type": "distilbert", "sinusoidal_pos_embds": false, "tie_weights_": true, "qa_dropout": 0.1,
                "max_position_embeddings": 512, "seq_classif_dropout": 0.2, "pruned_heads": {}}),
        ] {
            let load = |folder: &Path| crate::registry::unknown_keys(folder).map(|unknown| json!(unknown));
            assert_eq!(with_config(&config, load).unwrap(), json!([]), "{config}");
            let load = |folder: &Path| match config["model_type"].as_str() {
                Some("marian") => Seq2SeqConfig::load(folder).map(|_| Value::Null),
                Some("gpt2") => GptConfig::load(folder).map(|_| Value::Null),
                _ => BertConfig::load(folder).map(|_| Value::Null),
            };
            with_config(&config, load).unwrap();
        }
    }
}
