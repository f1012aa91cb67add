//! The interface between a training loop and a task.

use std::error::Error;
use std::fmt::Debug;
use std::ops::AddAssign;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::progress::{Interrupt, Interrupted};
use burnformer_data::DataError;
use burnformer_data::batches::Batch;
use burnformer_nn::DropoutRng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{ScoreValues, Scores, ScoresError};

/// A training objective: how a batch becomes a loss, and the scores of batches metrics.
pub trait Task: Send + Sync {
    /// The model to train.
    type Model: Module;
    /// The batches it is trained on.
    type Batch: Batch;
    /// What the losses of a step are divided by: how many tokens or examples they were summed over.
    type Counts: Copy + Default + AddAssign + Serialize + DeserializeOwned + Send + Sync;
    /// Sums of scores, from which metrics are computed.
    type MetricState: MetricState;
    /// What can go wrong: [`TaskError`](crate::TaskError), or an error of the task's own crate.
    type Error: Error + Send + Sync + From<DataError> + From<ScoresError> + From<Interrupted> + 'static;

    /// How many tokens or examples of `batch` are predicted.
    fn counts(&self, batch: &Self::Batch) -> Self::Counts;

    /// The share of `batch` in a step's loss: sums over the batch, divided by `totals`, the counts of the whole step. So the
    /// step's loss and gradient do not depend on how it is cut into batches.
    fn forward(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        totals: &Self::Counts,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward;

    /// The metrics' state before the first batch.
    fn metric_state(&self) -> Self::MetricState;

    /// Adds [`Forward::scores`] of `batch`, read from the device.
    ///
    /// # Errors
    /// If a score is missing or has another length than expected.
    fn add_scores(
        &self,
        metric_state: &mut Self::MetricState,
        batch: &Self::Batch,
        scores: &ScoreValues,
    ) -> Result<(), Self::Error>;

    /// Adds scores that need whole answers of `model` to `batch`, such as the quality of translations. Called in
    /// evaluations, after [`Self::forward`], not in training. By default there are none.
    ///
    /// # Errors
    /// If the device fails, or on request of `interrupt`.
    fn add_answers(
        &self,
        _metric_state: &mut Self::MetricState,
        _model: &Self::Model,
        _batch: &Self::Batch,
        _interrupt: &Interrupt,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Writes the model and all that is needed to use it into an existing folder.
    ///
    /// # Errors
    /// If something cannot be written.
    fn save(&self, model: &Self::Model, folder: &Path) -> Result<(), Self::Error>;

    /// Reads the model that [`Self::save`] wrote.
    ///
    /// # Errors
    /// If the folder holds no such model.
    fn load(&self, folder: &Path, device: &Device) -> Result<Self::Model, Self::Error>;
}

/// The result of a forward pass.
#[derive(Debug)]
pub struct Forward {
    /// The share of the batch in the step's loss, `[1]`, to be differentiated.
    pub loss: Tensor<1>,
    /// What [`Task::add_scores`] needs, by name.
    pub scores: Scores,
}

/// Sums over batches, from which metrics are computed. Written to a checkpoint and read back, they are the same to the bit.
pub trait MetricState: Clone + Debug + Serialize + DeserializeOwned + Send {
    /// Adds the sums of other batches, such as those of another process.
    fn merge(&mut self, other: Self);

    /// Every metric, the loss first.
    fn metrics(&self) -> Vec<Metric>;

    /// What the best model is chosen by: greater is better.
    fn quality(&self) -> f64;
}

/// A number with a name, such as `mlm_accuracy`.
pub type Metric = (&'static str, f64);
