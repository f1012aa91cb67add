//! One update of the model, unless its numbers are not finite.

use std::collections::BTreeSet;

use burn::module::Module;
use burn::tensor::ExecutionError;
use burnformer_data::batches::{Batch, PaddingStats, Step};
use burnformer_nn::pipeline::without_stage;
use burnformer_nn::{with_activation_checkpointing, with_tensor_parallel};
use burnformer_ops::{is_on_host, with_matmul_precision};
use burnformer_tasks::{MetricState, Scores, Task};

use crate::gradients::trained_parameters;
use crate::ranks::Ranks;
use crate::reduction::Reduced;
use crate::run::Run;
use crate::tree::TreeSum;
use crate::{Diagnosis, GradientSums, MicroBatch, ParameterRule, TrainError, Trainer, parameters};

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
pub(crate) type Passed<'r, T> = (Run<'r, T>, TreeSum<GradientSums>, Vec<(<T as Task>::Batch, Scores)>);

/// The same with the metrics in place of the scores.
type Read<'r, T> = (Run<'r, T>, TreeSum<GradientSums>, Vec<<T as Task>::MetricState>);

impl<T: Task> Trainer<'_, T> {
    /// Updates the model by the gradient of a step, of whose micro-batches each rank has its own, if all ranks could read theirs.
    ///
    /// The run is handed over, so that its weights are nowhere else and can be updated in place.
    pub(crate) fn step<'r>(
        &self,
        mut run: Run<'r, T>,
        step: Result<Step<T::Batch>, TrainError>,
    ) -> Result<(Run<'r, T>, Stepped), TrainError> {
        let (config, ranks) = (self.config, run.ranks);
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
        let (step, totals) = self.totals(&mut run, step)?;
        // Other ranks are waited for outside of the pool: they may be threads of it.
        let passed = match self.stages {
            Some(stages) => self.gradients_in_stages(run, step, &totals, stages),
            None => self.on_pool(|| self.gradients(run, step, &totals)),
        };
        let read = passed.and_then(|(run, sums, scores)| Ok((run, sums, self.read(scores)?)));
        let (mut run, sums, metric_states) = self.exchange_metrics(ranks, read)?;
        let Reduced { own: gradients, paths, norm } = self.reduce(&run, sums)?;
        let Some(norm) = norm else { return Err(TrainError::NoGradient { step: run.state.step }) };
        let gradient_norm = ranks.together(norm.clone().try_into_data().map_err(TrainError::from))?;
        let gradient_norm = gradient_norm.iter::<f64>().next().unwrap_or(f64::NAN);
        let loss = self.loss(&metric_states);
        run.loss = loss;
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            let diverged = self.skip(&mut run, || gradients.not_finite(), paths.len(), loss, gradient_norm)?;
            return Ok((run, Stepped::Skipped { loss, gradient_norm, diverged }));
        }
        for metric_state in metric_states {
            run.state.metric_state.merge(metric_state);
        }
        run.state.health.skipped_in_a_row = 0;
        run.state.interval.updates += 1;
        run.state.interval.gradient_norm = gradient_norm;
        let untrained = if run.state.step == 1 { untrained(&run.model, ranks, &paths)? } else { Vec::new() };
        let mut run = self.on_pool(|| {
            let scale = config.clip_norm.map(|max_norm| GradientSums::clip_factor(norm, max_norm));
            let rate = |path: &str| run.learning_rate * run.rule.learning_rate_factor(path);
            run.model = run.optimizer.step_by(run.model, gradients, &rate, scale);
            run
        });
        run.model = self.spread(run.model, &paths, ranks, &run.shards)?;
        if let Some(stages) = self.stages {
            run.model = self.spread_ties(run.model, &paths, ranks, stages)?;
        }
        if run.ema.is_some() {
            run = self.on_pool(|| {
                if let Some(ema) = &mut run.ema {
                    ema.update(&run.model, run.optimizer.n_steps());
                }
                run
            });
        }
        Ok((run, Stepped::Updated { untrained }))
    }

    /// Runs `work` on a thread of the pool if the device is the processor, so that the many short parallel parts of a step need
    /// not wake one each. A GPU gets all work of a run from one thread: cubecl keeps a queue for each thread, and the next one
    /// can read a weight before the last one has written it.
    pub(crate) fn on_pool<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        if is_on_host(&self.device) { rayon::scope(|_| without_stage(work)) } else { work() }
    }

    /// A step, if all ranks have their micro-batches of it, and its counts.
    fn totals(
        &self,
        run: &mut Run<'_, T>,
        step: Result<Step<T::Batch>, TrainError>,
    ) -> Result<(Step<T::Batch>, T::Counts), TrainError> {
        let counts = |micro_batch| {
            let PaddingStats { tokens, total } = T::Batch::padding_stats(micro_batch);
            (self.task.counts(micro_batch), tokens, total)
        };
        let (step, counts) = match step {
            Ok(step) => {
                // All stages of a replica have the same micro-batches.
                let counted = if run.ranks.stage() == 0 { &step.micro_batches[..] } else { &[] };
                let counts = counted.iter().map(counts).collect();
                (Some(step), Ok(counts))
            }
            Err(error) => (None, Err(error)),
        };
        // In the order of micro-batches: counts may be floats.
        let counts: Vec<Vec<(T::Counts, u64, u64)>> = run.ranks.agree_on_data(counts)?;
        let mut totals = T::Counts::default();
        for (counts, tokens, total) in counts.into_iter().flatten() {
            totals += counts;
            run.state.tokens += tokens;
            run.state.interval.add(PaddingStats { tokens, total });
        }
        Ok((step.expect("no rank has failed"), totals))
    }

    /// Forward and backward passes, in the precision of the run, which is handed through: the gradients, and the scores of each
    /// batch.
    fn gradients<'r>(
        &self,
        run: Run<'r, T>,
        step: Step<T::Batch>,
        totals: &T::Counts,
    ) -> Result<Passed<'r, T>, TrainError> {
        let device = self.device.clone().autodiff();
        let (mut sums, mut scores) = (TreeSum::new(GradientSums::merge), Vec::new());
        let mut add = |(number, batch)| {
            let micro_batch =
                MicroBatch { task: self.task, model: &run.model, batch, totals, seed: self.seed, device: &device };
            let mut gradients = GradientSums::new();
            scores.extend(self.rule.add(micro_batch, &mut gradients));
            sums.push(number, gradients);
        };
        let add_all = || (step.first..).zip(step.micro_batches).for_each(&mut add);
        with_matmul_precision(self.config.dtype, &self.device, || {
            with_activation_checkpointing(self.config.activation_checkpointing, || {
                with_tensor_parallel(&run.ranks.tensor, add_all)
            })
        })??;
        Ok((run, sums, scores))
    }

    /// Reads scores from the device.
    fn read(&self, scores: Vec<(T::Batch, Scores)>) -> Result<Vec<T::MetricState>, TrainError> {
        let mut metric_states = Vec::with_capacity(scores.len());
        for (batch, scores) in scores {
            let mut metric_state = self.task.metric_state();
            self.task.add_scores(&mut metric_state, &batch, &scores.read()?).map_err(TrainError::task)?;
            metric_states.push(metric_state);
        }
        Ok(metric_states)
    }

    /// What the passes of this rank have given, with the metrics of all ranks in the order of micro-batches, as one process has
    /// them: sums of floats depend on it. Fails on all ranks if the passes of one have failed.
    fn exchange_metrics<'r>(
        &self,
        ranks: &Ranks<'_>,
        read: Result<Read<'r, T>, TrainError>,
    ) -> Result<Read<'r, T>, TrainError> {
        let (passed, own) = match read {
            Ok((run, sums, metric_states)) => (Some((run, sums)), Ok(metric_states)),
            Err(error) => (None, Err(error)),
        };
        let metric_states = ranks.agree_on_data(own)?.into_iter().flatten().collect();
        let (run, sums) = passed.expect("no rank has failed");
        Ok((run, sums, metric_states))
    }

    /// The loss of a step.
    fn loss(&self, metric_states: &[T::MetricState]) -> f64 {
        let mut sum = self.task.metric_state();
        metric_states.iter().for_each(|metric_state| sum.merge(metric_state.clone()));
        sum.metrics().first().map_or(f64::NAN, |metric| metric.1)
    }

    /// Counts a step that is skipped. With one too many in a row, finds out what is not finite, `not_finite` among the `n_gradients`
    /// gradients that this rank owns.
    fn skip(
        &self,
        run: &mut Run<'_, T>,
        not_finite: impl FnOnce() -> Result<BTreeSet<String>, ExecutionError>,
        n_gradients: usize,
        loss: f64,
        gradient_norm: f64,
    ) -> Result<Option<TrainError>, TrainError> {
        run.state.interval.skipped += 1;
        run.state.health.skip();
        let skipped = run.state.health.skipped_in_a_row;
        if skipped < self.config.max_skipped_steps {
            return Ok(None);
        }
        let bad = run.ranks.agree(not_finite().map_err(TrainError::from))?.into_iter().flatten().collect();
        let diagnosis = run
            .ranks
            .together(Diagnosis::of(&run.model, &bad, n_gradients, gradient_norm).map_err(TrainError::from))?;
        let (step, learning_rate) = (run.state.step, run.learning_rate);
        Ok(Some(TrainError::Diverged { step, loss, gradient_norm, skipped, learning_rate, diagnosis }))
    }
}

/// The parameters of `model`, on all ranks, that are trained but not among `paths`.
fn untrained<M: Module>(model: &M, ranks: &Ranks<'_>, paths: &BTreeSet<String>) -> Result<Vec<String>, TrainError> {
    let untrained: Vec<String> = trained_parameters(model).into_keys().filter(|path| !paths.contains(path)).collect();
    let all: BTreeSet<String> = ranks.agree(Ok(untrained))?.into_iter().flatten().collect();
    Ok(all.into_iter().collect())
}
