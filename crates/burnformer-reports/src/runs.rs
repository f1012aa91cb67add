//! Report on run folders.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Metrics;

/// The runs that were found, and how they compare.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunsReport {
    /// The runs, by folder.
    pub runs: Vec<RunEntry>,
    /// Folders that cannot be read.
    pub damaged: Vec<DamagedRun>,
    /// Comparison of the runs, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<RunComparison>,
}

/// A run folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEntry {
    /// The folder.
    pub folder: PathBuf,
    /// Name of the recipe; absent if it is not known.
    pub recipe: Option<String>,
    /// Whether it runs, can be resumed, or has ended.
    pub state: RunState,
    /// Last step that was logged or checkpointed.
    pub step: u64,
    /// Number of steps of the settings.
    pub steps: u64,
    /// The best evaluation up to the latest checkpoint.
    pub best: Option<BestEvaluation>,
    /// Time of the last line of metrics, in seconds since 1970; absent if there is none.
    pub modified_unix_s: Option<u64>,
}

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// A process on this machine works in the folder.
    Running,
    /// Steps are left, and nobody works on them.
    Interrupted,
    /// All steps are done, or early stopping ended the run.
    Finished,
}

impl RunState {
    /// The name, as it stands in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Finished => "finished",
        }
    }
}

/// The best evaluation of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestEvaluation {
    /// Its step.
    pub step: u64,
    /// Name of the metric that it is the best by; absent if the recipe is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_by: Option<String>,
    /// What was measured.
    pub metrics: Metrics,
}

/// A folder that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedRun {
    /// The folder.
    pub folder: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// What differs between runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunComparison {
    /// Settings that are not the same in all runs.
    pub settings: Vec<SettingRow>,
    /// Curves of one metric, one per run that has it.
    pub curves: Vec<RunCurve>,
}

/// A setting in several runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingRow {
    /// Dotted key.
    pub key: String,
    /// Value in each run, in the order of the runs; absent where the run has no such setting.
    pub values: Vec<Option<String>>,
}

/// A metric of a run over its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunCurve {
    /// Folder of the run.
    pub folder: PathBuf,
    /// Name of the metric.
    pub metric: String,
    /// Samples that it was measured on: `train` or `validation`.
    pub split: String,
    /// Steps and values; those that are not finite are left out.
    pub points: Vec<(u64, f64)>,
}
