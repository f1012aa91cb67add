//! Settings of runs: preset, file and overrides; reading `run.toml` back.

use std::path::Path;

use burnformer_core::config::Validate;
use burnformer_core::settings;
use burnformer_train::{AdamConfig, OptimizerConfig, RunFolder, ScheduleConfig, TrainConfig, TrainError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::RecipeError;
use crate::changes::changes;
use crate::recipe_name::{any_settings, recipe_of};

/// Default seed of a run.
pub const SEED: u64 = 42;

/// Settings of a recipe: the schema of its `run.toml`.
pub trait RunSettings: Serialize + DeserializeOwned + Validate {
    /// Name of the recipe, which is also the command of the program.
    const RECIPE: &'static str;

    /// Seed of every random draw.
    fn seed(&self) -> u64;

    /// Training settings.
    fn train(&self) -> &TrainConfig;
}

/// Settings that override a preset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides<'a> {
    /// TOML file with settings.
    pub file: Option<&'a Path>,
    /// Single settings, each as `key=value`; they override the file.
    pub sets: &'a [String],
}

impl Overrides<'_> {
    /// `preset` with these overrides.
    pub(crate) fn over<S: RunSettings>(&self, preset: &S) -> Result<S, RecipeError> {
        Ok(settings::load(preset, self.file, self.sets)?)
    }
}

/// The settings of the run in `folder`, changed by `sets`: most of those below `train`, and the places of data and models.
///
/// # Errors
/// If there is no run, or one of another recipe; if the file or `sets` change a setting that the latest checkpoint depends on.
pub fn reload<S: RunSettings>(folder: &Path, sets: &[String]) -> Result<S, RecipeError> {
    let file = RunFolder::settings_file(folder);
    if !file.is_file() {
        return Err(TrainError::NotARun { folder: folder.to_owned() }.into());
    }
    match recipe_of(&any_settings(folder)?) {
        Some(recipe) if recipe != S::RECIPE => {
            return Err(RecipeError::OtherRecipe { folder: folder.to_owned(), recipe, asked: S::RECIPE });
        }
        _ => {}
    }
    let settings = settings::reload(&file, sets)?;
    changes(folder, &settings)?;
    Ok(settings)
}

/// The learning rate of a run, as a share of that of fresh weights: a tenth if it begins with a trained model, so that it keeps what
/// that has learned. With the rates of the recipes, that is 3e-5 for a base BERT, 6e-5 for `gpt2` and 7e-5 for a base translator.
pub(crate) fn rate_share(init: Option<&Path>) -> f64 {
    if init.is_some() { 0.1 } else { 1.0 }
}

/// What suits a run of `steps`: AdamW as BERT was trained, with this peak of the learning rate; a tenth of the steps to warm
/// up, then down to zero; reports, evaluations and checkpoints now and then.
pub(crate) fn train_config(steps: u64, learning_rate: f64) -> TrainConfig {
    TrainConfig {
        steps,
        optimizer: OptimizerConfig::AdamW(AdamConfig { learning_rate, ..AdamConfig::default() }),
        schedule: ScheduleConfig::Linear { warmup_steps: steps / 10, min_learning_rate: 0.0 },
        log_every: (steps / 100).clamp(1, 100),
        evaluate_every: (steps / 10).clamp(1, 1000),
        checkpoint_every: (steps / 5).clamp(1, 1000),
        ..TrainConfig::default()
    }
}
