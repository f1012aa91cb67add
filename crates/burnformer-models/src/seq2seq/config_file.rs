//! `config.json` of an encoder–decoder: of a Marian or a Pegasus where those have its settings, else of this project's
//! own.

use super::config::NORM_EPS;
use super::{PositionKind, Seq2SeqConfig};
use crate::hf::{ConfigJson, Family, Keys, pretty};
use crate::{Architecture, GenerationFile, Head, ModelClass, ModelConfig, ModelError};
use burnformer_nn::{Activation, NormOrder};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The architectures whose classes an encoder–decoder is saved as.
pub(super) const ARCHITECTURES: [Architecture; 3] =
    [Architecture::Marian, Architecture::Pegasus, Architecture::Burnformer];

/// Our settings and their keys.
pub(crate) const KEYS: Keys = Keys(&[
    ("source_vocab_size", "vocab_size"),
    ("target_vocab_size", TARGET_VOCAB_SIZE),
    ("shared_embeddings", "share_encoder_decoder_embeddings"),
    ("tied_embeddings", "tie_word_embeddings"),
    ("output_bias", "output_bias"),
    ("scaled_embeddings", "scale_embedding"),
    ("positions", "positions"),
    ("max_seq_length", "max_position_embeddings"),
    ("d_model", "d_model"),
    ("n_encoder_layers", "encoder_layers"),
    ("n_decoder_layers", "decoder_layers"),
    ("n_heads", N_HEADS),
    ("d_ff", D_FF),
    ("activation", "activation_function"),
    ("norm_order", "norm_order"),
    ("norm_eps", "layer_norm_eps"),
    ("dropout", "dropout"),
    ("attention_dropout", "attention_dropout"),
    ("activation_dropout", "activation_dropout"),
    ("init_std", "init_std"),
    ("pad_id", "pad_token_id"),
    ("eos_id", "eos_token_id"),
    ("decoder_start_id", START),
]);

/// Other names of keys, and the keys.
pub(crate) const OTHER_KEYS: [(&str, &str); 3] =
    [("hidden_size", "d_model"), ("num_attention_heads", N_HEADS), ("num_hidden_layers", "encoder_layers")];

const TARGET_VOCAB_SIZE: &str = "decoder_vocab_size";
const START: &str = "decoder_start_token_id";
const N_HEADS: &str = "encoder_attention_heads";
const D_FF: &str = "encoder_ffn_dim";

/// Keys of settings that no class of Hugging Face's library has.
const OWN_KEYS: [&str; 4] = ["layer_norm_eps", "output_bias", "positions", "norm_order"];

