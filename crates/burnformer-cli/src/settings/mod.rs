//! From flags, presets and files to one checked value for each training command.

mod finetune;
mod pretrain;

use burnformer::train::TrainConfig;

pub(crate) use finetune::FinetuneSettings;
pub(crate) use pretrain::PretrainSettings;

/// The reports, evaluations and checkpoints that suit a run of `steps`.
fn train_config(steps: u64) -> TrainConfig {
    TrainConfig {
        steps,
        log_every: (steps / 100).clamp(1, 100),
        evaluate_every: (steps / 10).clamp(1, 1000),
        checkpoint_every: (steps / 5).clamp(1, 1000),
        ..TrainConfig::default()
    }
}

/// `--set` for each flag that was given and stands for a setting.
pub(crate) fn with_flags(sets: &[String], flags: &[(&str, Option<String>)]) -> Vec<String> {
    let given = flags.iter().filter_map(|(key, value)| value.as_ref().map(|value| format!("{key}={value}")));
    sets.iter().cloned().chain(given).collect()
}
