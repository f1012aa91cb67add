//! Tokenizers of source and target.

use std::path::{Path, PathBuf};

use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::Vocabularies;

use crate::TaskError;

/// File of the target tokenizer in a model folder with two vocabularies.
const TARGET_FILE: &str = "target_tokenizer.json";

/// The tokenizer of the source, and that of the target if it has its own vocabulary.
#[derive(Clone, Debug)]
pub struct TranslationTokenizers {
    source: Tokenizer,
    target: Option<Tokenizer>,
}

impl TranslationTokenizers {
    /// One for both sides, or one for each.
    #[must_use]
    pub fn new(source: Tokenizer, target: Option<Tokenizer>) -> Self {
        Self { source, target }
    }

    /// Loads the tokenizers in a model folder: one for both sides, or `tokenizer.json` and `target_tokenizer.json`; or those
    /// of an OPUS-MT model.
    ///
    /// # Errors
    /// If there is no tokenizer, or it cannot be read.
    pub fn load(folder: &Path) -> Result<Self, TaskError> {
        let target = folder.join(TARGET_FILE);
        if target.is_file() {
            return Ok(Self { source: Tokenizer::load(folder)?, target: Some(Tokenizer::load(target)?) });
        }
        match Tokenizer::load_opus(folder)? {
            Some((source, target)) => Ok(Self { source, target: Some(target) }),
            None => Ok(Self { source: Tokenizer::load(folder)?, target: None }),
        }
    }

    /// The file of the target's tokenizer in a model folder, if it has one of its own.
    #[must_use]
    pub fn target_path(folder: &Path) -> Option<PathBuf> {
        Some(folder.join(TARGET_FILE)).filter(|path| path.is_file())
    }

    /// Writes the tokenizers into the folder of a model whose longest sequence is `max_length`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path, max_length: usize) -> Result<(), TaskError> {
        let source = self.source.clone().with_max_length(max_length);
        match &self.target {
            Some(target) if source.is_opus() || target.is_opus() => return Ok(source.save_opus(target, folder)?),
            Some(target) => target.save_json(&folder.join(TARGET_FILE))?,
            None => {}
        }
        Ok(source.save(folder)?)
    }

    /// The tokenizer of sources.
    #[must_use]
    pub fn source(&self) -> &Tokenizer {
        &self.source
    }

    /// The tokenizer of targets.
    #[must_use]
    pub fn target(&self) -> &Tokenizer {
        self.target.as_ref().unwrap_or(&self.source)
    }

    /// Vocabulary sizes and special tokens, for the settings of a model.
    ///
    /// A target starts with the tokenizer's start token, or the padding token if it has none.
    ///
    /// # Errors
    /// If a special token is missing, or has different ids on the two sides.
    pub fn vocabularies(&self) -> Result<Vocabularies, TaskError> {
        let (source, target) = (self.source.specials(), self.target().specials());
        let both = |role: &'static str, source: Option<u32>, target: Option<u32>| match (source, target) {
            (Some(source), Some(target)) if source == target => Ok(source),
            (Some(source), Some(target)) => {
                Err(TaskError::TokenMismatch { role, source_id: source, target_id: target })
            }
            _ => Err(TaskError::NoToken { role }),
        };
        let pad_id = both("padding", source.pad_id, target.pad_id)?;
        Ok(Vocabularies {
            source_size: self.source.vocab_size(),
            target_size: self.target().vocab_size(),
            shared: self.target.as_ref().is_none_or(|target| self.source.shares_vocabulary(target)),
            pad_id,
            eos_id: both("last", source.eos_id, target.eos_id)?,
            decoder_start_id: target.bos_id.unwrap_or(pad_id),
        })
    }
}
