//! Evaluation of a run on its validation samples.

use std::sync::Arc;
use std::time::Instant;

use burnformer_core::progress::{Interrupted, is_interrupted};
use burnformer_data::batches::Collator;
use burnformer_data::datasets::Dataset;
use burnformer_ops::{Precision, with_matmul_precision};
use burnformer_tasks::{MetricState, Task, evaluate};

use crate::run::Run;
use crate::{Best, Data, Event, TrainError, Trainer};
use burnformer_core::collective::gather;

impl<T: Task> Trainer<'_, T> {
    /// Evaluates if that is due after this step and not done yet; returns whether the model is one of the best so far, to be
    /// kept.
    pub(crate) fn evaluate_if_due<S, C>(
        &self,
        run: &mut Run<'_, T>,
        data: &Data<S, C>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, TrainError>
    where
        S: Dataset<Sample = C::Sample> + 'static,
        C: Collator<Batch = T::Batch>,
    {
        let step = run.state.step;
        let is_due = step.is_multiple_of(self.config.evaluate_every) || step == self.config.steps;
        let Some(validation) = data.validation.as_ref().filter(|_| is_due && run.state.evaluated < step) else {
            return Ok(false);
        };
        run.tick();
        let metric_state = self.evaluate(run, validation, &data.collator)?;
        run.clock = Instant::now();
        run.state.evaluated = step;
        let metrics = metric_state.metrics();
        let found =
            Best { step, quality: metric_state.quality(), loss: metrics.first().map_or(f64::NAN, |metric| metric.1) };
        run.append(step, "validation", metrics.into_iter(), on_event)?;
        let (is_best, is_kept) = run.state.add_evaluation(found, self.config.keep_best);
        if is_best {
            on_event(Event::Best(found));
        }
        Ok(is_kept)
    }

    /// The scores of the model on the validation samples, whose batches the ranks share.
    fn evaluate<S, C>(&self, run: &Run<'_, T>, validation: &Arc<S>, collator: &C) -> Result<T::MetricState, TrainError>
    where
        S: Dataset<Sample = C::Sample> + 'static,
        C: Collator<Batch = T::Batch>,
    {
        let (rank, size) = (self.collective.rank(), self.collective.size());
        let (batches, n_samples) = self.config.validation(validation, collator, self.seed)?;
        let batches = batches.enumerate().filter(|(index, _)| index % size == rank).map(|(_, batch)| batch);
        let n_samples = n_samples / size as u64;
        let model = run.result();
        // In single precision also where a thread of the pool calls this in the middle of another run's step.
        let evaluated = with_matmul_precision(Precision::F32, &self.device, || {
            evaluate(self.task, &model, batches, n_samples, &self.device, self.progress, &self.interrupt)
        })?;
        let found = match evaluated {
            Ok(metric_state) => Some(metric_state),
            Err(error) if is_interrupted(&error) => None,
            Err(error) => return Err(TrainError::task(error)),
        };
        let mut metric_state = self.task.metric_state();
        for found in gather(self.collective, found)? {
            metric_state.merge(found.ok_or(Interrupted)?);
        }
        Ok(metric_state)
    }
}
