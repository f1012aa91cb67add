//! `burnformer runs`.

use std::path::PathBuf;

use clap::Args;

use super::ReportArgs;

/// List and compare runs
///
/// Prints one line per run: recipe, state, step, best evaluation, time since the last change. Reads the folders without locking
/// or changing them, also while a run works in them. Folders that cannot be read are named, and the others are still listed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer runs
  burnformer runs runs/mini runs/intents --format json
  burnformer runs --compare
  burnformer runs runs/mini runs/de-en --compare --metric loss --plot curves.svg")]
pub(crate) struct RunsArgs {
    /// Run folders, or folders with run folders below them
    #[arg(value_name = "FOLDER", default_value = "runs")]
    pub(crate) folders: Vec<PathBuf>,

    /// Compare the runs: settings that differ, best evaluations, and the curves of `--metric`
    #[arg(long)]
    pub(crate) compare: bool,

    /// Metric of the curves, on the validation samples where it is measured on them
    #[arg(long, value_name = "NAME", default_value = "loss", requires = "compare")]
    pub(crate) metric: String,

    /// Write the curves of all metrics as a picture to this SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
