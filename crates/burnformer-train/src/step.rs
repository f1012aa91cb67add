//! One update of the model, and the reading of what updates leave on the device.

use std::time::Instant;

use burnformer_data::batches::{Batch, PaddingStats};
use burnformer_ops::with_matmul_precision;
use burnformer_tasks::{MetricState, Task};

use crate::collective::{gather, share};
use crate::run::Run;
use crate::{GradientSums, MicroBatch, TrainError, Trainer};

impl<T: Task> Trainer<'_, T> {
    /// Updates the model by the gradient of `batch`, whose micro-batches the ranks share. After the first step, returns the
    /// parameters that its loss does not depend on.
    ///
    /// The run is handed over, so that its weights are nowhere else and can be updated in place.
    pub(crate) fn step<'r>(
        &self,
        mut run: Run<'r, T>,
        batch: T::Batch,
    ) -> Result<(Run<'r, T>, Vec<String>), TrainError> {
        let config = self.config;
        run.state.step += 1;
        let micro_batches = share(self.collective, config.micro_batches(batch));
        let totals = self.totals(&mut run, &micro_batches)?;
        // On a thread of the pool, so that the many short parallel parts of a step need not wake one each. Other ranks are
        // waited for outside of it: they may be threads of the same pool.
        let (mut run, gradients) = rayon::scope(|_| self.gradients(run, micro_batches, &totals))?;
        let gradients = self.collective.sum(gradients, &self.device)?;
        if gradients.is_empty() {
            return Err(TrainError::NoGradient { step: run.state.step });
        }
        let untrained = if run.state.step == 1 { gradients.missing(&run.model) } else { Vec::new() };
        let run = rayon::scope(|_| {
            let norm = gradients.norm();
            let scale = config.clip_norm.map(|max_norm| GradientSums::clip_factor(norm.clone(), max_norm));
            run.gradient_norm = Some(norm);
            let peak = config.optimizer.learning_rate();
            run.learning_rate = config.schedule.learning_rate(peak, run.state.step, config.steps);
            run.model = run.optimizer.step(run.model, gradients, run.learning_rate, scale);
            run
        });
        Ok((run, untrained))
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

    /// Forward and backward passes, in the precision of the run.
    fn gradients<'r>(
        &self,
        mut run: Run<'r, T>,
        micro_batches: Vec<T::Batch>,
        totals: &T::Counts,
    ) -> Result<(Run<'r, T>, GradientSums), TrainError> {
        let device = self.device.clone().autodiff();
        let mut gradients = GradientSums::new();
        with_matmul_precision(self.config.dtype, &self.device, || {
            for batch in micro_batches {
                let micro_batch =
                    MicroBatch { task: self.task, model: &run.model, batch, totals, seed: self.seed, device: &device };
                let scored = self.rule.add(micro_batch, &mut gradients);
                run.pending.extend(scored.into_iter().map(|(batch, scores)| (run.state.step, batch, scores)));
            }
        })?;
        Ok((run, gradients))
    }

    /// Reads what is still on the device, and returns the norm of the latest gradient. A loss that is no number is not passed
    /// on: neither a line of metrics nor a checkpoint is made of it.
    pub(crate) fn settle(&self, run: &mut Run<'_, T>) -> Result<f64, TrainError> {
        let mut settled = Vec::new();
        for (step, batch, scores) in run.pending.drain(..) {
            let mut metric_state = self.task.metric_state();
            self.task.add_scores(&mut metric_state, &batch, &scores.read()?).map_err(TrainError::task)?;
            settled.push((step, metric_state));
        }
        // In the order of steps and micro-batches, as one process has them: sums of floats depend on it.
        let mut settled: Vec<_> = gather(self.collective, settled)?.into_iter().flatten().collect();
        settled.sort_by_key(|(step, _)| *step);
        for (_, metric_state) in settled {
            run.state.metric_state.merge(metric_state);
        }
        let seconds = run.clock.elapsed().as_secs_f64();
        run.state.seconds += seconds;
        run.state.interval.seconds += seconds;
        run.clock = Instant::now();
        let gradient_norm = match &run.gradient_norm {
            Some(norm) => norm.clone().try_into_data()?.iter::<f64>().next().unwrap_or(f64::NAN),
            None => 0.0,
        };
        let loss = run.state.metric_state.metrics().first().map_or(f64::NAN, |metric| metric.1);
        if loss.is_finite() && gradient_norm.is_finite() {
            return Ok(gradient_norm);
        }
        Err(TrainError::Diverged { step: run.state.step, loss, gradient_norm })
    }
}
