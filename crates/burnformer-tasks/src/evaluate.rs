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
    let stage = progress.stage("evaluate", Some(n_samples), Unit::Items("samples"));
    let mut metric_state = task.metric_state();
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
