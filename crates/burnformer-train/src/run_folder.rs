//! The folder of a run.

use std::fs;
use std::path::{Path, PathBuf};

use burnformer_core::files::{FileError, atomic_write, atomic_write_bytes, open_regular, remove_leftovers};
use burnformer_core::lock::FolderLock;
use burnformer_models::WEIGHTS_FILE;

use crate::checkpoint;
use crate::{HistoryEntry, RunProgress, TrainError, learning_curves};

/// The resolved settings of a run.
const SETTINGS_FILE: &str = "run.toml";
/// The settings that the checkpoints were made with, for comparison with the ones that people may edit.
const BEGUN_SETTINGS_FILE: &str = "checkpoints.toml";
/// The metrics of a run.
const METRICS_FILE: &str = "metrics.jsonl";
/// The metrics as a picture.
const CURVES_FILE: &str = "learning_curves.svg";
/// The model card.
const CARD_FILE: &str = "README.md";
/// The report on the data.
const DATA_FILE: &str = "data_report.json";
/// The folder of the checkpoints.
const CHECKPOINTS: &str = "checkpoints";

/// A run's folder, locked as long as this lives.
///
/// ```text
/// run.toml                 resolved settings
/// data_report.json         what is in the data, if the recipe reports on it
/// metrics.jsonl            one line per report
/// learning_curves.svg      the same as a picture
/// confusion_matrix.svg …   pictures of the scores of the best model
/// events.out.tfevents.…    the same for TensorBoard, with `train.tensorboard`
/// checkpoints.toml         the settings that the latest checkpoint was made with
/// checkpoints/step-N/      a model folder, `optimizer.safetensors` and `state.json`; with `train.ema_decay` the model is the
///                          average, and `trained.safetensors` has the weights
/// config.json …            the best model, in Hugging Face's format, with README.md
/// ```
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Settings that replace the present ones once a checkpoint is accepted.
    settings: Option<String>,
    /// Absent for a process that only reads.
    _lock: Option<FolderLock>,
}

impl RunFolder {
    /// Creates a run with these settings in a new or empty folder, or in what a process left that was killed while it did so.
    ///
    /// # Errors
    /// If the folder is not empty or cannot be written.
    pub fn create(path: &Path, settings: &str) -> Result<Self, TrainError> {
        Self::check_free(path)?;
        let checkpoints = Self::checkpoints_of(path);
        let created = fs::create_dir_all(&checkpoints);
        created.map_err(|source| FileError::Io { attempt: "create", path: checkpoints, source })?;
        let folder = Self { path: path.to_owned(), settings: None, _lock: Some(FolderLock::acquire(path)?) };
        // Until it was locked, another process may have begun a run here.
        Self::check_free(path)?;
        folder.sweep()?;
        // The settings make a folder that of a run: until they are there, another one may begin here.
        folder.write_settings(settings)?;
        Ok(folder)
    }

