//! The interface between a training loop and a task.

use std::error::Error;
use std::fmt::Debug;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::collective::CollectiveError;
use burnformer_core::progress::{Interrupt, Interrupted};
use burnformer_data::DataError;
use burnformer_data::batches::Batch;
use burnformer_models::Staged;
use burnformer_nn::DropoutRng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{ScoreValues, Scores, ScoresError};

/// A training objective: the loss and the scores of a batch, and the metrics computed from scores.
pub trait Task: Send + Sync {
    /// The model to train.
    type Model: Module;
    /// Batches of the task.
    type Batch: Batch;
    /// Numbers of tokens or examples, which the losses of a step are divided by.
    type Counts: Copy + Default + AddAssign + Serialize + DeserializeOwned + Send + Sync;
    /// Sums of scores, from which metrics are computed.
    type MetricState: MetricState;
    /// Error type: [`TaskError`](crate::TaskError), or an error of the task's own crate.
    type Error: Error
        + Send
        + Sync
        + From<DataError>
        + From<ScoresError>
        + From<Interrupted>
        + From<CollectiveError>
        + 'static;

    /// Number of predicted tokens or examples in `batch`.
    fn counts(&self, batch: &Self::Batch) -> Self::Counts;

    /// Loss and scores of `batch`. The loss is summed over the batch and divided by `totals`, the counts of the whole
    /// step, so the step's loss and gradient do not depend on how it is cut into batches.
    fn forward(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        totals: &Self::Counts,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward;

    /// The layers of the model, where several processes can run them one behind the other; by default they cannot.
    fn staged(&self) -> Option<Arc<dyn Staged>> {
        None
    }

    /// The part of [`Self::forward`] in front of the head, with the same random draws: what a
    /// [stage](burnformer_nn::pipeline::run_stage) other than the last one runs. Called only of a model that is
    /// [`staged`](Self::staged).
    fn body(&self, _model: &Self::Model, _batch: &Self::Batch, _rng: DropoutRng, _device: &Device) {}

    /// The metrics' state before the first batch.
    fn metric_state(&self) -> Self::MetricState;

    /// The state before the first batch of an evaluation whose scores are reported. It may keep more than
    /// [`Self::metric_state`], which is the default: what belongs to single rows.
    fn detailed_metric_state(&self) -> Self::MetricState {
        self.metric_state()
    }

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

    /// Adds scores that need `model` to generate, such as the BLEU of translations. Called in
    /// evaluations only, after [`Self::forward`]. The default adds nothing.
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

    /// Writes the model and everything needed to use it into an existing folder.
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
    /// The batch's part of the step's loss, `[1]`, to be differentiated.
    pub loss: Tensor<1>,
    /// Scores by name, for [`Task::add_scores`].
    pub scores: Scores,
}

/// Sums over batches, from which metrics are computed. A checkpoint restores them bit for bit.
pub trait MetricState: Clone + Debug + Serialize + DeserializeOwned + Send {
    /// Adds the sums of other batches, such as those of another process.
    fn merge(&mut self, other: Self);

    /// Every metric, the loss first.
    fn metrics(&self) -> Vec<Metric>;

    /// Score that selects the best model: greater is better.
    fn quality(&self) -> f64;
}

/// A number with a name, such as `mlm_accuracy`.
pub type Metric = (&'static str, f64);
