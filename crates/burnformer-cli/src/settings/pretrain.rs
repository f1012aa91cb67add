//! Settings of `burnformer pretrain`.

use std::path::Path;

use anyhow::Result;
use burnformer::core::config::{ConfigError, Validate};
use burnformer::core::settings;
use burnformer::data::datasets::PretrainingConfig;
use burnformer::data::split::SplitConfig;
use burnformer::models::{BertConfig, BertVariant};
use burnformer::train::TrainConfig;
use serde::{Deserialize, Serialize};

use super::train_config;

/// All that a pretraining run depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PretrainSettings {
    /// Of all that is random.
    pub(crate) seed: u64,
    /// Folder of the corpus.
    pub(crate) corpus: String,
    /// Folder of the model that training begins with; absent for a fresh one.
    pub(crate) init: Option<String>,
    /// A fresh model begins with the frequencies of tokens as the bias of its output, instead of zero.
    pub(crate) frequency_bias: bool,
    /// A fresh model's learned positions begin as sinusoids, instead of at random.
    pub(crate) sinusoidal_positions: bool,
    /// What the model is.
    pub(crate) model: BertConfig,
    /// What it learns from.
    pub(crate) data: PretrainData,
    /// How it learns.
    pub(crate) train: TrainConfig,
}

/// What a model learns from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PretrainData {
    /// Which documents are for training, validation and test.
    pub(crate) split: SplitConfig,
    /// How samples are made of them.
    pub(crate) samples: PretrainingConfig,
}

impl PretrainSettings {
    /// The settings for `model` on the corpus in `corpus`, changed by a file and by `sets`.
    ///
    /// # Errors
    /// If there are no such settings, or they cannot work.
    pub(crate) fn load(
        seed: u64,
        corpus: &Path,
        init: Option<&Path>,
        model: &BertConfig,
        file: Option<&Path>,
        sets: &[String],
    ) -> Result<Self> {
        let samples = PretrainingConfig::default();
        let max_seq_length = samples.max_seq_length.min(model.max_seq_length);
        let samples = PretrainingConfig { max_seq_length, ..samples };
        let preset = |steps: u64, d_model: usize| Self {
            seed,
            corpus: corpus.display().to_string(),
            init: init.map(|folder| folder.display().to_string()),
            frequency_bias: true,
            sinusoidal_positions: true,
            model: model.clone(),
            data: PretrainData { split: SplitConfig::default(), samples: samples.clone() },
            // 3.3e-4 for the base model; small ones take, and need, more.
            train: train_config(steps, 0.256 / d_model as f64),
        };
        // Warm-up, evaluations and the rest follow the steps that were asked for, unless they were asked for too.
        let asked = settings::load(&preset(1000, model.d_model), file, sets)?;
        Ok(settings::load(&preset(asked.train.steps, asked.model.d_model), file, sets)?)
    }
}

impl Validate for PretrainSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let within = |section: &'static str| move |error: ConfigError| error.within(section);
        self.model.validate().map_err(within("model"))?;
        let variant = self.model.variant;
        ConfigError::check("model.variant", &variant.model_type(), variant == BertVariant::Bert, "`bert`")?;
        self.data.split.validate().map_err(within("data.split"))?;
        self.data.samples.validate().map_err(within("data.samples"))?;
        let (longest, length) = (self.model.max_seq_length, self.data.samples.max_seq_length);
        let range = "at most `model.max_seq_length`";
        ConfigError::check("data.samples.max_seq_length", &length, length <= longest, range)?;
        self.train.validate().map_err(within("train"))
    }
}
