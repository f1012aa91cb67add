//! Evaluation of a model.

use burn::tensor::Device;
use burnformer_core::progress::{Interrupt, Progress, Unit};
use burnformer_data::DataError;
use burnformer_data::batches::Batch;
use burnformer_nn::DropoutRng;

use crate::Task;

/// Sums the scores of a model over `batches`, without dropout. `model` should be without gradient tracking
/// ([`Module::valid`](burn::module::Module::valid)); `device` is the model's device, also without gradient tracking.
///
/// # Errors
/// The first error among the batches, a failure of the device, or on request of `interrupt`.
pub fn evaluate<T: Task>(
    task: &T,
    model: &T::Model,
    batches: impl IntoIterator<Item = Result<T::Batch, DataError>>,
    n_samples: u64,
    device: &Device,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<T::MetricState, T::Error> {
    sum(task.metric_state(), task, model, (batches, n_samples), device, (progress, interrupt))
}

/// As [`evaluate`], from [`Task::detailed_metric_state`] on: for scores that are reported.
///
/// # Errors
/// As there.
pub fn evaluate_in_detail<T: Task>(
    task: &T,
    model: &T::Model,
    batches: impl IntoIterator<Item = Result<T::Batch, DataError>>,
    n_samples: u64,
    device: &Device,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<T::MetricState, T::Error> {
    sum(task.detailed_metric_state(), task, model, (batches, n_samples), device, (progress, interrupt))
}

fn sum<T: Task>(
    mut metric_state: T::MetricState,
    task: &T,
    model: &T::Model,
    (batches, n_samples): (impl IntoIterator<Item = Result<T::Batch, DataError>>, u64),
    device: &Device,
    (progress, interrupt): (&dyn Progress, &Interrupt),
) -> Result<T::MetricState, T::Error> {
    let stage = progress.stage("evaluate", Some(n_samples), Unit::Items("samples"));
    for batch in batches {
        interrupt.check()?;
        let batch = batch?;
        let counts = task.counts(&batch);
        let forward = task.forward(model, &batch, &counts, DropoutRng::off(), device);
        task.add_scores(&mut metric_state, &batch, &forward.scores.read()?)?;
        task.add_answers(&mut metric_state, model, &batch, interrupt)?;
        stage.advance(batch.numbers().len() as u64);
    }
    Ok(metric_state)
}