    /// Checks that a run can be created in `path`, without changing anything.
    ///
    /// # Errors
    /// If the folder holds something.
    pub fn check_free(path: &Path) -> Result<(), TrainError> {
        if path.join(SETTINGS_FILE).exists() {
            return Err(TrainError::RunExists { folder: path.to_owned() });
        }
        let Ok(mut entries) = fs::read_dir(path) else { return Ok(()) };
        let foreign = entries.find_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Hidden files, and the folder of the checkpoints before there are any, are what a killed process leaves.
            let is_left_over = name.starts_with('.') || (name == CHECKPOINTS && is_empty(&entry.path()));
            (!is_left_over).then_some(name)
        });
        match foreign {
            Some(file) => Err(TrainError::Occupied { folder: path.to_owned(), file }),
            None => Ok(()),
        }
    }

    /// Opens the folder of a run to resume it.
    ///
    /// # Errors
    /// If there is no run, or another process works in it.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        if !path.join(SETTINGS_FILE).is_file() {
            return Err(TrainError::NotARun { folder: path.to_owned() });
        }
        let folder = Self { path: path.to_owned(), settings: None, _lock: Some(FolderLock::acquire(path)?) };
        folder.sweep()?;
        Ok(folder)
    }

    /// Finishes or removes what a killed process left half done.
    fn sweep(&self) -> Result<(), TrainError> {
        let checkpoints = self.checkpoints();
        remove_leftovers(&self.path)?;
        if checkpoints.is_dir() {
            remove_leftovers(&checkpoints)?;
            checkpoint::recover(&checkpoints)?;
        }
        Ok(())
    }

    /// `true` if the run has, or has had, a checkpoint to resume from. If not, nothing was trained that could be lost, and
    /// [`Trainer::start`](crate::Trainer::start) starts it anew in this folder.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn has_begun(&self) -> Result<bool, TrainError> {
        let checkpoints = self.checkpoints();
        Ok(self.path.join(WEIGHTS_FILE).exists()
            || (checkpoints.is_dir() && !checkpoint::steps(&checkpoints)?.is_empty()))
    }

    /// Makes sure that there is a folder for checkpoints.
    pub(crate) fn create_checkpoints(&self) -> Result<(), TrainError> {
        let path = self.checkpoints();
        Ok(fs::create_dir_all(&path).map_err(|source| FileError::Io { attempt: "create", path, source })?)
    }

    /// Opens the folder of a run that another process, rank 0 of a [`Collective`](crate::Collective), has created or opened:
    /// for the other ranks, which only read it.
    ///
    /// # Errors
    /// If there is no run.
    pub fn join(path: &Path) -> Result<Self, TrainError> {
        if !path.join(SETTINGS_FILE).is_file() {
            return Err(TrainError::NotARun { folder: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), settings: None, _lock: None })
    }

    /// The file with the settings of the run in `path`.
    #[must_use]
    pub fn settings_file(path: &Path) -> PathBuf {
        path.join(SETTINGS_FILE)
    }

    /// The file with the settings that the latest checkpoint of the run in `path` was made with. Runs of version 0.1.0 have
    /// none until they are resumed.
    #[must_use]
    pub fn begun_settings_file(path: &Path) -> PathBuf {
        path.join(BEGUN_SETTINGS_FILE)
    }

    /// The latest checkpoint of the run in `path` that is whole, which is a model folder too; `None` if there is none.
    #[must_use]
    pub fn latest_checkpoint(path: &Path) -> Option<PathBuf> {
        let checkpoints = Self::checkpoints_of(path);
        let steps = checkpoint::steps(&checkpoints).unwrap_or_default();
        steps
            .into_iter()
            .rev()
            .map(|step| checkpoint::path(&checkpoints, step))
            .find(|it| checkpoint::verify(it).is_ok())
    }

    /// How far the run in `path` is by its latest readable checkpoint, without looking at the other files of it and without a
    /// lock; `None` if there is no checkpoint.
    #[must_use]
    pub fn progress(path: &Path) -> Option<RunProgress> {
        let checkpoints = Self::checkpoints_of(path);
        let steps = checkpoint::steps(&checkpoints).ok()?;
        steps.into_iter().rev().find_map(|step| checkpoint::progress(&checkpoint::path(&checkpoints, step)))
    }

    /// The file with the metrics of the run in `path`.
    #[must_use]
    pub fn metrics_file(path: &Path) -> PathBuf {
        path.join(METRICS_FILE)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the settings by these once a checkpoint is accepted, before the first step.
    #[must_use]
    pub fn with_settings(self, settings: String) -> Self {
        Self { settings: Some(settings), ..self }
    }

    /// Writes the settings that were to replace the present ones, if there are any.
    pub(crate) fn accept_settings(&self) -> Result<(), TrainError> {
        self.settings.as_ref().map_or(Ok(()), |settings| self.write_settings(settings))
    }

    /// Writes the file for people first: after a crash between the two, what has changed is found again.
    fn write_settings(&self, settings: &str) -> Result<(), TrainError> {
        atomic_write_bytes(&self.path.join(SETTINGS_FILE), settings)?;
        Ok(atomic_write_bytes(&Self::begun_settings_file(&self.path), settings)?)
    }

    /// Writes the model card.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_card(&self, card: &str) -> Result<(), TrainError> {
        Ok(atomic_write_bytes(&self.path.join(CARD_FILE), card)?)
    }

    /// Writes `data_report.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_data_report(&self, json: &str) -> Result<(), TrainError> {
        Ok(atomic_write_bytes(&self.path.join(DATA_FILE), json)?)
    }

    /// Writes a picture, an SVG document.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_picture(&self, name: &str, svg: &str) -> Result<(), TrainError> {
        Ok(atomic_write_bytes(&self.path.join(name), svg)?)
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        Self::checkpoints_of(&self.path)
    }

    /// The folder of the checkpoints of the run in `path`.
    pub(crate) fn checkpoints_of(path: &Path) -> PathBuf {
        path.join(CHECKPOINTS)
    }

    pub(crate) fn metrics(&self) -> PathBuf {
        Self::metrics_file(&self.path)
    }

    /// Draws the learning curves.
    pub(crate) fn draw(&self, entries: &[HistoryEntry]) -> Result<(), TrainError> {
        if entries.is_empty() {
            return Ok(());
        }
        let title = self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(atomic_write_bytes(&self.path.join(CURVES_FILE), learning_curves(entries, &title)?)?)
    }

    /// Copies the model of a checkpoint to the top of the folder, the weights last.
    pub(crate) fn publish(&self, step: u64) -> Result<(), TrainError> {
        let from = checkpoint::path(&self.checkpoints(), step);
        checkpoint::verify(&from)?;
        for name in checkpoint::model_files(&from)? {
            let path = from.join(&name);
            if let Some(within) = name.parent().filter(|within| !within.as_os_str().is_empty()) {
                let folder = self.path.join(within);
                let failed = |source| FileError::Io { attempt: "create", path: folder.clone(), source };
                fs::create_dir_all(&folder).map_err(failed)?;
            }
            let mut file = open_regular(&path).map_err(|source| TrainError::Read { path: path.clone(), source })?;
            atomic_write(&self.path.join(&name), |target| std::io::copy(&mut file, target).map(drop))?;
        }
        Ok(())
    }
}

