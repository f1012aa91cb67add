//! Run folders: which there are, how far they are, and how they compare.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use burnformer_core::lock::FolderLock;
use burnformer_core::progress::{Interrupt, Interrupted};
use burnformer_reports::{
    BestEvaluation, DamagedRun, Metrics, RunComparison, RunCurve, RunEntry, RunState, RunsReport, SettingRow,
};
use burnformer_train::{History, HistoryEntry, RunFolder, RunProgress, TrainError, runs_picture};
use serde_json::Value;

use crate::changes::flat;
use crate::recipe_name::{any_settings, chosen_by, recipe_of};
use crate::{RecipeError, causes};

/// Number of levels of folders in which runs are looked for.
const DEPTH: usize = 4;

/// Run folders, read without locking or changing them, also while a process works in them.
#[derive(Debug)]
pub struct Runs {
    runs: Vec<Run>,
    damaged: Vec<DamagedRun>,
}

/// A run folder that was read.
#[derive(Debug)]
struct Run {
    entry: RunEntry,
    /// Values by dotted keys.
    settings: BTreeMap<String, Value>,
    history: Vec<HistoryEntry>,
}

impl Runs {
    /// Reads the runs in `folders`, each a run folder or a folder with run folders below it. Folders that cannot be read are
    /// left for [`Self::report`] to name.
    ///
    /// # Errors
    /// [`RecipeError::NoRuns`] if there is no run at all; an interruption.
    pub fn find(folders: &[impl AsRef<Path>], interrupt: &Interrupt) -> Result<Self, RecipeError> {
        let (mut found, mut damaged) = (BTreeSet::new(), Vec::new());
        for folder in folders.iter().map(AsRef::as_ref) {
            let before = (found.len(), damaged.len());
            search(folder, DEPTH, interrupt, &mut found, &mut damaged)?;
            let is_known = found.iter().any(|run: &PathBuf| run.starts_with(folder));
            if (found.len(), damaged.len()) == before && !is_known {
                damaged.push(DamagedRun { folder: folder.to_owned(), problem: "found no run folder in it".to_owned() });
            }
        }
        let mut runs = Vec::new();
        for folder in found {
            interrupt.check()?;
            match Run::read(&folder) {
                Ok(run) => runs.push(run),
                Err(error) => damaged.push(DamagedRun { folder, problem: causes(&error).join(": ") }),
            }
        }
        if runs.is_empty() && damaged.iter().all(|it| !RunFolder::settings_file(&it.folder).is_file()) {
            let folders = folders.iter().map(|folder| folder.as_ref().display().to_string()).collect();
            return Err(RecipeError::NoRuns { folders });
        }
        Ok(Self { runs, damaged })
    }

    /// The runs, and with `compare` the settings in which they differ and the curves of `metric`.
    ///
    /// # Errors
    /// [`RecipeError::NoMetric`] if no run has the metric.
    pub fn report(&self, compare: bool, metric: &str) -> Result<RunsReport, RecipeError> {
        let comparison = match compare {
            true => Some(RunComparison { settings: self.settings(), curves: self.curves(metric)? }),
            false => None,
        };
        let runs = self.runs.iter().map(|run| run.entry.clone()).collect();
        Ok(RunsReport { runs, damaged: self.damaged.clone(), comparison })
    }

    /// The curves of all metrics as an SVG document, a panel per metric with a line per run: of the validation samples, or of
    /// the training samples where the metric is measured on those only.
    ///
    /// # Errors
    /// If there is nothing to draw.
    pub fn picture(&self) -> Result<String, RecipeError> {
        let names = self.names();
        let runs: Vec<_> = names.iter().zip(&self.runs).map(|(name, run)| (name.as_str(), &*run.history)).collect();
        Ok(runs_picture(&runs).map_err(TrainError::from)?)
    }

    /// The folders, each once.
    fn names(&self) -> Vec<String> {
        self.runs.iter().map(|run| run.entry.folder.display().to_string()).collect()
    }

    /// The settings that are not the same in all runs.
    fn settings(&self) -> Vec<SettingRow> {
        let keys: BTreeSet<&String> = self.runs.iter().flat_map(|run| run.settings.keys()).collect();
        let row = |key: &String| {
            let values = self.runs.iter().map(|run| run.settings.get(key).map(shown)).collect();
            SettingRow { key: key.clone(), values }
        };
        let rows = keys.into_iter().map(row);
        rows.filter(|row| row.values.iter().any(|value| *value != row.values[0])).collect()
    }

