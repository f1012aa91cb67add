//! Flags of the commands that train.

use std::path::PathBuf;

use clap::Args;

use super::numbers::whole;
use super::paths::folder_to_write;
use super::{DeviceArgs, ReportArgs, SettingsArgs, StagesArgs, TechniqueArgs};

/// Flags of a training run.
#[derive(Args, Debug)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunArgs {
    /// Run folder, for settings, metrics, checkpoints and the best model
    #[arg(long, value_name = "FOLDER", value_parser = folder_to_write())]
    pub(crate) out: PathBuf,

    /// Resume the run in this folder from its latest checkpoint, with its settings
    #[arg(long)]
    pub(crate) resume: bool,

    /// Print the settings, model size and memory estimate, without training
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Number of optimizer updates; same as `--set train.steps=N`
    #[arg(long, value_name = "N", value_parser = whole::<u64>(..))]
    pub(crate) steps: Option<u64>,

    /// Peak learning rate; same as `--set train.optimizer.learning_rate=RATE`
    #[arg(long, value_name = "RATE")]
    pub(crate) learning_rate: Option<f64>,

    /// Number type of matrix products; `bf16` is faster with AMX, and with `AVX512_BF16` on AMD; same as `--set train.dtype=NAME`
    #[arg(long, value_name = "NAME", value_parser = ["f32", "bf16"])]
    pub(crate) dtype: Option<String>,

    /// Write the metrics for TensorBoard too; same as `--set train.tensorboard=true`
    #[arg(long)]
    pub(crate) tensorboard: bool,

    /// Keep only the input of each layer and compute the rest again in the backward pass: less memory, more time; same as `--set train.activation_checkpointing=true`
    #[arg(long)]
    pub(crate) activation_checkpointing: bool,

    #[command(flatten)]
    pub(crate) stages: StagesArgs,

    /// Number of processes of `mpirun` that share the matrices of one model, each with a part of its heads and of its hidden activations
    #[arg(long, value_name = "T", default_value_t = 1, hide_default_value = true, value_parser = whole::<usize>(1..=1000))]
    pub(crate) tensor_parallel: usize,

    /// Random seed [default: 42]
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u64>(..))]
    pub(crate) seed: Option<u64>,

    /// Train this many runs with seeds that follow each other, in subfolders, and report the mean and deviation of their scores
    #[arg(long, value_name = "N", value_parser = whole::<u64>(2..=1000), conflicts_with = "resume")]
    pub(crate) seeds: Option<u64>,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) technique: TechniqueArgs,
}
