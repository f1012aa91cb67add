//! Hugging Face's `config.json`: one reader and one writer, driven by each architecture's tables of keys and of weight
//! names.

mod activation;
mod config_json;
mod known_keys;
mod names;
mod settings;

pub(crate) use config_json::{ConfigJson, pretty, shown};
pub(crate) use known_keys::{Family, unknown};
pub(crate) use names::WeightNames;
pub(crate) use settings::Keys;
