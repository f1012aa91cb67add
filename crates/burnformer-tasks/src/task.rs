//! What a training loop needs to know of a task.

use std::fmt::Debug;
use std::ops::AddAssign;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::progress::Interrupt;
use burnformer_data::batches::Batch;
use burnformer_nn::DropoutRng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::TaskError;

/// What a model is trained for.
pub trait Task: Send + Sync {
    /// What is trained.
    type Model: Module;
    /// What it is trained on.
    type Batch: Batch;
    /// What the losses of a step are divided by: how many tokens or examples they were summed over.
    type Counts: Copy + Default + AddAssign + Send;
    /// What adds up to metrics.
    type MetricState: MetricState;

    /// How many tokens or examples of `batch` are predicted.
    fn counts(&self, batch: &Self::Batch) -> Self::Counts;

    /// The part of `batch` in a step's loss, whose sums are divided by `totals`, the counts of the whole step: so the
    /// step's loss and gradient do not depend on how it is cut into batches.
    fn forward(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        totals: &Self::Counts,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward;

    /// A tally of nothing.
    fn metric_state(&self) -> Self::MetricState;

    /// Adds [`Forward::scores`] of `batch`, read from the device.
    fn add_scores(&self, metric_state: &mut Self::MetricState, batch: &Self::Batch, scores: &[f64]);

    /// Adds what only a whole answer of `model` to `batch` tells, such as the quality of a translation. Asked for in
    /// evaluations, beside [`Self::forward`], and not in training; there need be nothing of that kind.
    ///
    /// # Errors
    /// If the device fails, or on request of `interrupt`.
    fn add_answers(
        &self,
        _tally: &mut Self::MetricState,
        _model: &Self::Model,
        _batch: &Self::Batch,
        _interrupt: &Interrupt,
    ) -> Result<(), TaskError> {
        Ok(())
    }

    /// Writes the model and all that is needed to use it into an existing folder.
    ///
    /// # Errors
    /// If something cannot be written.
    fn save(&self, model: &Self::Model, folder: &Path) -> Result<(), TaskError>;

    /// Reads the model that [`Self::save`] wrote.
    ///
    /// # Errors
    /// If the folder holds no such model.
    fn load(&self, folder: &Path, device: &Device) -> Result<Self::Model, TaskError>;
}

/// What a forward pass leaves.
#[derive(Debug)]
pub struct Forward {
    /// `[1]`, to be differentiated.
    pub loss: Tensor<1>,
    /// `[n]`, without gradient: what [`Task::add_scores`] needs, in one tensor, so that it is read at once.
    pub scores: Tensor<1>,
}

/// Numbers that add up over batches and give metrics. Written to a checkpoint and read back, they are the same to the bit.
pub trait MetricState: Clone + Debug + Serialize + DeserializeOwned + Send {
    /// Every metric, the loss first.
    fn metrics(&self) -> Vec<Metric>;

    /// What the best model is chosen by: greater is better.
    fn quality(&self) -> f64;
}

/// A number with a name, such as `mlm_accuracy`.
pub type Metric = (&'static str, f64);
