//! Settings of `burnformer finetune`.

use std::path::Path;

use anyhow::Result;
use burnformer::core::config::{ConfigError, Validate};
use burnformer::core::settings;
use burnformer::data::readers::Input;
use burnformer::data::source::OnBadRow;
use burnformer::train::TrainConfig;
use serde::{Deserialize, Serialize};

use super::train_config;

/// All that a fine-tuning run depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FinetuneSettings {
    /// Of all that is random.
    pub(crate) seed: u64,
    /// Folder of the pretrained model.
    pub(crate) model: String,
    /// Take its architecture and tokenizer only, and fresh weights.
    pub(crate) from_scratch: bool,
    /// Longer texts are cut, in tokens.
    pub(crate) max_seq_length: usize,
    /// Texts to learn from.
    pub(crate) data: Input,
    /// What happens to rows that cannot be used.
    pub(crate) on_bad_row: OnBadRow,
    /// The greatest number of texts of each class; absent for all.
    pub(crate) max_per_class: Option<usize>,
    /// Texts to choose the best model by; absent for a share of `data`.
    pub(crate) validation: Option<Input>,
    /// That share, in `[0, 1)`.
    pub(crate) validation_share: f64,
    /// How the model learns.
    pub(crate) train: TrainConfig,
}

impl FinetuneSettings {
    /// Lays a file and `sets` over `self`, in which `train` is set by `epochs` of `n_samples`.
    ///
    /// # Errors
    /// If there are no such settings, or they cannot work.
    pub(crate) fn load(
        self,
        epochs: f64,
        n_samples: usize,
        d_model: usize,
        file: Option<&Path>,
        sets: &[String],
    ) -> Result<Self> {
        // What flags say is under the preset, which would get the blame.
        ConfigError::check_finite_positive("epochs", epochs)?;
        self.validate()?;
        let preset = |steps: u64| Self {
            // 5e-5 for the base model.
            train: TrainConfig { validation_samples: None, ..train_config(steps, 0.0384 / d_model as f64) },
            ..self.clone()
        };
        let asked = settings::load(&preset(1000), file, sets)?;
        let steps = (epochs * n_samples as f64 / asked.train.samples_per_step(self.max_seq_length as f64))
            .ceil()
            .max(1.0) as u64;
        let asked = settings::load(&preset(steps), file, sets)?;
        Ok(settings::load(&preset(asked.train.steps), file, sets)?)
    }
}

impl Validate for FinetuneSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let within = |section: &'static str| move |error: ConfigError| error.within(section);
        self.data.validate().map_err(within("data"))?;
        if let Some(validation) = &self.validation {
            validation.validate().map_err(within("validation"))?;
        }
        ConfigError::check_probability("validation_share", self.validation_share)?;
        ConfigError::check_positive("max_seq_length", self.max_seq_length)?;
        if let Some(n) = self.max_per_class {
            ConfigError::check_positive("max_per_class", n)?;
        }
        self.train.validate().map_err(within("train"))?;
        let tokens = self.train.micro_batch_tokens;
        let range = "no such setting: `micro_batch_size` counts the texts of a pass here";
        ConfigError::check("train.micro_batch_tokens", &tokens.unwrap_or(0), tokens.is_none(), range)
    }
}
