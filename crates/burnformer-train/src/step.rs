//! One update of the model, unless its numbers are not finite.

use burnformer_data::batches::{Batch, PaddingStats, Step};
use burnformer_nn::with_activation_checkpointing;
use burnformer_ops::{is_on_host, with_matmul_precision};
use burnformer_tasks::{MetricState, Scores, Task};

use crate::collective::sum;
use crate::run::Run;
use crate::{Diagnosis, GradientSums, MicroBatch, ParameterRule, TrainError, Trainer, parameters};
use burnformer_core::collective::gather;

/// What became of a step.
pub(crate) enum Stepped {
    /// The model was updated.
    Updated {
        /// After the first step, the parameters that its loss does not depend on.
        untrained: Vec<String>,
    },
    /// Loss or gradient was not finite: model, optimiser and metrics are as before the step.
    Skipped {
        /// The loss.
        loss: f64,
        /// The norm of the gradient.
        gradient_norm: f64,
        /// That the run has diverged, if that was one step too many.
        diverged: Option<TrainError>,
    },
}

/// A run, and what the passes of a step have given.
type Passed<'r, T> = (Run<'r, T>, GradientSums, Vec<(<T as Task>::Batch, Scores)>);

impl<T: Task> Trainer<'_, T> {
    /// Updates the model by the gradient of a step, of whose micro-batches each rank has its own.
    ///
    /// The run is handed over, so that its weights are nowhere else and can be updated in place.
    pub(crate) fn step<'r>(
        &self,
        mut run: Run<'r, T>,
        step: Step<T::Batch>,
    ) -> Result<(Run<'r, T>, Stepped), TrainError> {
        let config = self.config;
        run.state.step += 1;
        let peak = config.optimizer.learning_rate() * run.state.health.learning_rate_factor;
        run.learning_rate = config.schedule.learning_rate(peak, run.state.step, config.steps);
        let changed;
        (run.model, changed) = parameters::track(&run.rule, run.model, run.state.step);
        if changed {
            run.optimizer.follow(&run.model);
        }
        if let Some(ema) = &mut run.ema {
            ema.follow(&run.model);
        }
        let micro_batches = step.micro_batches;
        let totals = self.totals(&mut run, &micro_batches)?;
        // Other ranks are waited for outside of the pool: they may be threads of it.
        let (mut run, gradients, scores) = self.on_pool(|| self.gradients(run, micro_batches, &totals))?;
        let gradients = sum(self.collective, gradients, &self.device)?;
        if gradients.is_empty() {
            return Err(TrainError::NoGradient { step: run.state.step });
        }
        let metric_states = self.read(scores)?;
        let norm = self.on_pool(|| gradients.norm());
        let gradient_norm = norm.clone().try_into_data()?.iter::<f64>().next().unwrap_or(f64::NAN);
        let loss = self.loss(&metric_states);
        run.loss = loss;
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            let diverged = self.skip(&mut run, &gradients, loss, gradient_norm)?;
            return Ok((run, Stepped::Skipped { loss, gradient_norm, diverged }));
        }
        for metric_state in metric_states {
            run.state.metric_state.merge(metric_state);
        }
        run.state.health.skipped_in_a_row = 0;
        run.state.interval.updates += 1;
        run.state.interval.gradient_norm = gradient_norm;
        let untrained = if run.state.step == 1 { gradients.missing(&run.model) } else { Vec::new() };
        let run = self.on_pool(|| {
            let scale = config.clip_norm.map(|max_norm| GradientSums::clip_factor(norm, max_norm));
            let rate = |path: &str| run.learning_rate * run.rule.learning_rate_factor(path);
            run.model = run.optimizer.step_by(run.model, gradients, &rate, scale);
            if let Some(ema) = &mut run.ema {
                ema.update(&run.model, run.optimizer.n_steps());
            }
            run
        });
        Ok((run, Stepped::Updated { untrained }))
    }

    /// Runs `work` on a thread of the pool if the device is the processor, so that the many short parallel parts of a step need
    /// not wake one each. A GPU gets all work of a run from one thread: cubecl keeps a queue for each thread, and the next one
    /// can read a weight before the last one has written it.
    fn on_pool<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        if is_on_host(&self.device) { rayon::scope(|_| work()) } else { work() }
    }

    /// Counts of a step's micro-batches, of which this rank has `micro_batches`.
    fn totals(&self, run: &mut Run<'_, T>, micro_batches: &[T::Batch]) -> Result<T::Counts, TrainError> {
        let (mut counts, mut padding) = (T::Counts::default(), PaddingStats::default());
        for micro_batch in micro_batches {
            counts += self.task.counts(micro_batch);
            padding += micro_batch.padding_stats();
        }
        let mut totals = T::Counts::default();
        for (counts, tokens, total) in gather(self.collective, (counts, padding.tokens, padding.total))? {
            totals += counts;
            run.state.tokens += tokens;
            run.state.interval.add(PaddingStats { tokens, total });
        }
        Ok(totals)
    }

    /// Forward and backward passes, in the precision of the run, which is handed through: the gradients, and the scores of each
    /// batch.
    fn gradients<'r>(
        &self,
        run: Run<'r, T>,
        micro_batches: Vec<T::Batch>,
        totals: &T::Counts,
    ) -> Result<Passed<'r, T>, TrainError> {
        let device = self.device.clone().autodiff();
        let (mut gradients, mut scores) = (GradientSums::new(), Vec::new());
        let mut add = |batch| {
            let micro_batch =
                MicroBatch { task: self.task, model: &run.model, batch, totals, seed: self.seed, device: &device };
            scores.extend(self.rule.add(micro_batch, &mut gradients));
        };
        with_matmul_precision(self.config.dtype, &self.device, || {
            with_activation_checkpointing(self.config.activation_checkpointing, || {
                micro_batches.into_iter().for_each(&mut add);
            });
        })?;
        Ok((run, gradients, scores))
    }

    /// Reads scores from the device. Returns those of all ranks in the order of micro-batches, as one process has them: sums of
    /// floats depend on it.
    fn read(&self, scores: Vec<(T::Batch, Scores)>) -> Result<Vec<T::MetricState>, TrainError> {
        let mut metric_states = Vec::with_capacity(scores.len());
        for (batch, scores) in scores {
            let mut metric_state = self.task.metric_state();
            self.task.add_scores(&mut metric_state, &batch, &scores.read()?).map_err(TrainError::task)?;
            metric_states.push(metric_state);
        }
        Ok(gather(self.collective, metric_states)?.into_iter().flatten().collect())
    }

    /// The loss of a step.
    fn loss(&self, metric_states: &[T::MetricState]) -> f64 {
        let mut sum = self.task.metric_state();
        metric_states.iter().for_each(|metric_state| sum.merge(metric_state.clone()));
        sum.metrics().first().map_or(f64::NAN, |metric| metric.1)
    }

    /// Counts a step that is skipped. With one too many in a row, finds out what is not finite.
    fn skip(
        &self,
        run: &mut Run<'_, T>,
        gradients: &GradientSums,
        loss: f64,
        gradient_norm: f64,
    ) -> Result<Option<TrainError>, TrainError> {
        run.state.interval.skipped += 1;
        run.state.health.skip();
        let skipped = run.state.health.skipped_in_a_row;
        if skipped < self.config.max_skipped_steps {
            return Ok(None);
        }
        let diagnosis = Diagnosis::of(&run.model, gradients, gradient_norm)?;
        let (step, learning_rate) = (run.state.step, run.learning_rate);
        Ok(Some(TrainError::Diverged { step, loss, gradient_norm, skipped, learning_rate, diagnosis }))
    }
}
