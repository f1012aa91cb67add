//! Room on the disk for a checkpoint.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burnformer_core::available_space;

use crate::gradients::trained_parameters;
use crate::{TrainConfig, TrainError, checkpoint};

/// Beside weights and moments: settings, tokenizer, names.
const SMALL_FILES: u64 = 1 << 20;

/// Makes sure that there is room for one more checkpoint of `model` in the folder `checkpoints`.
pub(crate) fn check<M: Module>(model: &M, config: &TrainConfig, checkpoints: &Path) -> Result<(), TrainError> {
    let latest = checkpoint::steps(checkpoints)?.pop().map(|step| size(&checkpoint::path(checkpoints, step)));
    require(estimate(model, config).max(latest.unwrap_or(0)), checkpoints)
}

/// Number of bytes of a checkpoint.
fn estimate<M: Module>(model: &M, config: &TrainConfig) -> u64 {
    const FLOAT: u64 = 4;
    let n_trained: usize = trained_parameters(model).values().map(burn::tensor::Shape::num_elements).sum();
    // Beside the average there are the weights that were trained.
    let n_copies = config.optimizer.n_moments() as u64 + u64::from(config.ema_decay.is_some());
    FLOAT * (model.num_params() as u64 + n_copies * n_trained as u64) + SMALL_FILES
}

/// Number of bytes in the files of a folder.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len()).sum()
}

fn require(needed: u64, folder: &Path) -> Result<(), TrainError> {
    match available_space(folder) {
        Ok(free) if free < needed => Err(TrainError::DiskFull { folder: folder.to_owned(), needed, free }),
        // What the system does not say, the writing will show.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use burnformer_nn::LinearConfig;
    use burnformer_ops::DeviceChoice;

    use super::*;
    use crate::{OptimizerConfig, SgdConfig};

    #[test]
    fn a_full_disk_is_said_with_its_folder_and_both_sizes() {
        let folder = tempfile::tempdir().unwrap();
        require(1, folder.path()).unwrap();
        let error = require(u64::MAX, folder.path()).unwrap_err();
        let TrainError::DiskFull { free, .. } = error else { panic!("{error:?}") };
        assert!(free > 0);
        let path = folder.path().display();
        let expected = format!(
            "a checkpoint takes {} bytes, but `{path}` has {free} left: make room and resume, or set fewer checkpoints to keep",
            u64::MAX
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn weights_and_moments_are_counted() {
        let model = LinearConfig::new(3, 5).init(&DeviceChoice::Auto.open().unwrap().autodiff());
        let n_weights = 3 * 5 + 5;
        let config = TrainConfig::default();
        assert_eq!(estimate(&model, &config), 3 * 4 * n_weights + SMALL_FILES);
        let averaged = TrainConfig { ema_decay: Some(0.9), ..TrainConfig::default() };
        assert_eq!(estimate(&model, &averaged), 4 * 4 * n_weights + SMALL_FILES);
        let sgd = SgdConfig { learning_rate: 0.1, momentum: 0.0, weight_decay: 0.0 };
        let without_moments = TrainConfig { optimizer: OptimizerConfig::Sgd(sgd), ..TrainConfig::default() };
        assert_eq!(estimate(&model, &without_moments), 4 * n_weights + SMALL_FILES);
        assert_eq!(estimate(&model.no_grad(), &config), 4 * n_weights + SMALL_FILES);
    }

    #[test]
    fn the_size_of_a_folder_is_that_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        for (name, length) in [("a", 300), ("b", 45)] {
            fs::write(folder.path().join(name), vec![0; length]).unwrap();
        }
        assert_eq!(size(folder.path()), 345);
        assert_eq!(size(&folder.path().join("missing")), 0);
    }
}
