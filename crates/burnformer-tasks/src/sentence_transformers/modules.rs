//! `modules.json`: the modules of a folder, in order.

use std::path::{Component, Path, PathBuf};

use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::weights::WeightType;
use burnformer_models::{Pooling, Projection};
use serde::Deserialize;
use serde_json::{Value, json};

use super::file::{read_json, unsupported, write_json};
use super::pooling::PoolingSettings;
use super::prompts::Prompts;
use super::settings::{Kind, Settings};
use super::steps::{StepSettings, Steps};
use super::transformer::{Task, TextSettings};
use crate::TaskError;

/// File that lists the modules of a folder.
pub(super) const MODULES: &str = "modules.json";

/// What the modules of an embedding are expected to be.
const EXPECTED: &str = "Transformer, Pooling, and behind them any of Dense, Normalize and Dropout";

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    class: String,
}

/// A module: the name of its class and its folder.
pub(super) struct Module {
    pub(super) kind: String,
    pub(super) folder: PathBuf,
}

/// The modules that the list in `folder` names.
pub(super) fn list(folder: &Path) -> Result<Vec<Module>, TaskError> {
    let path = folder.join(MODULES);
    let module = |entry: Entry| {
        if !Path::new(&entry.path).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(unsupported(&path, format!("a module in `{}`", entry.path), "a folder below its own"));
        }
        // Other classes are code of the model itself, whatever their names.
        match entry.class.strip_prefix("sentence_transformers.").and_then(|class| class.rsplit('.').next()) {
            Some(kind) => Ok(Module { kind: kind.to_owned(), folder: within(folder, &entry.path) }),
            None => {
                let found = format!("`{}`, a module with code of its own", entry.class);
                Err(unsupported(&path, found, "modules of sentence-transformers"))
            }
        }
    };
    read_json::<Vec<Entry>>(&path)?.into_iter().map(module).collect()
}

fn within(folder: &Path, path: &str) -> PathBuf {
    if path.is_empty() { folder.to_owned() } else { folder.join(path) }
}

/// The classes of modules, as messages name them.
pub(super) fn kinds(modules: &[Module]) -> String {
    match modules {
        [] => "no module".to_owned(),
        modules => modules.iter().map(|module| module.kind.as_str()).collect::<Vec<_>>().join(", "),
    }
}

/// The entry of the list for a module of this class.
pub(super) fn entry(number: usize, path: &str, class: &str) -> Value {
    let class = format!("sentence_transformers.models.{class}");
    json!({ "idx": number, "name": number.to_string(), "path": path, "type": class })
}

/// Settings of a folder that makes embeddings: of sentence-transformers, or the default ones of any other folder.
#[derive(Clone, Debug)]
pub struct Modules {
    /// Folder of the encoder and its tokenizer.
    pub(crate) transformer: PathBuf,
    pub(crate) text: TextSettings,
    pub(crate) pooling: PoolingSettings,
    /// What follows the pooling, in order.
    pub(crate) steps: Steps,
    pub(crate) settings: Settings,
}

impl Modules {
    /// The settings of a folder of sentence-transformers; for any other folder, the L2-normalised mean over the tokens.
    ///
    /// # Errors
    /// If a file cannot be read, or asks for what is not supported.
    pub fn of(folder: &Path) -> Result<Self, TaskError> {
        if Self::are_in(folder) {
            return Self::read(folder);
        }
        Ok(Self {
            transformer: folder.to_owned(),
            text: TextSettings::default(),
            pooling: PoolingSettings::of(Pooling::Mean),
            steps: Steps::normalization(),
            settings: Settings::default(),
        })
    }

    /// The same with another pooling, behind an encoder of this width.
    ///
    /// # Errors
    /// [`TaskError::PoolingWidth`] if it makes vectors of another width than a dense layer takes.
    pub fn with_pooling(mut self, pooling: Pooling, d_model: usize) -> Result<Self, TaskError> {
        match self.steps.width_in_front().filter(|&expected| expected != d_model) {
            Some(expected) => Err(TaskError::PoolingWidth { found: d_model, expected }),
            None => {
                self.pooling.modes = vec![pooling];
                Ok(self)
            }
        }
    }

    /// The same with L2-normalised embeddings, or without normalisation.
    #[must_use]
    pub fn with_normalization(mut self, is_normalized: bool) -> Self {
        self.steps.set_normalization(is_normalized);
        self
    }

