//! Flags that several commands have.

use std::path::PathBuf;

use burnformer::ops::DeviceChoice;
use clap::{Args, ValueEnum};

use super::numbers::whole;

/// How a result is written.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: ReportFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// For programs: one JSON object
    Json,
}

/// Where settings without a flag of their own come from. To be flattened behind a command's own flags, which would else get
/// the heading too.
#[derive(Args, Debug)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingsArgs {
    /// TOML file with settings, laid over the defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// One setting, laid over those of the file; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Which random numbers are drawn.
#[derive(Args, Debug)]
pub(crate) struct SeedArgs {
    /// Seed of all random numbers: the same seed gives the same result
    #[arg(long, value_name = "NUMBER", default_value_t = 42, value_parser = whole::<u64>(..))]
    pub(crate) seed: u64,
}

/// Where tensors live.
#[derive(Args, Debug)]
pub(crate) struct DeviceArgs {
    /// Device: `ndarray`, `flex`, `wgpu`, `wgpu:N` or `auto`, as `burnformer devices` lists them
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub(crate) device: DeviceChoice,
}
