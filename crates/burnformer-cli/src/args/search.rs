//! `burnformer search`.

use std::path::PathBuf;

use clap::Args;

use super::ReportArgs;
use super::numbers::whole;
use super::paths::folder_to_write;

/// Search for the best settings of a training command
///
/// SPACE.toml names the command and the settings to search, each by its key in `run.toml`:
///
///     command = "finetune --model runs/mini --train train.csv --label-column category --epochs 3"
///     trials = 30
///     [space]
///     train.optimizer.learning_rate = { kind = "log-uniform", low = 1e-5, high = 1e-3 }
///     train.micro_batch_size = { kind = "choice", values = [16, 32] }
///     [asha]          # compare trials on their way, and let the best third go on
///     rungs = 2
///
/// Kinds of parameters: `uniform`, `log-uniform`, `integer` and `choice`. The sampler is TPE; `[sampler]` with `kind = "random"`
/// chooses at random. Trials are runs in `trials/`, compared by the metric that chooses the best model, on validation samples.
/// The folder also gets Optuna's `journal.log`, `trials.csv`, pictures, and `best.toml` for `--config` of the command.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  burnformer search space.toml --out runs/search
  burnformer search space.toml --out runs/wide --trials 8 --jobs 2
  burnformer search --out runs/search --resume
  burnformer finetune --model runs/mini --train train.csv --label-column category --config runs/search/best.toml --out runs/best"
)]
pub(crate) struct SearchArgs {
    /// File with the settings of the search
    #[arg(value_name = "SPACE.toml", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) space: Option<PathBuf>,

    /// Folder of the search
    #[arg(long, value_name = "FOLDER", value_parser = folder_to_write())]
    pub(crate) out: PathBuf,

    /// Resume the search in this folder; its trials go on from their checkpoints
    #[arg(long)]
    pub(crate) resume: bool,

    /// Print the settings, and the plan of the first trial, without training
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,

    /// Number of trials; same as `--set trials=N`
    #[arg(long, value_name = "N", value_parser = whole::<u64>(..))]
    pub(crate) trials: Option<u64>,

    /// Greatest number of trials that run at once, in each process; same as `--set jobs=N`
    #[arg(long, value_name = "N", value_parser = whole::<u64>(..))]
    pub(crate) jobs: Option<u64>,

    /// Override a setting of the search; repeatable. A resumed search can change `trials`, `jobs`, `threads`, `memory_gib`, `keep`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
