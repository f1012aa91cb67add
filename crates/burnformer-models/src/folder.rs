//! A model folder: `config.json` and weights.

use crate::ModelError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The settings of a model.
pub(crate) const CONFIG: &str = "config.json";
/// The weights of a model, as they are written here.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// The weights of a model, as they are read, the best first.
pub(crate) const WEIGHTS_FILES: [&str; 4] =
    [WEIGHTS, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// What a model folder holds, by `architectures` in its `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelKind {
    /// [`BertForPreTraining`](crate::BertForPreTraining)
    BertForPreTraining,
    /// [`BertForSequenceClassification`](crate::BertForSequenceClassification)
    BertForSequenceClassification,
    /// [`Bert`](crate::Bert), the body alone
    BertModel,
}

impl ModelKind {
    /// Every kind there is.
    pub const ALL: [Self; 3] = [Self::BertForPreTraining, Self::BertForSequenceClassification, Self::BertModel];

    /// The name in `architectures`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BertForPreTraining => "BertForPreTraining",
            Self::BertForSequenceClassification => "BertForSequenceClassification",
            Self::BertModel => "BertModel",
        }
    }

    /// The kind of the model in `folder`.
    ///
    /// # Errors
    /// If `folder` is no model folder, or its model is of none of these kinds.
    pub fn of(folder: &Path) -> Result<Self, ModelError> {
        Self::among(&Self::ALL, folder)
    }

    /// Refuses a model of another kind.
    pub(crate) fn expect(self, folder: &Path) -> Result<(), ModelError> {
        Self::among(&[self], folder).map(|_| ())
    }

    fn among(kinds: &[Self], folder: &Path) -> Result<Self, ModelError> {
        let Kind { architectures, .. } = read_config(folder)?;
        let architecture = architectures.and_then(|all| all.into_iter().next());
        let kind = kinds.iter().find(|kind| architecture.as_deref() == Some(kind.name()));
        let expected = || kinds.iter().map(|kind| format!("`{}`", kind.name())).collect::<Vec<_>>().join(" or ");
        kind.copied().ok_or_else(|| setting(folder, "architectures", architecture.as_ref(), expected()))
    }
}

/// What every `config.json` says.
#[derive(Deserialize)]
struct Kind {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
}

/// Refuses a folder whose model is not of the family `expected`.
pub(crate) fn expect_model_type(folder: &Path, expected: &str) -> Result<(), ModelError> {
    match read_config::<Kind>(folder)?.model_type {
        Some(found) if found == expected => Ok(()),
        found => Err(setting(folder, "model_type", found.as_ref(), format!("`{expected}`"))),
    }
}

/// The error of a setting that is not as expected.
pub(crate) fn setting(folder: &Path, key: &'static str, found: Option<&impl ToString>, expected: String) -> ModelError {
    let found = found.map_or_else(|| "missing".to_owned(), |found| format!("`{}`", found.to_string()));
    ModelError::Setting { path: folder.join(CONFIG), key, found, expected }
}

/// Reads `config.json` as far as `T` is interested.
pub(crate) fn read_config<T: DeserializeOwned>(folder: &Path) -> Result<T, ModelError> {
    let path = folder.join(CONFIG);
    let text = fs::read_to_string(&path).map_err(|source| read_error(path.clone(), source))?;
    serde_json::from_str(&text).map_err(|source| ModelError::Json { path, source })
}

/// The error of a file that cannot be read. If it is one that makes a model folder and not there, the folder is none.
pub(crate) fn read_error(path: PathBuf, source: io::Error) -> ModelError {
    let file = [CONFIG, WEIGHTS].into_iter().find(|&file| path.file_name().is_some_and(|name| name == file));
    match (source.kind(), file, path.parent()) {
        (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, Some(file), Some(folder)) => {
            ModelError::NotAModelFolder { folder: folder.to_owned(), file }
        }
        _ => ModelError::Read { path, source },
    }
}
