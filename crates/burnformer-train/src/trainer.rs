//! The training loop.

use std::sync::Arc;

use burn::tensor::Device;
use burnformer_core::progress::{Interrupt, Progress, Silent, Stage, Unit, is_interrupted};
use burnformer_data::batches::{BatchSize, Batches, Collator, Step};
use burnformer_data::datasets::Dataset;
use burnformer_tasks::{Metric, MetricState, Task};

use crate::checkpoint::{self, Checkpoint};
use crate::ema::Ema;
use crate::layers::LayerRule;
use crate::ranks::Ranks;
use crate::run::{Run, Writer};
use crate::shards::Shards;
use crate::step::Stepped;
use crate::timer::Timer;
use crate::{
    AllParameters, Best, Collective, GradientRule, HistoryEntry, Local, OnDivergence, Optimizer, ParameterRule,
    RunFolder, Stages, Sum, TrainConfig, TrainError, TrainState, parameters, retention,
};

/// The samples of a run.
pub struct Data<S, C> {
    /// Samples to train on.
    pub train: Arc<S>,
    /// Samples to evaluate on, by which the best model is chosen; without them, the last model is the best.
    pub validation: Option<Arc<S>>,
    /// Makes batches of the samples.
    pub collator: C,
    /// Hash or name of the data, by their content. A run is resumed only with the same.
    pub fingerprint: String,
}

/// Event of a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Metrics of the steps since the last report, or of an evaluation.
    Metrics(&'a HistoryEntry),
    /// The evaluation that was just reported is the best so far.
    Best(Best),
    /// A checkpoint was written.
    Checkpoint {
        /// The step it was written after.
        step: u64,
    },
    /// A checkpoint is damaged; the run continues from an older one.
    Damaged(TrainError),
    /// Parameters that got no gradient in the first step.
    Untrained(&'a [String]),
    /// This machine's processor multiplies bf16 no faster than f32, so products are made in f32 though bf16 was asked for.
    NotRounded,
    /// Some of the processes that train together have nothing to do: there are fewer micro-batches in a step.
    IdleRanks {
        /// Number of micro-batches of the first step.
        n_micro_batches: usize,
        /// Number of processes that share them.
        n_ranks: usize,
    },
    /// A step without a finite loss and gradient was skipped: the model did not change.
    Skipped {
        /// The step.
        step: u64,
        /// Its loss.
        loss: f64,
        /// The norm of its gradient.
        gradient_norm: f64,
    },
    /// The loss that was just reported is far above those before.
    Spike {
        /// The step.
        step: u64,
        /// The loss.
        loss: f64,
        /// The running mean of those before.
        mean: f64,
    },
    /// The run has diverged, and continues from an earlier checkpoint.
    RolledBack {
        /// The step it had come to.
        from: u64,
        /// The step of the checkpoint.
        to: u64,
        /// What all roll-backs so far have made of the learning rate, as a factor.
        learning_rate_factor: f64,
        /// How it has diverged.
        error: TrainError,
    },
}

/// Reason of the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All steps are done.
    Finished,
    /// `patience` evaluations did not improve on the best.
    Early,
    /// It was interrupted, and can be resumed.
    Interrupted,
}

/// Result of a run.
#[derive(Debug)]
pub struct Outcome<L> {
    /// Reason of its end.
    pub stop: Stop,
    /// The state after its last step.
    pub state: TrainState<L>,
    /// Step of the model at the top level of the run folder.
    pub published: u64,
}

