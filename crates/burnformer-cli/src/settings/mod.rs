//! From flags, presets and files to one checked value for each training command.

mod finetune;
mod pretrain;
mod train_seq2seq;

use burnformer::train::{AdamConfig, OptimizerConfig, ScheduleConfig, TrainConfig};

pub(crate) use finetune::FinetuneSettings;
pub(crate) use pretrain::PretrainSettings;
pub(crate) use train_seq2seq::{Begin, ChooseBy, TrainSeq2SeqSettings};

/// What suits a run of `steps`: AdamW as BERT was trained, with this peak of the learning rate; a tenth of the steps to warm
/// up, then down to zero; reports, evaluations and checkpoints now and then.
fn train_config(steps: u64, learning_rate: f64) -> TrainConfig {
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

/// `--set` for each flag that was given and stands for a setting.
pub(crate) fn with_flags(sets: &[String], flags: &[(&str, Option<String>)]) -> Vec<String> {
    let given = flags.iter().filter_map(|(key, value)| value.as_ref().map(|value| format!("{key}={value}")));
    sets.iter().cloned().chain(given).collect()
}
