//! Which recipe a run is of, by the settings in its `run.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::settings::{self, SettingsError};
use burnformer_train::RunFolder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::FinetuneTask;
use crate::finetune::EmbeddingLossKind;

/// A setting that every run of a recipe has, and no run of another recipe, with the name of the recipe.
const MARKS: [(&str, &str); 4] = [
    ("from_scratch", "finetune"),
    ("xavier_embeddings", "train-seq2seq"),
    ("objective", "pretrain"),
    ("frequency_bias", "pretrain"),
];

/// Settings of any recipe.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Settings(BTreeMap<String, Value>);

impl Validate for Settings {
    fn validate(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// The settings in the text of a `run.toml`, of whatever recipe.
pub(crate) fn settings_of(toml: &str) -> Result<BTreeMap<String, Value>, SettingsError> {
    Ok(settings::reload_text::<Settings>("run.toml", toml, &[])?.0)
}

/// The settings of the run in `folder`, of whatever recipe, as tables and values.
pub(crate) fn any_settings(folder: &Path) -> Result<BTreeMap<String, Value>, SettingsError> {
    Ok(settings::reload::<Settings>(&RunFolder::settings_file(folder), &[])?.0)
}

/// Name of the recipe with these settings, which is the command of the program; `None` if they are of no recipe.
pub(crate) fn recipe_of(settings: &BTreeMap<String, Value>) -> Option<&'static str> {
    MARKS.iter().find(|(key, _)| settings.contains_key(*key)).map(|(_, name)| *name)
}

/// Name of the validation metric that chooses the best model of a run with these settings; `None` if they are of no recipe.
pub(crate) fn chosen_by(settings: &BTreeMap<String, Value>) -> Option<&'static str> {
    let is = |key: &str, value: &str| settings.get(key).and_then(Value::as_str) == Some(value);
    let task = |name: &Value| FinetuneTask::deserialize(name).ok();
    Some(match recipe_of(settings)? {
        "finetune" if is("task", FinetuneTask::SentenceEmbedding.name()) => embedding_loss(settings).quality(),
        "finetune" => settings.get("task").map_or(Some(FinetuneTask::default()), task)?.quality(),
        "train-seq2seq" if is("choose_by", "bleu") => "bleu",
        "train-seq2seq" => "perplexity",
        _ => "loss",
    })
}

/// The loss of a run of sentence embeddings with these settings.
fn embedding_loss(settings: &BTreeMap<String, Value>) -> EmbeddingLossKind {
    let loss = settings.get("sentence_embedding").and_then(|table| table.get("loss"));
    let label = settings.get("data").and_then(|data| data.get("format")?.get("columns")?.get("label"));
    let have_scores = label.is_some_and(|label| !label.is_null());
    loss.and_then(|loss| EmbeddingLossKind::deserialize(loss).ok())
        .unwrap_or(EmbeddingLossKind::default_for(have_scores))
}