/// Trains a model.
pub struct Trainer<'a, T: Task> {
    /// The task to train.
    pub(crate) task: &'a T,
    /// Training settings.
    pub(crate) config: &'a TrainConfig,
    /// Seed of every random draw.
    pub(crate) seed: u64,
    /// Device to train on, without gradient tracking.
    pub(crate) device: Device,
    /// Where progress is reported.
    pub(crate) progress: &'a dyn Progress,
    /// The requests to stop and to write a checkpoint.
    pub(crate) interrupt: Interrupt,
    /// The processes that train together.
    pub(crate) collective: &'a dyn Collective,
    /// The number of parts of the model's matrices, each on a rank of its own.
    pub(crate) tensor_parallel: usize,
    /// How micro-batches contribute to a step's gradient.
    pub(crate) rule: &'a dyn GradientRule<T>,
    /// Which parameters are trained, and at which learning rate.
    pub(crate) parameter_rule: &'a dyn ParameterRule,
    /// The stages of the model, where ranks run one each.
    pub(crate) stages: Option<&'a Stages>,
    /// The fingerprint of the data as an earlier version made it.
    former_fingerprint: Option<&'a str>,
}

impl<'a, T: Task> Trainer<'a, T> {
    /// A trainer for `task` with the settings `config`, in this process alone. `seed` is the seed of every random draw, and
    /// `device` the device to train on, without gradient tracking.
    #[must_use]
    pub fn new(task: &'a T, config: &'a TrainConfig, seed: u64, device: Device) -> Self {
        let (interrupt, collective) = (Interrupt::new(), &Local);
        let (progress, rule, parameter_rule) = (&Silent, &Sum, &AllParameters);
        let (stages, former_fingerprint) = (None, None);
        Self {
            task,
            config,
            seed,
            device,
            progress,
            interrupt,
            collective,
            tensor_parallel: 1,
            rule,
            parameter_rule,
            stages,
            former_fingerprint,
        }
    }

    /// Reports progress to `progress`.
    #[must_use]
    pub fn with_progress(self, progress: &'a dyn Progress) -> Self {
        Self { progress, ..self }
    }

    /// Stops with a checkpoint once `interrupt` is requested, on any rank; writes a checkpoint and goes on if that is requested.
    #[must_use]
    pub fn with_interrupt(self, interrupt: &Interrupt) -> Self {
        Self { interrupt: interrupt.clone(), ..self }
    }

    /// Trains together with the other ranks of `collective`, each of which has the same task, settings, seed, model and data.
    /// Rank 0 writes the run folder; the others [join](RunFolder::join) it.
    #[must_use]
    pub fn with_collective(self, collective: &'a dyn Collective) -> Self {
        Self { collective, ..self }
    }

    /// Cuts the matrices of the model into `n_parts` parts, each on a rank of its own; their number must be a multiple of it. The
    /// model that a run [starts](Self::start) with has the [parts](burnformer_nn::Cut::parts) of the rank.
    #[must_use]
    pub fn with_tensor_parallel(self, n_parts: usize) -> Self {
        Self { tensor_parallel: n_parts, ..self }
    }

    /// Lets each rank run one of `stages`, with its [part](Stages::parts) of the model: rank `i` that with the number `i` modulo
    /// the number of stages, where matrices are not cut. The run has the bits of one without stages.
    #[must_use]
    pub fn with_stages(self, stages: Option<&'a Stages>) -> Self {
        Self { stages, ..self }
    }

    /// Makes a step's gradient of its micro-batches by `rule`.
    #[must_use]
    pub fn with_rule(self, rule: &'a dyn GradientRule<T>) -> Self {
        Self { rule, ..self }
    }

    /// Trains the parameters that `parameter_rule` names, each at its learning rate. A run is resumed with the rule it was started
    /// with.
    #[must_use]
    pub fn with_parameter_rule(self, parameter_rule: &'a dyn ParameterRule) -> Self {
        Self { parameter_rule, ..self }
    }

    /// Resumes runs that name their data by this fingerprint too: that of an earlier version.
    #[must_use]
    pub fn with_former_fingerprint(self, fingerprint: Option<&'a str>) -> Self {
        Self { former_fingerprint: fingerprint, ..self }
    }

