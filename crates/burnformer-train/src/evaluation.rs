//! Evaluation of a run on its validation samples.

use std::sync::Arc;

use burnformer_core::progress::Interrupt;
use burnformer_data::batches::Collator;
use burnformer_data::datasets::Dataset;
use burnformer_nn::with_tensor_parallel;
use burnformer_ops::{Precision, with_matmul_precision};
use burnformer_tasks::{Evaluation, MetricState, Task};

use crate::run::Run;
use crate::{Best, Data, Event, TrainError, Trainer};

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
        run.restart_clock();
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
        let collective = run.ranks.data.as_ref();
        let dealt = self.config.dealt_validation(validation, collator, self.seed, collective);
        let (batches, n_samples) = run.ranks.together(dealt.map_err(TrainError::from))?;
        // Ranks that have parts of one model cannot stop one by one: a request waits for the end of the evaluation.
        let interrupt = if run.ranks.tensor.size() > 1 { Interrupt::new() } else { self.interrupt.clone() };
        let progress = self.progress;
        let in_stages = self.stages.map(|stages| run.ranks.in_stages(stages));
        let stages = in_stages.as_ref();
        let evaluation = Evaluation { device: &self.device, collective, progress, interrupt, stages };
        let model = run.result();
        // In single precision also where a thread of the pool calls this in the middle of another run's step.
        let evaluated = with_matmul_precision(Precision::F32, &self.device, || {
            with_tensor_parallel(&run.ranks.tensor, || evaluation.run(self.task, &model, batches, n_samples))
        })??;
        evaluated.map_err(TrainError::task)
    }
}
