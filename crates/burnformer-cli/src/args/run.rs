//! Flags of the commands that train.

use std::path::PathBuf;

use clap::Args;

use super::numbers::whole;
use super::{DeviceArgs, ReportArgs, SettingsArgs};

/// Where a run goes, and how it begins.
#[derive(Args, Debug)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunArgs {
    /// Folder of the run: settings, metrics, checkpoints, and the best model
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,

    /// Go on with the run in that folder from its latest checkpoint, with its settings
    #[arg(long)]
    pub(crate) resume: bool,

    /// Print settings, sizes and the memory that training will take, and stop there
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Updates of the weights; the same as `--set train.steps=N`
    #[arg(long, value_name = "N", value_parser = whole::<u64>(..))]
    pub(crate) steps: Option<u64>,

    /// Peak of the learning rate; the same as `--set train.optimizer.learning_rate=RATE`
    #[arg(long, value_name = "RATE")]
    pub(crate) learning_rate: Option<f64>,

    /// Numbers that linear maps multiply, `bf16` on processors with `AVX512_BF16`; the same as `--set train.dtype=NAME`
    #[arg(long, value_name = "NAME", value_parser = ["f32", "bf16"])]
    pub(crate) dtype: Option<String>,

    /// Seed of all random numbers [default: 42]
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u64>(..))]
    pub(crate) seed: Option<u64>,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
