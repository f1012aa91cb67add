//! Averaging of checkpoints.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use burnformer_models::weights::{Weights, write_mean};
use burnformer_models::{ADAPTER_WEIGHTS_FILE, WEIGHTS_FILE};

use crate::{RunFolder, TrainError, checkpoint};

/// Averages the weights of the latest `n` scheduled checkpoints of the run in `run`, or those of its adapters, writes the model to the existing folder `out`,
/// and returns the steps of the checkpoints. Checkpoints by time, signal or interruption are left out.
///
/// Source: Vaswani et al. 2017, section 6.1, who average the last 5, or 20 of the big model.
///
/// # Errors
/// If there is no such run, it has fewer checkpoints, or one of them is damaged; or the model cannot be written.
pub fn average_checkpoints(run: &Path, n: usize, out: &Path) -> Result<Vec<u64>, TrainError> {
    if !RunFolder::settings_file(run).is_file() {
        return Err(TrainError::NotARun { folder: run.to_owned() });
    }
    let checkpoints = RunFolder::checkpoints_of(run);
    let mut steps = checkpoint::scheduled_steps(&checkpoints)?;
    // That of a run that has not begun is no result.
    steps.retain(|&step| step > 0);
    if n == 0 || steps.len() < n {
        return Err(TrainError::TooFewCheckpoints { folder: run.to_owned(), found: steps.len(), wanted: n });
    }
    let steps = steps.split_off(steps.len() - n);
    let folders: Vec<_> = steps.iter().map(|&step| checkpoint::path(&checkpoints, step)).collect();
    folders.iter().try_for_each(|folder| checkpoint::verify(folder))?;
    let latest = &folders[n - 1];
    for name in checkpoint::model_files(latest)? {
        let (path, target) = (latest.join(&name), out.join(&name));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|source| TrainError::Read { path: parent.to_owned(), source })?;
        }
        if [WEIGHTS_FILE, ADAPTER_WEIGHTS_FILE].into_iter().any(|file| name.file_name() == Some(OsStr::new(file))) {
            let open = |folder: &PathBuf| Weights::open(&folder.join(&name)).map_err(TrainError::task);
            let mut weights = folders.iter().map(open).collect::<Result<Vec<_>, _>>()?;
            write_mean(&mut weights, &target).map_err(TrainError::task)?;
        } else {
            fs::copy(&path, target).map_err(|source| TrainError::Read { path, source })?;
        }
    }
    Ok(steps)
}
