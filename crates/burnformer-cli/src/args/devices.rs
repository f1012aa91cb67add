//! `burnformer devices`.

use clap::Args;

use super::{DeviceArgs, ReportArgs};

/// List the devices that tensors can live on
///
/// Marks the one that `--device` takes. If there is no such device, the exit status is 1.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer devices
  burnformer devices --device ndarray --format json")]
pub(crate) struct DevicesArgs {
    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
