//! What a run takes of the model that it is initialised from, beside its weights.

use std::path::{Path, PathBuf};

use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::BertConfig;
use burnformer_tasks::EmbeddingModules;

use super::FinetuneSettings;
use crate::RecipeError;

/// Settings and tokenizer of a pretrained model.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its folder.
    pub folder: PathBuf,
    /// Settings of the model.
    pub config: BertConfig,
    /// The tokenizer, as the run uses it.
    pub tokenizer: Tokenizer,
    /// Maximum text length in tokens: that of the settings, at most the model's.
    pub max_seq_length: usize,
}

impl Base {
    /// Reads the model folder `folder`.
    ///
    /// # Errors
    /// If the folder holds no model of the BERT family, or no tokenizer.
    pub(crate) fn load(folder: &Path) -> Result<Self, RecipeError> {
        let encoder = EmbeddingModules::transformer_in(folder)?;
        let (config, tokenizer) = (BertConfig::load(&encoder)?, Tokenizer::load(&encoder)?);
        let max_seq_length = config.max_seq_length;
        Ok(Self { folder: folder.to_owned(), config, tokenizer, max_seq_length })
    }

    /// `self` as a run with these settings uses it.
    pub(crate) fn with_settings(self, settings: &FinetuneSettings) -> Self {
        let Self { folder, config, tokenizer, .. } = self;
        let max_seq_length = settings.max_seq_length.min(config.max_seq_length);
        let splits = settings.split_special_tokens || tokenizer.splits_special_tokens();
        let tokenizer = tokenizer.with_max_length(max_seq_length).with_split_special_tokens(splits);
        Self { folder, config, tokenizer, max_seq_length }
    }

    /// The token that fills the ends of short texts.
    pub(crate) fn pad_id(&self) -> u32 {
        self.tokenizer.specials().pad_id.unwrap_or(self.config.pad_id)
    }
}
