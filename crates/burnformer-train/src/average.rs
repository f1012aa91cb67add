//! Averaging of checkpoints.

use std::fs;
use std::path::Path;

use burnformer_models::WEIGHTS_FILE;
use burnformer_models::weights::{Weights, write_mean};

use crate::{RunFolder, TrainError, checkpoint};

/// Averages the weights of the latest `n` scheduled checkpoints of the run in `run`, writes the model to the existing folder `out`,
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
        let path = latest.join(&name);
        if name != WEIGHTS_FILE {
            fs::copy(&path, out.join(&name)).map_err(|source| TrainError::Read { path, source })?;
        }
    }
    let mut weights = Vec::new();
    for folder in &folders {
        weights.push(Weights::open(&folder.join(WEIGHTS_FILE)).map_err(TrainError::task)?);
    }
    write_mean(&mut weights, &out.join(WEIGHTS_FILE)).map_err(TrainError::task)?;
    Ok(steps)
}
