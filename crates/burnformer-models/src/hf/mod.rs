//! Hugging Face's `config.json`: one reader and one writer; what an architecture adds are tables of keys and of the names of
//! weights.

mod activation;
mod config_json;
mod names;
mod settings;

pub(crate) use config_json::{ConfigJson, pretty};
pub(crate) use names::WeightNames;
pub(crate) use settings::Keys;