/// `true` for a folder that holds nothing but hidden files.
fn is_empty(folder: &Path) -> bool {
    let is_hidden = |entry: std::io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().starts_with(b"."))
    };
    fs::read_dir(folder).is_ok_and(|mut entries| entries.all(is_hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is there after each action of [`RunFolder::create`] before the last one.
    #[test]
    fn a_run_begins_in_what_a_killed_start_left() {
        let debris: [&[&str]; 4] =
            [&[], &["checkpoints/"], &["checkpoints/", ".lock"], &["checkpoints/", ".lock", ".unfinished-abc"]];
        for names in debris {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("run");
            fs::create_dir(&path).unwrap();
            for name in names {
                match name.strip_suffix('/') {
                    Some(folder) => fs::create_dir(path.join(folder)).unwrap(),
                    None => fs::write(path.join(name), "1").unwrap(),
                }
            }
            RunFolder::check_free(&path).unwrap();
            let folder = RunFolder::create(&path, "seed = 1\n").unwrap();
            assert_eq!(fs::read_to_string(path.join(SETTINGS_FILE)).unwrap(), "seed = 1\n");
            assert!(!path.join(".unfinished-abc").exists() && !folder.has_begun().unwrap(), "{names:?}");
            drop(folder);
            assert!(!RunFolder::open(&path).unwrap().has_begun().unwrap(), "{names:?}");
        }
    }

    #[test]
    fn a_folder_with_checkpoints_is_no_leftover() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("checkpoints/step-5")).unwrap();
        let error = RunFolder::create(place.path(), "").unwrap_err();
        assert!(error.to_string().contains("holds other files (`checkpoints`)"), "{error}");
        fs::write(place.path().join(SETTINGS_FILE), "").unwrap();
        assert!(RunFolder::open(place.path()).unwrap().has_begun().unwrap());
    }

    /// Killed while a checkpoint took the place of another one of the same step.
    #[test]
    fn a_checkpoint_that_was_being_replaced_is_put_back() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        drop(RunFolder::create(&run, "").unwrap());
        let checkpoints = run.join(CHECKPOINTS);
        for name in [".step-5.replaced", ".step-7.replaced", "step-7", ".unfinished-step-3"] {
            fs::create_dir(checkpoints.join(name)).unwrap();
        }
        let folder = RunFolder::open(&run).unwrap();
        assert!(folder.has_begun().unwrap());
        let mut names: Vec<_> = fs::read_dir(&checkpoints).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["step-5", "step-7"]);
    }
}