    /// The same for texts of at most this number of tokens.
    #[must_use]
    pub fn with_max_length(mut self, max_length: usize) -> Self {
        self.text.max_length = Some(max_length);
        self
    }

    /// Longest text in tokens; `None` is as the tokenizer and the encoder say.
    #[must_use]
    pub fn max_length(&self) -> Option<usize> {
        self.text.max_length
    }

    /// The tokenizer as these settings use it, which may lower-case texts.
    ///
    /// # Errors
    /// If it cannot lower-case them.
    pub fn tokenizer(&self, tokenizer: Tokenizer) -> Result<Tokenizer, TaskError> {
        if self.text.lowercase { Ok(tokenizer.lowercased()?) } else { Ok(tokenizer) }
    }

    /// Prompts of the model, by name.
    #[must_use]
    pub fn prompts(&self) -> &Prompts {
        &self.settings.prompts
    }

    /// Number of elements of a pooled vector of an encoder of this width.
    fn pooled(&self, d_model: usize) -> usize {
        d_model * self.pooling.modes.len()
    }

    /// Number of elements of an embedding of an encoder of this width, all dimensions of it.
    #[must_use]
    pub fn width(&self, d_model: usize) -> usize {
        self.steps.width(self.pooled(d_model))
    }

    /// Refuses modules that do not fit together, behind an encoder of this width.
    ///
    /// # Errors
    /// [`TaskError::Embedding`] of the module that does not fit.
    pub fn check(&self, d_model: usize) -> Result<(), TaskError> {
        self.steps.check(self.pooled(d_model))
    }

    /// `true` if `folder` has sentence-transformers' list of modules.
    pub(crate) fn are_in(folder: &Path) -> bool {
        folder.join(MODULES).is_file()
    }

    /// Folder of the encoder and its tokenizer.
    ///
    /// # Errors
    /// If the list of modules cannot be read.
    pub fn transformer_in(folder: &Path) -> Result<PathBuf, TaskError> {
        let first = if Self::are_in(folder) { list(folder)?.into_iter().next() } else { None };
        Ok(first.map_or(folder.to_owned(), |module| module.folder))
    }

    fn read(folder: &Path) -> Result<Self, TaskError> {
        let settings = Settings::of_embedding(folder)?;
        let path = folder.join(MODULES);
        let modules = list(folder)?;
        let kinds = || kinds(&modules);
        let [transformer, pooling, behind @ ..] = modules.as_slice() else {
            return Err(unsupported(&path, kinds(), EXPECTED));
        };
        if (transformer.kind.as_str(), pooling.kind.as_str()) != ("Transformer", "Pooling") {
            return Err(unsupported(&path, kinds(), EXPECTED));
        }
        let mut steps = Vec::new();
        for module in behind {
            match module.kind.as_str() {
                "Dense" => steps.push(StepSettings::dense(&module.folder)?),
                "Normalize" => steps.push(StepSettings::normalize(&module.folder)?),
                // Trains alone.
                "Dropout" => {}
                _ => return Err(unsupported(&path, kinds(), EXPECTED)),
            }
        }
        Ok(Self {
            transformer: transformer.folder.clone(),
            text: TextSettings::read(&transformer.folder, Task::Embedding)?,
            pooling: PoolingSettings::read(&pooling.folder)?,
            steps: Steps(steps),
            settings,
        })
    }

    /// Writes the files into `folder`, which holds the transformer, with the weights of the steps.
    pub(crate) fn write(
        &self,
        d_model: usize,
        dense: &[Projection],
        weight_type: WeightType,
        folder: &Path,
    ) -> Result<(), TaskError> {
        let mut list = vec![entry(0, "", "Transformer"), entry(1, "1_Pooling", "Pooling")];
        for (path, class) in self.steps.write(dense, folder, list.len(), weight_type)? {
            list.push(entry(list.len(), &path, class));
        }
        self.text.write(Task::Embedding, folder)?;
        self.pooling.write(d_model, &folder.join("1_Pooling"))?;
        self.settings.write(folder)?;
        Ok(write_json(&folder.join(MODULES), &Value::Array(list))?)
    }
}

/// `true` if `folder` is one of sentence-transformers that makes embeddings, and `false` for one with a cross-encoder or in
/// another layout.
///
/// # Errors
/// If its files cannot be read.
pub fn makes_embeddings(folder: &Path) -> Result<bool, TaskError> {
    Ok(Modules::are_in(folder) && Settings::read(folder)?.kind == Kind::Embedding)
}
