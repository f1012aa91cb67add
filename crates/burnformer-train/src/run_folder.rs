//! The folder of a run.

use std::fs;
use std::path::{Path, PathBuf};

use burnformer_core::files::{FileError, atomic_write, atomic_write_bytes, remove_leftovers};
use burnformer_core::lock::FolderLock;

use crate::checkpoint;
use crate::{HistoryEntry, TrainError, learning_curves};

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
/// The folder of the checkpoints.
const CHECKPOINTS: &str = "checkpoints";

/// A run's folder, locked as long as this lives.
///
/// ```text
/// run.toml                 resolved settings
/// metrics.jsonl            one line per report
/// learning_curves.svg      the same as a picture
/// checkpoints.toml         the settings that the latest checkpoint was made with
/// checkpoints/step-N/      a model folder, `optimizer.safetensors` and `state.json`
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
    /// Creates a run with these settings in a new or empty folder.
    ///
    /// # Errors
    /// If the folder is not empty or cannot be written.
    pub fn create(path: &Path, settings: &str) -> Result<Self, TrainError> {
        Self::check_free(path)?;
        let checkpoints = path.join(CHECKPOINTS);
        fs::create_dir_all(&checkpoints).map_err(|source| FileError::Io {
            attempt: "create",
            path: checkpoints.clone(),
            source,
        })?;
        let folder = Self { path: path.to_owned(), settings: None, _lock: Some(FolderLock::acquire(path)?) };
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
            let name = entry.ok()?.file_name().to_string_lossy().into_owned();
            (!name.starts_with('.')).then_some(name)
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
        for folder in [folder.path.clone(), folder.checkpoints()] {
            if folder.is_dir() {
                remove_leftovers(&folder)?;
            }
        }
        Ok(folder)
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
        for name in checkpoint::model_files(&from)? {
            let path = from.join(&name);
            let mut file = fs::File::open(&path).map_err(|source| TrainError::Read { path: path.clone(), source })?;
            atomic_write(&self.path.join(&name), |target| std::io::copy(&mut file, target).map(drop))?;
        }
        Ok(())
    }
}
