//! `burnformer average`.

use std::path::PathBuf;

use clap::Args;

use super::numbers::whole;

/// Make one model of the last checkpoints of a run: each weight is the mean of theirs
///
/// A run writes a checkpoint every `train.checkpoint_every` steps, at each evaluation that is the best so far, and at its end;
/// it keeps as many of the latest as `train.keep_checkpoints` says. The mean is often better than any of them, as they lie
/// around a minimum.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer average runs/de-en --out de-en-mean
  burnformer average runs/de-en --last 3 --out de-en-mean-of-3")]
pub(crate) struct AverageArgs {
    /// Folder of the run
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,

    /// How many of the latest checkpoints
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u32>(1..))]
    pub(crate) last: u32,

    /// Folder to be written, where nothing may be
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
