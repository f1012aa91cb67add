//! `config.json` of an encoder–decoder: of a Marian or a Pegasus where those have its settings, else of this project's own.

use super::{PositionKind, Seq2SeqConfig};
use crate::ModelError;
use crate::bert::{activation, activation_name};
use crate::folder::{ConfigJson, pretty};
use burnformer_core::{ConfigError, Validate};
use burnformer_nn::{Activation, NormOrder};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The class of a model in Hugging Face's library.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Post-norm.
    Marian,
    /// Pre-norm.
    Pegasus,
}

/// The model type of Hugging Face's Marian.
pub(crate) const MARIAN: &str = "marian";
/// The model type of Hugging Face's Pegasus.
pub(crate) const PEGASUS: &str = "pegasus";
/// The model type of what Hugging Face has no class for.
pub(crate) const OWN: &str = "burnformer";
/// The class of what Hugging Face has no class for.
pub(crate) const OWN_CLASS: &str = "BurnformerSeq2Seq";
/// Epsilon of PyTorch's norms, which both classes leave as it is.
const NORM_EPS: f64 = 1e-5;

/// Our settings and their keys.
const KEYS: [(&str, &str); 20] = [
    ("source_vocab_size", "vocab_size"),
    ("target_vocab_size", "decoder_vocab_size"),
    ("shared_embeddings", "share_encoder_decoder_embeddings"),
    ("tied_embeddings", "tie_word_embeddings"),
    ("scaled_embeddings", "scale_embedding"),
    ("max_seq_length", "max_position_embeddings"),
    ("d_model", "d_model"),
    ("n_encoder_layers", "encoder_layers"),
    ("n_decoder_layers", "decoder_layers"),
    ("n_heads", "encoder_attention_heads"),
    ("d_ff", "encoder_ffn_dim"),
    ("activation", "activation_function"),
    ("norm_eps", "layer_norm_eps"),
    ("dropout", "dropout"),
    ("attention_dropout", "attention_dropout"),
    ("activation_dropout", "activation_dropout"),
    ("init_std", "init_std"),
    ("pad_id", "pad_token_id"),
    ("eos_id", "eos_token_id"),
    ("decoder_start_id", "decoder_start_token_id"),
];

fn key(field: &str) -> &'static str {
    KEYS.iter().find(|(ours, _)| *ours == field).map(|(_, theirs)| *theirs).expect("every setting has a key")
}

pub(super) fn is_sinusoidal(config: &Seq2SeqConfig) -> bool {
    config.positions == PositionKind::Sinusoidal
}

impl Seq2SeqConfig {
    /// The settings in the `config.json` of an encoder–decoder's folder.
    ///
    /// # Errors
    /// If the folder holds no such model, or one with settings that are not supported.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        read(folder)
    }

    /// The class of Hugging Face's library that is this model, or the setting that no class has, and what it had to be.
    ///
    /// # Errors
    /// [`ConfigError`] of that setting.
    pub fn hugging_face_class(&self) -> Result<&'static str, ConfigError> {
        class(self)
            .map(|class| if class == Class::Marian { "MarianMTModel" } else { "PegasusForConditionalGeneration" })
    }
}

fn class(config: &Seq2SeqConfig) -> Result<Class, ConfigError> {
    let positions = if is_sinusoidal(config) { "sinusoidal" } else { "learned" };
    ConfigError::check("positions", &positions, is_sinusoidal(config), "`sinusoidal`")?;
    ConfigError::check("norm_eps", &config.norm_eps, config.norm_eps == NORM_EPS, "1e-5")?;
    let [shared, tied] = [config.shared_embeddings, config.tied_embeddings];
    ConfigError::check("output_bias", &config.output_bias, !config.output_bias, "`false`")?;
    // Hugging Face's setting unties both sides from one another too.
    ConfigError::check("tied_embeddings", &tied, tied || !shared, "`true`, as the embeddings are shared")?;
    if config.norm_order == NormOrder::Post {
        return Ok(Class::Marian);
    }
    ConfigError::check("shared_embeddings", &shared, shared, "`true` in a model with pre-norm layers")?;
    Ok(Class::Pegasus)
}

