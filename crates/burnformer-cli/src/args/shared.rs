//! Flags shared by several commands.

use std::path::PathBuf;

use burnformer::ops::{DeviceChoice, WeightFormat};
use clap::{Args, ValueEnum};

use super::names::names;
use super::numbers::whole;

/// Output format.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// Output format
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: ReportFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Text for people
    #[default]
    Text,
    /// JSON for programs
    Json,
}

/// Settings without a flag of their own. Flatten it behind a command's own flags: those behind it get its heading too.
#[derive(Args, Debug)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingsArgs {
    /// TOML file with settings that override the defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Set one setting, overriding `--config`; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Seed of every random draw.
#[derive(Args, Debug)]
pub(crate) struct SeedArgs {
    /// Random seed: the same seed gives the same result
    #[arg(long, value_name = "NUMBER", default_value_t = 42, value_parser = whole::<u64>(..))]
    pub(crate) seed: u64,
}

/// Device to compute on.
#[derive(Args, Debug)]
pub(crate) struct DeviceArgs {
    /// Compute device: `auto`, `ndarray`, `flex`, `wgpu` or `wgpu:N`; see `burnformer devices`
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub(crate) device: DeviceChoice,
}

/// How a model computes that is not trained.
#[derive(Args, Debug)]
pub(crate) struct WeightsArgs {
    /// Number type of the weights in matrix products, on `ndarray` and `flex`
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = names::<WeightFormat, _>([
        ("f32", "Single precision"),
        ("bf16", "bfloat16, or `f32` where the processor multiplies that as fast; see `burnformer devices`"),
        ("int8", "8-bit integers in layers, with inputs rounded to 8 bits too: fastest, and a little less exact"),
    ]))]
    pub(crate) dtype: WeightFormat,
}