    fn curves(&self, metric: &str) -> Result<Vec<RunCurve>, RecipeError> {
        let curves: Vec<_> = self.runs.iter().filter_map(|run| run.curve(metric)).collect();
        if curves.is_empty() && self.runs.iter().any(|run| !run.history.is_empty()) {
            let values = self.runs.iter().flat_map(|run| &run.history).flat_map(|entry| &entry.values);
            let known: BTreeSet<String> = values.map(|(name, _)| name.clone()).collect();
            return Err(RecipeError::NoMetric { name: metric.to_owned(), known: known.into_iter().collect() });
        }
        Ok(curves)
    }
}

impl Run {
    fn read(folder: &Path) -> Result<Self, RecipeError> {
        let settings = any_settings(folder)?;
        let recipe = recipe_of(&settings).map(str::to_owned);
        let chosen_by = chosen_by(&settings);
        let settings = flat(settings);
        let steps = settings
            .get("train.steps")
            .and_then(Value::as_u64)
            .ok_or_else(|| RecipeError::NoSteps { file: RunFolder::settings_file(folder) })?;
        let file = RunFolder::metrics_file(folder);
        let history = if file.is_file() { History::read(&file).map_err(TrainError::from)? } else { Vec::new() };
        let progress = RunFolder::progress(folder).unwrap_or_default();
        let modified = fs::metadata(&file).and_then(|it| it.modified()).ok();
        let is_running = FolderLock::holder(folder).is_some();
        let patience = settings.get("train.patience").and_then(Value::as_u64);
        let logged = history.last().map_or(0, |entry| entry.step);
        let entry = RunEntry {
            folder: folder.to_owned(),
            recipe,
            state: state(is_running, &progress, steps, patience),
            step: if is_running { logged.max(progress.step) } else { progress.step },
            steps,
            best: progress.best_step.and_then(|step| best(&history, step, chosen_by)),
            modified_unix_s: modified.and_then(|time| Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())),
        };
        Ok(Self { entry, settings, history })
    }

    /// The values of `metric`, of the validation samples if there are any.
    fn curve(&self, metric: &str) -> Option<RunCurve> {
        let of = |split: &str| {
            let entries = self.history.iter().filter(|entry| entry.split == split);
            let points: Vec<_> = entries
                .filter_map(|entry| Some((entry.step, entry.value(metric).filter(|value| value.is_finite())?)))
                .collect();
            let folder = self.entry.folder.clone();
            let is_empty = points.is_empty();
            (!is_empty).then(|| RunCurve { folder, metric: metric.to_owned(), split: split.to_owned(), points })
        };
        of("validation").or_else(|| of("train"))
    }
}

/// A run that has done its steps, or whose patience has ended, has finished.
fn state(is_running: bool, progress: &RunProgress, steps: u64, patience: Option<u64>) -> RunState {
    let is_patient = patience.is_none_or(|patience| progress.evaluations_without_improvement < patience);
    match (is_running, progress.step < steps && is_patient) {
        (true, _) => RunState::Running,
        (false, true) => RunState::Interrupted,
        (false, false) => RunState::Finished,
    }
}

/// What was measured on the validation samples after `step`, which was chosen by that metric.
fn best(history: &[HistoryEntry], step: u64, chosen_by: Option<&str>) -> Option<BestEvaluation> {
    let entry = history.iter().find(|entry| entry.step == step && entry.split == "validation")?;
    let chosen_by = chosen_by.filter(|name| entry.value(name).is_some()).map(str::to_owned);
    Some(BestEvaluation { step, chosen_by, metrics: Metrics(entry.values.clone()) })
}

/// A value of a setting as text: text without quotes.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Adds the run folders in `folder` and below to `found`, and folders that cannot be listed to `damaged`.
fn search(
    folder: &Path,
    depth: usize,
    interrupt: &Interrupt,
    found: &mut BTreeSet<PathBuf>,
    damaged: &mut Vec<DamagedRun>,
) -> Result<(), Interrupted> {
    interrupt.check()?;
    if RunFolder::settings_file(folder).is_file() {
        found.insert(folder.to_owned());
        return Ok(());
    }
    let listed = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = match listed {
        Ok(entries) => entries,
        Err(error) => {
            damaged.push(DamagedRun { folder: folder.to_owned(), problem: format!("cannot be listed: {error}") });
            return Ok(());
        }
    };
    for entry in entries {
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if depth > 1 && !is_hidden && entry.path().is_dir() {
            search(&entry.path(), depth - 1, interrupt, found, damaged)?;
        }
    }
    Ok(())
}