pub(super) fn read(folder: &Path) -> Result<Seq2SeqConfig, ModelError> {
    let json = ConfigJson::read(folder)?;
    json.check_type()?;
    let model_type = json.model_type()?.or(json.type_of_class()?.map(str::to_owned));
    let (positions, norm_order, is_pegasus) = match model_type.as_deref() {
        Some(MARIAN) => (PositionKind::Sinusoidal, NormOrder::Post, false),
        Some(PEGASUS) => (PositionKind::Sinusoidal, NormOrder::Pre, true),
        Some(OWN) => (required(&json, "positions")?, required(&json, "norm_order")?, false),
        found => {
            let found = found.map(Value::from);
            return Err(json.setting("model_type", found.as_ref(), format!("`{MARIAN}`, `{PEGASUS}` or `{OWN}`")));
        }
    };
    let number =
        |field: &str, default: usize| -> Result<usize, ModelError> { Ok(json.get(key(field))?.unwrap_or(default)) };
    let flag =
        |field: &str, default: bool| -> Result<bool, ModelError> { Ok(json.get(key(field))?.unwrap_or(default)) };
    let real = |field: &str, default: f64| -> Result<f64, ModelError> { Ok(json.get(key(field))?.unwrap_or(default)) };
    let id = |field: &str, default: u32| -> Result<u32, ModelError> { Ok(json.get(key(field))?.unwrap_or(default)) };
    let source_vocab_size = number("source_vocab_size", if is_pegasus { 50_265 } else { 58_101 })?;
    let (pad_id, eos_id, start_id) = if is_pegasus { (0, 1, 0) } else { (58_100, 0, 58_100) };
    let config = Seq2SeqConfig {
        source_vocab_size,
        target_vocab_size: if is_pegasus { source_vocab_size } else { number("target_vocab_size", source_vocab_size)? },
        shared_embeddings: is_pegasus || flag("shared_embeddings", true)?,
        tied_embeddings: flag("tied_embeddings", true)?,
        output_bias: json.get("output_bias")?.unwrap_or(false),
        scaled_embeddings: flag("scaled_embeddings", false)?,
        positions,
        max_seq_length: number("max_seq_length", 1024)?,
        d_model: number("d_model", 1024)?,
        n_encoder_layers: number("n_encoder_layers", 12)?,
        n_decoder_layers: number("n_decoder_layers", 12)?,
        n_heads: number("n_heads", 16)?,
        d_ff: number("d_ff", 4096)?,
        activation: activation(&json, key("activation"))?.unwrap_or(Activation::Gelu),
        norm_order,
        norm_eps: real("norm_eps", NORM_EPS)?,
        dropout: real("dropout", 0.1)?,
        attention_dropout: real("attention_dropout", 0.0)?,
        activation_dropout: real("activation_dropout", 0.0)?,
        init_std: real("init_std", 0.02)?,
        pad_id: id("pad_id", pad_id)?,
        eos_id: id("eos_id", eos_id)?,
        decoder_start_id: id("decoder_start_id", start_id)?,
    };
    config.validate().map_err(|error| match &error {
        ConfigError::OutOfRange { value, range, .. } => {
            json.setting(key(error.field()), Some(&json!(value)), (*range).to_owned())
        }
        ConfigError::HeadsDoNotDivide { d_model, n_heads, .. } => {
            json.setting(key("n_heads"), Some(&json!(n_heads)), format!("a divisor of `d_model` ({d_model})"))
        }
        _ => error.into(),
    })?;
    check_decoder(&json, &config)?;
    Ok(config)
}

/// Both stacks have layers of one kind here.
fn check_decoder(json: &ConfigJson, config: &Seq2SeqConfig) -> Result<(), ModelError> {
    let pairs =
        [("decoder_attention_heads", config.n_heads, key("n_heads")), ("decoder_ffn_dim", config.d_ff, key("d_ff"))];
    for (key, expected, of_encoder) in pairs {
        if let Some(found) = json.get::<usize>(key)?.filter(|found| *found != expected) {
            return Err(json.setting(key, Some(&json!(found)), format!("{expected}, as `{of_encoder}`")));
        }
    }
    Ok(())
}

fn required<T: serde::de::DeserializeOwned>(json: &ConfigJson, key: &'static str) -> Result<T, ModelError> {
    json.get(key)?.ok_or_else(|| json.setting(key, None, "a setting of every model of this type".to_owned()))
}

pub(super) fn to_json(config: &Seq2SeqConfig) -> String {
    let mut json = Map::new();
    let class = class(config).ok();
    let (name, model_type) = match class {
        Some(Class::Marian) => ("MarianMTModel", MARIAN),
        Some(Class::Pegasus) => ("PegasusForConditionalGeneration", PEGASUS),
        None => (OWN_CLASS, OWN),
    };
    json.insert("architectures".to_owned(), json!([name]));
    json.insert("model_type".to_owned(), json!(model_type));
    json.insert("is_encoder_decoder".to_owned(), json!(true));
    // Our own names, but for the activation's: those of Hugging Face follow.
    let Ok(Value::Object(ours)) = serde_json::to_value(config) else { unreachable!("settings are an object") };
    for (field, value) in ours {
        match KEYS.iter().find(|(ours, _)| *ours == field) {
            Some((_, "layer_norm_eps")) if class.is_some() => {}
            Some((_, theirs)) => {
                json.insert((*theirs).to_owned(), value);
            }
            None if class.is_none() => {
                json.insert(field, value);
            }
            None => {}
        }
    }
    json.insert(key("activation").to_owned(), json!(activation_name(config.activation)));
    json.insert("decoder_attention_heads".to_owned(), json!(config.n_heads));
    json.insert("decoder_ffn_dim".to_owned(), json!(config.d_ff));
    json.insert("forced_eos_token_id".to_owned(), json!(config.eos_id));
    pretty(&json)
}

/// What a library that generates must know.
pub(super) fn generation_json(config: &Seq2SeqConfig) -> String {
    let json = json!({
        "bad_words_ids": [[config.pad_id]],
        "decoder_start_token_id": config.decoder_start_id,
        "eos_token_id": config.eos_id,
        "forced_eos_token_id": config.eos_id,
        "max_length": config.max_seq_length,
        "pad_token_id": config.pad_id,
    });
    pretty(&json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_leaves_out_is_as_in_transformers() {
        let expected: Value = serde_json::from_str(include_str!("../../tests/fixtures/defaults.json")).unwrap();
        for model_type in [MARIAN, PEGASUS] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("config.json"), json!({ "model_type": model_type }).to_string()).unwrap();
            let found: Value = serde_json::from_str(&to_json(&read(folder.path()).unwrap())).unwrap();
            let mut n_compared = 0;
            for (key, value) in found.as_object().unwrap() {
                if let Some(expected) = expected[model_type].get(key).filter(|_| key != "architectures") {
                    assert_eq!(expected, value, "{model_type}: {key}");
                    n_compared += 1;
                }
            }
            assert!(n_compared >= 22, "{model_type}: {n_compared}");
        }
    }
}
