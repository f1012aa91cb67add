//! `config_sentence_transformers.json`: settings of the model as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use burnformer_models::OutputActivation;
use serde::Deserialize;
use serde_json::{Value, json};

use super::file::{read_if_there, unsupported, write_json};
use super::prompts::Prompts;
use crate::{Similarity, TaskError};

pub(super) const FILE: &str = "config_sentence_transformers.json";

/// Keys that are read, or change no result.
pub(super) const KEYS: [&str; 9] = [
    "__version__",
    "activation_fn",
    "default_prompt_name",
    "keep_in_fp32_modules",
    "model_type",
    "prompts",
    "requirements",
    "similarity_fn_name",
    "truncate_dim",
];

/// Settings of a model as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) prompts: Prompts,
    pub(crate) similarity: Similarity,
    /// Number of dimensions that are kept of an embedding; `None` keeps all.
    pub(crate) dimensions: Option<usize>,
    /// Function of a cross-encoder's outputs.
    pub(super) activation: Option<OutputActivation>,
    pub(super) kind: Kind,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Embedding,
    CrossEncoder,
}

#[derive(Deserialize, Default)]
struct SettingsFile {
    model_type: Option<String>,
    prompts: Option<BTreeMap<String, Option<String>>>,
    default_prompt_name: Option<String>,
    similarity_fn_name: Option<String>,
    truncate_dim: Option<usize>,
    activation_fn: Option<OutputActivation>,
}

impl Settings {
    /// Settings of the model in `folder`; the defaults if there is no such file.
    pub(super) fn read(folder: &Path) -> Result<Self, TaskError> {
        let path = folder.join(FILE);
        let file: SettingsFile = read_if_there(&path)?.unwrap_or_default();
        let kind = match file.model_type.as_deref() {
            None | Some("SentenceTransformer") => Kind::Embedding,
            Some("CrossEncoder") => Kind::CrossEncoder,
            Some(other) => {
                let found = format!("a model of type `{other}`");
                return Err(unsupported(&path, found, "`SentenceTransformer` or `CrossEncoder`"));
            }
        };
        let texts = file.prompts.unwrap_or_default().into_iter().map(|(name, text)| (name, text.unwrap_or_default()));
        let prompts = Prompts { texts: texts.collect(), default: file.default_prompt_name };
        if let Some(name) = prompts.default.as_deref().filter(|name| prompts.find(name).is_none()) {
            let expected = prompts.names().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let found = format!("the prompt `{name}` in `default_prompt_name`");
            return Err(unsupported(&path, found, format!("one of its prompts: {expected}")));
        }
        let similarity = match file.similarity_fn_name {
            None => Similarity::default(),
            Some(name) => Similarity::named(&name).ok_or_else(|| {
                let known = Similarity::ALL.map(|it| format!("`{}`", it.name())).join(", ");
                unsupported(&path, format!("the similarity `{name}`"), format!("one of {known}"))
            })?,
        };
        if file.truncate_dim == Some(0) {
            return Err(unsupported(&path, "embeddings of `0` dimensions", "at least one in `truncate_dim`"));
        }
        Ok(Self { prompts, similarity, dimensions: file.truncate_dim, activation: file.activation_fn, kind })
    }

    /// [`Self::read`] of a model that embeds texts.
    pub(super) fn of_embedding(folder: &Path) -> Result<Self, TaskError> {
        let settings = Self::read(folder)?;
        match settings.kind {
            Kind::Embedding => Ok(settings),
            Kind::CrossEncoder => Err(TaskError::CrossEncoder { folder: folder.to_owned() }),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), TaskError> {
        let mut json = json!({
            "model_type": match self.kind {
                Kind::Embedding => "SentenceTransformer",
                Kind::CrossEncoder => "CrossEncoder",
            },
            "prompts": self.prompts.texts,
            "default_prompt_name": self.prompts.default,
        });
        match self.kind {
            Kind::Embedding => json["similarity_fn_name"] = self.similarity.name().into(),
            Kind::CrossEncoder => json["activation_fn"] = json!(self.activation),
        }
        if let Some(dimensions) = self.dimensions {
            json["truncate_dim"] = Value::from(dimensions);
        }
        Ok(write_json(&folder.join(FILE), &json)?)
    }
}
