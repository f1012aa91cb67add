//! `config.json` of a BERT model, as transformers writes it.

use super::{BertConfig, BertVariant};
use crate::class::listed;
use crate::hf::{ConfigJson, Family};
use crate::{Architecture, ModelClass, ModelError};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Settings of other models.
const FIXED: [&str; 2] = ["is_decoder", "add_cross_attention"];
/// Key of the kind of positions.
const POSITIONS: &str = "position_embedding_type";
/// The only supported kind of positions.
const ABSOLUTE: &str = "absolute";

impl BertVariant {
    /// The variant in a `config.json`.
    fn of(json: &ConfigJson) -> Result<Self, ModelError> {
        let known = Self::ARCHITECTURES;
        let found = Architecture::among(&known, json, &listed(&known))?;
        Ok(Self::ALL.into_iter().find(|variant| variant.architecture() == found).unwrap_or_default())
    }

    /// Defaults of transformers for absent keys.
    fn default_config(self) -> BertConfig {
        let base = BertConfig::preset("bert-base", 30_522, 0).expect("a published size");
        match self {
            Self::Bert => base,
            Self::Roberta => BertConfig { variant: self, vocab_size: 50_265, pad_id: 1, max_seq_length: 510, ..base },
            Self::XlmRoberta | Self::Camembert => BertConfig { variant: self, pad_id: 1, max_seq_length: 510, ..base },
            Self::DistilBert => BertConfig { variant: self, n_layers: 6, n_segments: 0, ..base },
        }
    }
}

impl BertConfig {
    /// The settings in the `config.json` of the folder of a BERT or one of its variants.
    ///
    /// # Errors
    /// If the folder holds no such model, or one with settings that are not supported.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        Self::read(&ConfigJson::read(folder)?)
    }

    /// The settings of the body; refuses settings that are not supported.
    pub(crate) fn read(json: &ConfigJson) -> Result<Self, ModelError> {
        let variant = BertVariant::of(json)?;
        let mut json = json.clone();
        json.check_known(Family::Encoder)?;
        json.follow(variant.details().other_keys)?;
        let json = &json;
        let keys = &variant.details().keys;
        let default = variant.default_config();
        // In files the longest sequence is the number of rows of the table of positions.
        let n_positions = default.max_seq_length + default.first_position();
        let mut config = keys.read(json, &Self { max_seq_length: n_positions, ..default })?;
        // Some of which may not be positions of tokens.
        let (found, first) = (config.max_seq_length, config.first_position());
        if found <= first {
            let key = keys.key("max_seq_length").unwrap_or("max_seq_length");
            return Err(json.setting(key, Some(&json!(found)), format!("at least {}", first + 1)));
        }
        config.max_seq_length = found - first;
        keys.check(json, &config)?;
        Ok(config)
    }

    /// The content of the `config.json` of a model of this class.
    pub(crate) fn to_json(&self, class: ModelClass) -> Map<String, Value> {
        let details = self.variant.details();
        let n_positions = self.max_seq_length + self.first_position();
        let mut json = details.keys.written(&Self { max_seq_length: n_positions, ..self.clone() });
        json.insert("architectures".to_owned(), json!([class.to_string()]));
        json.insert("model_type".to_owned(), json!(self.variant.model_type()));
        if details.has_segments {
            FIXED.into_iter().for_each(|key| drop(json.insert(key.to_owned(), json!(false))));
            json.insert(POSITIONS.to_owned(), json!(ABSOLUTE));
        }
        json
    }
}
