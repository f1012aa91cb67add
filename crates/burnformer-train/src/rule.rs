//! How the backward pass of a micro-batch contributes to the gradient of a step.

use burn::tensor::Device;
use burnformer_data::batches::Batch;
use burnformer_nn::DropoutRng;
use burnformer_tasks::{Forward, Scores, Task};

use crate::GradientSums;

/// How a micro-batch contributes to the gradient of a step: by the sum of its gradients ([`Sum`]), or otherwise, such as with
/// the gradient of each sample clipped by itself.
pub trait GradientRule<T: Task>: Send + Sync {
    /// Adds the contribution of `micro_batch` to `sums`, which are empty, and returns its scores: of the whole or of the parts
    /// that went through the model. The sums of several micro-batches are added in an order that does not depend on the number
    /// of processes.
    fn add(&self, micro_batch: MicroBatch<'_, T>, sums: &mut GradientSums) -> Vec<(T::Batch, Scores)>;

    /// `true` if it is the sum of the gradients, which the [stages](crate::Stages) of a pipeline make without the rule.
    fn is_sum(&self) -> bool {
        false
    }
}

/// The samples that go through a model at once, and what their loss depends on.
pub struct MicroBatch<'a, T: Task> {
    /// The task to train.
    pub task: &'a T,
    /// The model, with gradient tracking.
    pub model: &'a T::Model,
    /// The samples.
    pub batch: T::Batch,
    /// Counts of the whole step, of all ranks, which losses are divided by.
    pub totals: &'a T::Counts,
    /// Seed of the dropout masks.
    pub seed: u64,
    /// The device of the model, with gradient tracking.
    pub device: &'a Device,
}

impl<T: Task> MicroBatch<'_, T> {
    /// The forward pass of `batch`, all or some rows of [`Self::batch`], with dropout; its loss is divided by `totals`.
    #[must_use]
    pub fn forward(&self, batch: &T::Batch, totals: &T::Counts) -> Forward {
        let rng = DropoutRng::training(self.seed, batch.numbers());
        self.task.forward(self.model, batch, totals, rng, self.device)
    }
}

/// The gradient of a step is the sum of the gradients of its micro-batches, whose losses are divided by the totals of the
/// step: that of the whole step at once, however it is cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum;

impl<T: Task> GradientRule<T> for Sum {
    fn add(&self, micro_batch: MicroBatch<'_, T>, sums: &mut GradientSums) -> Vec<(T::Batch, Scores)> {
        let forward = micro_batch.forward(&micro_batch.batch, micro_batch.totals);
        // No weight is in the loss of sentences without a word to classify.
        if forward.loss.is_tracked() {
            sums.add(micro_batch.model, forward.loss.backward());
        }
        vec![(micro_batch.batch, forward.scores)]
    }

    fn is_sum(&self) -> bool {
        true
    }
}
