//! `config.json` of a GPT-2, as transformers writes it.

use super::{GptConfig, GptTokens};
use crate::class::listed;
use crate::hf::{ConfigJson, Family, Keys, pretty};
use crate::{Architecture, Head, ModelClass, ModelError};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Our settings and their keys.
pub(crate) const KEYS: Keys = Keys(&[
    ("vocab_size", "vocab_size"),
    ("max_seq_length", "n_positions"),
    ("d_model", "n_embd"),
    ("n_layers", "n_layer"),
    ("n_heads", "n_head"),
    ("d_ff", D_FF),
    ("activation", "activation_function"),
    ("dropout", "resid_pdrop"),
    ("embedding_dropout", "embd_pdrop"),
    ("attention_dropout", "attn_pdrop"),
    ("norm_eps", "layer_norm_epsilon"),
    ("init_std", "initializer_range"),
    ("tied_embeddings", "tie_word_embeddings"),
    ("bos_id", BOS),
    ("eos_id", EOS),
    ("pad_id", PAD),
]);

/// Width of the feed-forward layers; null is four times that of the residual stream.
const D_FF: &str = "n_inner";
const BOS: &str = "bos_token_id";
const EOS: &str = "eos_token_id";
const PAD: &str = "pad_token_id";

/// Other names of keys, and the keys.
pub(crate) const OTHER_KEYS: [(&str, &str); 4] = [
    ("hidden_size", "n_embd"),
    ("max_position_embeddings", "n_positions"),
    ("num_attention_heads", "n_head"),
    ("num_hidden_layers", "n_layer"),
];

/// Settings that other models have, and their values here.
const FIXED: [(&str, bool); 4] = [
    ("add_cross_attention", false),
    ("reorder_and_upcast_attn", false),
    ("scale_attn_by_inverse_layer_idx", false),
    ("scale_attn_weights", true),
];

impl GptConfig {
    /// The settings in the `config.json` of a GPT-2's folder.
    ///
    /// # Errors
    /// If the folder holds no such model, or one with settings that are not supported.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        Self::read(&ConfigJson::read(folder)?)
    }

    /// The settings in a `config.json`.
    pub(crate) fn read(json: &ConfigJson) -> Result<Self, ModelError> {
        let known = [Architecture::Gpt2];
        Architecture::among(&known, json, &listed(&known))?;
        let mut json = json.clone();
        json.check_known(Family::Decoder)?;
        json.follow(&OTHER_KEYS)?;
        // Of several end tokens, training takes the first; generation takes all of them.
        json.take_first(EOS);
        let json = &json;
        // What transformers supposes where a file says nothing.
        let tokens = GptTokens { bos_id: Some(50_256), eos_id: Some(50_256), pad_id: None };
        let default = Self::preset("gpt2", 50_257, tokens).expect("a published size");
        let mut config = KEYS.read(json, &default)?;
        if json.get::<usize>(D_FF)?.is_none() {
            config.d_ff = config.d_model.saturating_mul(4);
        }
        // A token that is null is none.
        for (key, id) in [(BOS, &mut config.tokens.bos_id), (EOS, &mut config.tokens.eos_id)] {
            if json.settings.get(key).is_some_and(Value::is_null) {
                *id = None;
            }
        }
        KEYS.check(json, &config)?;
        Ok(config)
    }

    /// The content of the `config.json` of a language model with these settings.
    pub(super) fn to_json(&self) -> String {
        let mut json = KEYS.written(self);
        if self.d_ff == 4 * self.d_model {
            json.insert(D_FF.to_owned(), Value::Null);
        }
        let class = ModelClass::of_model(Architecture::Gpt2, Head::CausalLm);
        json.insert("architectures".to_owned(), json!([class.to_string()]));
        json.insert("model_type".to_owned(), json!(Architecture::Gpt2.model_type()));
        json.extend(FIXED.into_iter().map(|(key, value)| (key.to_owned(), json!(value))));
        pretty(&json)
    }

    /// The content of `generation_config.json` beside a model that has no settings of generation of its own.
    pub(crate) fn generation_settings(&self) -> Map<String, Value> {
        let GptTokens { bos_id, eos_id, pad_id } = self.tokens;
        let keys = [(BOS, bos_id), (EOS, eos_id), (PAD, pad_id)];
        keys.into_iter().filter_map(|(key, id)| Some((key.to_owned(), json!(id?)))).collect()
    }
}
