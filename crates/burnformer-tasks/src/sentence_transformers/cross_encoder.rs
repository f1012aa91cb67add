//! Cross-encoders: classifiers that give a pair of texts a score.

use std::path::{Path, PathBuf};

use burnformer_models::OutputActivation;
use serde_json::json;

use super::Prompts;
use super::file::{unsupported, write_json};
use super::modules::{MODULES, Modules, entry, kinds, list};
use super::settings::{Kind, Settings};
use super::transformer::{Task, TextSettings};
use crate::TaskError;

/// Settings of a classifier's folder.
pub(crate) struct CrossEncoder {
    /// Folder of the classifier and its tokenizer.
    pub(crate) transformer: PathBuf,
    pub(crate) text: TextSettings,
    settings: Settings,
}

impl CrossEncoder {
    /// The settings of a folder in the layout of sentence-transformers; `None` for any other folder.
    pub(crate) fn of(folder: &Path) -> Result<Option<Self>, TaskError> {
        if !Modules::are_in(folder) {
            return Ok(None);
        }
        let settings = Settings::read(folder)?;
        if settings.kind != Kind::CrossEncoder {
            return Ok(None);
        }
        let modules = list(folder)?;
        match modules.as_slice() {
            [module] if module.kind == "Transformer" => Ok(Some(Self {
                transformer: module.folder.clone(),
                text: TextSettings::read(&module.folder, Task::Score)?,
                settings,
            })),
            _ => {
                let expected = "Transformer alone, as in a cross-encoder";
                Err(unsupported(&folder.join(MODULES), kinds(&modules), expected))
            }
        }
    }

    /// Function of the output, if the files name one.
    pub(crate) fn activation(&self) -> Option<OutputActivation> {
        self.settings.activation
    }

    /// Prompts of first texts.
    pub(crate) fn prompts(&self) -> &Prompts {
        &self.settings.prompts
    }

    /// Writes the files into `folder`, which holds the classifier.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), TaskError> {
        self.settings.write(folder)?;
        self.text.write(Task::Score, folder)?;
        Ok(write_json(&folder.join(MODULES), &json!([entry(0, "", "Transformer")]))?)
    }
}