impl Seq2SeqConfig {
    /// The settings in the `config.json` of an encoder–decoder's folder.
    ///
    /// # Errors
    /// If the folder holds no such model, or one with settings that are not supported.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        Self::read(&ConfigJson::read(folder)?, folder)
    }

    /// The settings in the `config.json` of `folder`.
    pub(crate) fn read(json: &ConfigJson, folder: &Path) -> Result<Self, ModelError> {
        let mut json = json.clone();
        json.check_known(Family::Seq2Seq)?;
        json.follow(&OTHER_KEYS)?;
        // Of several end tokens, training takes the first; generation takes all of them.
        json.take_first("eos_token_id");
        let json = &json;
        let expected = "`marian`, `pegasus` or `burnformer`";
        let architecture = Architecture::among(&ARCHITECTURES, json, expected)?;
        if architecture == Architecture::Burnformer {
            json.required::<Value>("positions")?;
            json.required::<Value>("norm_order")?;
        }
        let default = default_config(architecture);
        let mut config = KEYS.read(json, &default)?;
        if architecture != Architecture::Burnformer {
            (config.positions, config.norm_order) = (default.positions, default.norm_order);
        }
        // A Pegasus has one vocabulary.
        let is_pegasus = architecture == Architecture::Pegasus;
        config.shared_embeddings |= is_pegasus;
        if is_pegasus || json.get::<Value>(TARGET_VOCAB_SIZE)?.is_none() {
            config.target_vocab_size = config.source_vocab_size;
        }
        if json.get::<Value>(START)?.is_none() {
            // The first release kept it here alone, later ones in the settings of generation too.
            let start = GenerationFile::read(folder, json, &Map::new())?.start()?;
            config.decoder_start_id = start.unwrap_or(config.decoder_start_id);
        }
        KEYS.check(json, &config)?;
        check_decoder(json, &config)?;
        Ok(config)
    }

    /// The content of the `config.json` of a model with these settings.
    pub(super) fn to_json(&self) -> String {
        let architecture = self.architecture();
        let mut json = KEYS.written(self);
        if architecture != Architecture::Burnformer {
            json.retain(|key, _| !OWN_KEYS.contains(&key.as_str()));
        }
        let class = ModelClass::of_model(architecture, Head::Seq2Seq);
        for (key, value) in [
            ("architectures", json!([class.to_string()])),
            ("model_type", json!(architecture.model_type())),
            ("is_encoder_decoder", json!(true)),
            ("decoder_attention_heads", json!(self.n_heads)),
            ("decoder_ffn_dim", json!(self.d_ff)),
            ("forced_eos_token_id", json!(self.eos_id)),
        ] {
            json.insert(key.to_owned(), value);
        }
        pretty(&json)
    }

    /// The content of `generation_config.json` beside a model that has no settings of generation of its own.
    pub(crate) fn generation_settings(&self) -> Map<String, Value> {
        [
            ("bad_words_ids", json!([[self.pad_id]])),
            ("decoder_start_token_id", json!(self.decoder_start_id)),
            ("eos_token_id", json!(self.eos_id)),
            ("forced_eos_token_id", json!(self.eos_id)),
            ("max_length", json!(self.max_seq_length)),
            ("pad_token_id", json!(self.pad_id)),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }
}

/// Defaults of transformers for absent keys.
fn default_config(architecture: Architecture) -> Seq2SeqConfig {
    let marian = Seq2SeqConfig {
        source_vocab_size: 58_101,
        target_vocab_size: 58_101,
        shared_embeddings: true,
        tied_embeddings: true,
        output_bias: false,
        scaled_embeddings: false,
        positions: PositionKind::Sinusoidal,
        max_seq_length: 1024,
        d_model: 1024,
        n_encoder_layers: 12,
        n_decoder_layers: 12,
        n_heads: 16,
        d_ff: 4096,
        activation: Activation::Gelu,
        norm_order: NormOrder::Post,
        norm_eps: NORM_EPS,
        dropout: 0.1,
        attention_dropout: 0.0,
        activation_dropout: 0.0,
        init_std: 0.02,
        pad_id: 58_100,
        eos_id: 0,
        decoder_start_id: 58_100,
    };
    match architecture {
        Architecture::Pegasus => Seq2SeqConfig {
            source_vocab_size: 50_265,
            target_vocab_size: 50_265,
            norm_order: NormOrder::Pre,
            pad_id: 0,
            eos_id: 1,
            decoder_start_id: 0,
            ..marian
        },
        _ => marian,
    }
}

/// Refuses different settings for encoder and decoder layers.
fn check_decoder(json: &ConfigJson, config: &Seq2SeqConfig) -> Result<(), ModelError> {
    let pairs = [("decoder_attention_heads", config.n_heads, N_HEADS), ("decoder_ffn_dim", config.d_ff, D_FF)];
    for (key, expected, of_encoder) in pairs {
        if let Some(found) = json.get::<usize>(key)?.filter(|found| *found != expected) {
            return Err(json.setting(key, Some(&json!(found)), format!("{expected}, as `{of_encoder}`")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_leaves_out_is_as_in_transformers() {
        let expected: Value = serde_json::from_str(include_str!("../../tests/fixtures/defaults.json")).unwrap();
        for model_type in ["marian", "pegasus"] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("config.json"), json!({ "model_type": model_type }).to_string()).unwrap();
            let found: Value = serde_json::from_str(&Seq2SeqConfig::load(folder.path()).unwrap().to_json()).unwrap();
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