    /// Trains `model`, which is on the device with gradient tracking, from its first step. Tracking is then as the rule of the
    /// parameters says.
    ///
    /// # Errors
    /// If there are too few samples, the loss diverges, or data, device or disk fail. What was written stays.
    pub fn start<S, C>(
        &self,
        model: T::Model,
        data: &Data<S, C>,
        folder: &RunFolder,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome<T::MetricState>, TrainError>
    where
        S: Dataset<Sample = C::Sample> + 'static,
        C: Collator<Batch = T::Batch>,
    {
        self.config.check_samples(data.train.per_epoch())?;
        self.config.check_validation(data.validation.is_some())?;
        let ranks = self.ranks()?;
        let state = TrainState::new(self.task.metric_state());
        let rule = LayerRule::new(self.config, self.parameter_rule, &model)?;
        let (model, _) = parameters::track(&rule, model, 1);
        let is_elsewhere = |path: &str| self.stages.is_some_and(|it| !it.trains(ranks.stage(), path));
        let shards = Shards::new(&rule, &model, self.config.steps, ranks.data.as_ref(), &is_elsewhere);
        let shards = Arc::new(shards);
        let optimizer = Optimizer::new(self.config.optimizer.clone()).with_shards(Arc::clone(&shards));
        let writer = ranks.is_writer().then(|| {
            let writer = Writer::create(folder, self.config.tensorboard)?;
            folder.create_checkpoints()?;
            folder.accept_settings()?;
            Ok(writer)
        });
        let writer = ranks.together(writer.transpose())?;
        let ema = self.config.ema_decay.map(Ema::new);
        let begin = Checkpoint { model, optimizer, shards, ema, state, scheduled: true };
        let run = Run::new(begin, &ranks, rule, writer, folder, None, self.timer());
        self.train(run, data, on_event)
    }

    /// Resumes the run in `folder` from its latest checkpoint. The losses equal those of an uninterrupted run.
    ///
    /// # Errors
    /// As [`Self::start`]; if there is no usable checkpoint, or it belongs to other data.
    pub fn resume<S, C>(
        &self,
        data: &Data<S, C>,
        folder: &RunFolder,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome<T::MetricState>, TrainError>
    where
        S: Dataset<Sample = C::Sample> + 'static,
        C: Collator<Batch = T::Batch>,
    {
        self.config.check_samples(data.train.per_epoch())?;
        self.config.check_validation(data.validation.is_some())?;
        let fingerprints = [Some(data.fingerprint.as_str()), self.former_fingerprint];
        let batches: Vec<String> = fingerprints.into_iter().flatten().map(|data| self.batches_name(data)).collect();
        let checkpoints = folder.checkpoints();
        let ranks = self.ranks()?;
        let steps = ranks.of_writer(checkpoint::steps(&checkpoints))?;
        let latest = self.latest_checkpoint(&ranks, &batches, &checkpoints, &steps, on_event)?;
        let Some(checkpoint) = latest else {
            return Err(TrainError::NoCheckpoint { folder: folder.path().to_owned() });
        };
        let writer = ranks.is_writer().then(|| {
            folder.accept_settings()?;
            // A process that was killed behind its last checkpoint did not come to this, and no other checkpoint follows.
            // Damaged ones that are later stay until there is another one.
            if steps.last() == Some(&checkpoint.state.step) {
                retention::prune(&checkpoints, self.config, &checkpoint.state)?;
            }
            Writer::open_at(folder, checkpoint.state.step, self.config.tensorboard)
        });
        let writer = ranks.together(writer.transpose())?;
        let written = Some((checkpoint.state.step, checkpoint.scheduled));
        let rule = LayerRule::new(self.config, self.parameter_rule, &checkpoint.model)?;
        let run = Run::new(checkpoint, &ranks, rule, writer, folder, written, self.timer());
        self.train(run, data, on_event)
    }

    /// The parts of the ranks.
    fn ranks(&self) -> Result<Ranks<'a>, TrainError> {
        if self.stages.is_some() && !self.rule.is_sum() {
            return Err(TrainError::RuleInStages);
        }
        Ranks::new(self.collective, self.stages.map_or(1, Stages::n_stages), self.tensor_parallel)
    }

    /// Waits for the next checkpoint by time.
    fn timer(&self) -> Timer {
        Timer::start(self.config.checkpoint_minutes)
    }

    /// Settings that the position of a batch depends on.
    fn batches_name(&self, fingerprint: &str) -> String {
        let config = self.config;
        let size = match config.batch_size() {
            BatchSize::Sequences(n) => n.to_string(),
            BatchSize::Tokens(n) => format!("{n} tokens"),
        };
        format!("data {fingerprint}, seed {}, batches of {size} in windows of {}", self.seed, config.window)
    }

    fn train<S, C>(
        &self,
        mut run: Run<'_, T>,
        data: &Data<S, C>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome<T::MetricState>, TrainError>
    where
        S: Dataset<Sample = C::Sample> + 'static,
        C: Collator<Batch = T::Batch>,
    {
        let config = self.config;
        let stage = self.progress.stage("train", Some(config.steps), Unit::Items("steps"));
        stage.skip(run.state.step);
        let ready = || {
            config.dtype.check(&self.device)?;
            self.check_space(&run)?;
            let (samples, data_ranks) = (Arc::clone(&data.train), &run.ranks.data);
            let step = config.step(data_ranks.rank(), data_ranks.size());
            Ok(Batches::steps(samples, &data.collator, &config.batches(), self.seed, run.state.position, step)?)
        };
        let mut steps = run.ranks.together(ready())?;
        if config.dtype.on_host() != config.dtype {
            on_event(Event::NotRounded);
        }
        let batches_name = self.batches_name(&data.fingerprint);
        let mut told = false;
        // The last step that the progress shows: after a roll-back, steps are done again.
        let mut shown = run.state.step;
        let stop = loop {
            match self.between_steps(&mut run, data, &batches_name, on_event) {
                Err(error @ TrainError::Diverged { .. }) => {
                    self.roll_back(&mut run, error, &batches_name, on_event)?;
                    continue;
                }
                result => {
                    if let Some(stop) = result? {
                        break stop;
                    }
                }
            }
            let Some(step) = steps.next() else { break Stop::Finished };
            if let Ok(Step { n_micro_batches, .. }) = &step
                && !std::mem::replace(&mut told, true)
                && *n_micro_batches < run.ranks.data.size()
            {
                on_event(Event::IdleRanks { n_micro_batches: *n_micro_batches, n_ranks: run.ranks.data.size() });
            }
            let (updated, stepped) = self.step(run, step.map_err(TrainError::from))?;
            run = updated;
            run.state.position = steps.position();
            if run.state.step > shown {
                shown = run.state.step;
                stage.advance(1);
            }
            match stepped {
                Stepped::Updated { untrained } if untrained.is_empty() => {}
                Stepped::Updated { untrained } => on_event(Event::Untrained(&untrained)),
                Stepped::Skipped { loss, gradient_norm, diverged } => {
                    on_event(Event::Skipped { step: run.state.step, loss, gradient_norm });
                    if let Some(error) = diverged {
                        self.roll_back(&mut run, error, &batches_name, on_event)?;
                        continue;
                    }
                }
            }
            if run.state.step.is_multiple_of(config.log_every) || run.state.step == config.steps {
                self.log(&mut run, stage.as_ref(), on_event)?;
            }
        };
        // Where a run is interrupted is no part of its settings.
        let scheduled = stop != Stop::Interrupted;
        if !run.is_written(scheduled) {
            self.checkpoint(&mut run, &batches_name, scheduled, on_event)?;
        }
        let published = self.publish(&run, on_event)?;
        Ok(Outcome { stop, state: run.state, published })
    }

    /// Evaluates and writes checkpoints, if that is due; returns the reason if the run ends here.
    fn between_steps<S, C>(
        &self,
        run: &mut Run<'_, T>,
        data: &Data<S, C>,
        batches: &str,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Stop>, TrainError>
    where
        S: Dataset<Sample = C::Sample> + 'static,
        C: Collator<Batch = T::Batch>,
    {
        let (config, step) = (self.config, run.state.step);
        self.check_weights(run)?;
        let is_kept = match self.evaluate_if_due(run, data, on_event) {
            Err(error) if is_interrupted(&error) => return Ok(Some(Stop::Interrupted)),
            result => result?,
        };
        if (is_kept || self.is_checkpoint_due(run)) && !run.is_written(true) {
            self.checkpoint(run, batches, true, on_event)?;
        }
        if step >= config.steps {
            return Ok(Some(Stop::Finished));
        }
        if config.patience.is_some_and(|patience| run.state.evaluations_without_improvement >= patience) {
            return Ok(Some(Stop::Early));
        }
        // Ranks agree on what to do.
        let wants_checkpoint = self.interrupt.take_checkpoint_request() || (run.writer.is_some() && run.timer.is_due());
        let requests = run.ranks.agree(Ok((self.interrupt.requested(), wants_checkpoint)))?;
        if requests.iter().any(|(stop, _)| *stop) {
            return Ok(Some(Stop::Interrupted));
        }
        if requests.iter().any(|(_, checkpoint)| *checkpoint) && !run.is_written(false) {
            self.checkpoint(run, batches, false, on_event)?;
        }
        Ok(None)
    }

    /// `true` if the settings ask for a checkpoint after this step.
    fn is_checkpoint_due(&self, run: &Run<'_, T>) -> bool {
        let (config, step) = (self.config, run.state.step);
        if step == 0 {
            // So that there is one to go back to.
            return config.on_divergence == OnDivergence::RollBack;
        }
        let is_due = |every: Option<u64>| every.is_some_and(|every| step.is_multiple_of(every));
        // Not among skipped steps, of which the weights may be the reason.
        let is_good = run.state.health.skipped_in_a_row == 0;
        step >= config.steps || (is_good && (is_due(Some(config.checkpoint_every)) || is_due(config.keep_every)))
    }

    fn log(
        &self,
        run: &mut Run<'_, T>,
        stage: &dyn Stage,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        run.tick();
        let step = run.state.step;
        let mut metrics = run.state.metric_state.metrics();
        let interval = std::mem::take(&mut run.state.interval);
        let mut gradient_norm = interval.gradient_norm;
        if interval.updates == 0 {
            // Without an update there is nothing to average.
            gradient_norm = f64::NAN;
            metrics.iter_mut().for_each(|(_, value)| *value = f64::NAN);
        }
        let loss = metrics.first().map_or(f64::NAN, |metric| metric.1);
        let more = [
            ("learning_rate", run.learning_rate),
            ("gradient_norm", gradient_norm),
            ("tokens", run.state.tokens as f64),
            ("tokens_per_s", interval.tokens_per_s().round()),
            ("padding", (interval.padding_share() * 1e4).round() / 1e4),
            ("seconds", (run.state.seconds * 1e3).round() / 1e3),
        ];
        stage.message(&summary(&metrics));
        run.state.metric_state = self.task.metric_state();
        let skipped = (interval.skipped > 0).then_some(("skipped", interval.skipped as f64));
        let is_measured = run.ranks.world.traffic().is_some() && run.ranks.world.size() > 1;
        let share = (interval.communication_share() * 1e4).round() / 1e4;
        let communication = is_measured.then_some(("communication", share));
        run.append(step, "train", metrics.into_iter().chain(more).chain(communication).chain(skipped), on_event)?;
        if loss.is_finite()
            && let Some(mean) = run.state.health.add_loss(loss)
        {
            on_event(Event::Spike { step, loss, mean });
        }
        Ok(())
    }
}

/// The first metrics, for the place beside a progress bar.
fn summary(metrics: &[Metric]) -> String {
    let shown = metrics.iter().take(3).map(|(name, value)| format!("{name} {value:.3}"));
    shown.collect::<Vec<_>>().join("  ")
}
