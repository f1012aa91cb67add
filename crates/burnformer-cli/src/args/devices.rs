//! `burnformer devices`.

use clap::Args;

use super::{DeviceArgs, ReportArgs};

/// List the available compute devices
///
/// Marks the device that `--device` selects. The exit status is 1 if that device does not exist.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer devices
  burnformer devices --device auto --format json")]
pub(crate) struct DevicesArgs {
    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
