//! `burnformer average`.

use std::path::PathBuf;

use clap::Args;

use super::numbers::whole;
use super::paths::folder_to_write;

/// Average the weights of a run's last checkpoints into one model
///
/// The average is often better than each single checkpoint. A run writes a checkpoint every `train.checkpoint_every` steps,
/// after each evaluation that is the best so far, and at the end. It keeps the latest `train.keep_checkpoints`: raise this
/// setting to have more of them to average. Checkpoints that were written because of the time or an interruption do not count.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer average runs/de-en --out de-en-mean
  burnformer average runs/de-en --last 3 --out de-en-mean-of-3")]
pub(crate) struct AverageArgs {
    /// Run folder
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,

    /// Number of checkpoints to average, counted back from the latest
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u32>(1..))]
    pub(crate) last: u32,

    /// Output folder; must not exist
    #[arg(long, value_name = "DIR", value_parser = folder_to_write())]
    pub(crate) out: PathBuf,
}
