//! The training loop.

use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use burnformer_core::progress::{Interrupt, Interrupted, Progress, Silent, Stage, Unit, is_interrupted};
use burnformer_data::batches::{BatchSize, Batches, Collator};
use burnformer_data::datasets::Dataset;
use burnformer_ops::{Precision, with_matmul_precision};
use burnformer_tasks::{Metric, MetricState, Task, evaluate};

use crate::checkpoint::{self, Checkpoint};
use crate::collective::gather;
use crate::run::{Run, Writer};
use crate::{
    Best, Collective, GradientRule, HistoryEntry, Local, Optimizer, RunFolder, Sum, TrainConfig, TrainError, TrainState,
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
    progress: &'a dyn Progress,
    /// The requests to stop and to write a checkpoint.
    interrupt: Interrupt,
    /// The processes that train together.
    pub(crate) collective: &'a dyn Collective,
    /// How micro-batches contribute to a step's gradient.
    pub(crate) rule: &'a dyn GradientRule<T>,
    /// The fingerprint of the data as an earlier version made it.
    former_fingerprint: Option<&'a str>,
}

impl<'a, T: Task> Trainer<'a, T> {
    /// A trainer for `task` with the settings `config`, in this process alone. `seed` is the seed of every random draw, and
    /// `device` the device to train on, without gradient tracking.
    #[must_use]
    pub fn new(task: &'a T, config: &'a TrainConfig, seed: u64, device: Device) -> Self {
        let (interrupt, collective) = (Interrupt::new(), &Local);
        let (progress, rule, former_fingerprint) = (&Silent, &Sum, None);
        Self { task, config, seed, device, progress, interrupt, collective, rule, former_fingerprint }
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

    /// Makes a step's gradient of its micro-batches by `rule`.
    #[must_use]
    pub fn with_rule(self, rule: &'a dyn GradientRule<T>) -> Self {
        Self { rule, ..self }
    }

    /// Resumes runs that name their data by this fingerprint too: that of an earlier version.
    #[must_use]
    pub fn with_former_fingerprint(self, fingerprint: Option<&'a str>) -> Self {
        Self { former_fingerprint: fingerprint, ..self }
    }

    /// Trains `model`, which is on the device with gradient tracking, from its first step.
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
        let optimizer = Optimizer::new(self.config.optimizer.clone());
        let state = TrainState::new(self.task.metric_state());
        let writer = self.is_writer().then(|| Writer::create(folder)).transpose()?;
        if self.is_writer() {
            folder.create_checkpoints()?;
            folder.accept_settings()?;
        }
        let run = Run::new(model, optimizer, state, writer, folder);
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
        let optimizer = &self.config.optimizer;
        let fingerprints = [Some(data.fingerprint.as_str()), self.former_fingerprint];
        let batches: Vec<String> = fingerprints.into_iter().flatten().map(|data| self.batches_name(data)).collect();
        let device = self.device.clone().autodiff();
        let latest = Checkpoint::latest(self.task, optimizer, &batches, &folder.checkpoints(), &device, |error| {
            on_event(Event::Damaged(error));
        })?;
        let Some(Checkpoint { model, optimizer, state }) = latest else {
            return Err(TrainError::NoCheckpoint { folder: folder.path().to_owned() });
        };
        if self.is_writer() {
            folder.accept_settings()?;
        }
        let writer = self.is_writer().then(|| Writer::open_at(folder, state.step)).transpose()?;
        let run = Run::new(model, optimizer, state, writer, folder);
        self.train(run, data, on_event)
    }

    /// `true` if this process writes the run folder.
    fn is_writer(&self) -> bool {
        self.collective.rank() == 0
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
        config.dtype.check(&self.device)?;
        let stage = self.progress.stage("train", Some(config.steps), Unit::Items("steps"));
        stage.skip(run.state.step);
        let batches = config.batches();
        let mut batches =
            Batches::endless(Arc::clone(&data.train), &data.collator, &batches, self.seed, run.state.position)?;
        let batches_name = self.batches_name(&data.fingerprint);
        let stop = loop {
            let step = run.state.step;
            if step > 0 {
                let is_best = match self.evaluate_if_due(&mut run, data, on_event) {
                    Err(error) if is_interrupted(&error) => break Stop::Interrupted,
                    result => result?,
                };
                if run.written != Some(step)
                    && (is_best || step.is_multiple_of(config.checkpoint_every) || step >= config.steps)
                {
                    self.checkpoint(&mut run, &batches_name, on_event)?;
                }
            }
            if step >= config.steps {
                break Stop::Finished;
            }
            if config.patience.is_some_and(|patience| run.state.evaluations_without_improvement >= patience) {
                break Stop::Early;
            }
            // Ranks agree: a checkpoint takes the counts of all.
            let requests = (self.interrupt.requested(), self.interrupt.take_checkpoint_request());
            let requests = gather(self.collective, requests)?;
            if requests.iter().any(|(stop, _)| *stop) {
                break Stop::Interrupted;
            }
            if requests.iter().any(|(_, checkpoint)| *checkpoint) && run.written != Some(step) {
                self.checkpoint(&mut run, &batches_name, on_event)?;
            }
            let Some(batch) = batches.next() else { break Stop::Finished };
            let batch = batch?;
            let (updated, untrained) = self.step(run, batch)?;
            run = updated;
            if !untrained.is_empty() {
                on_event(Event::Untrained(&untrained));
            }
            run.state.position = batches.position();
            stage.advance(1);
            if run.state.step.is_multiple_of(config.log_every) || run.state.step == config.steps {
                self.log(&mut run, stage.as_ref(), on_event)?;
            }
        };
        if run.written != Some(run.state.step) {
            self.checkpoint(&mut run, &batches_name, on_event)?;
        }
        let mut published = run.state.best.map_or(run.state.step, |best| best.step);
        if self.is_writer() {
            match run.folder.publish(published) {
                // Its checkpoint was whole when it was written: the latest one takes its place.
                Err(error @ TrainError::Damaged { .. }) if published != run.state.step => {
                    on_event(Event::Damaged(error));
                    published = run.state.step;
                    run.folder.publish(published)?;
                }
                result => result?,
            }
        }
        Ok(Outcome { stop, state: run.state, published })
    }

    fn log(
        &self,
        run: &mut Run<'_, T>,
        stage: &dyn Stage,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let gradient_norm = self.settle(run)?;
        let step = run.state.step;
        let metrics = run.state.metric_state.metrics();
        let interval = std::mem::take(&mut run.state.interval);
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
        run.append(step, "train", metrics.into_iter().chain(more), on_event)
    }

    /// Evaluates if that is due after this step and not done yet; returns whether the model is the best so far.
    fn evaluate_if_due<S, C>(
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
        self.settle(run)?;
        let metric_state = self.evaluate(run, validation, &data.collator)?;
        run.clock = Instant::now();
        run.state.evaluated = step;
        let metrics = metric_state.metrics();
        let best =
            Best { step, quality: metric_state.quality(), loss: metrics.first().map_or(f64::NAN, |metric| metric.1) };
        run.append(step, "validation", metrics.into_iter(), on_event)?;
        let is_best = run.state.best.is_none_or(|old| best.is_better_than(&old));
        if is_best {
            run.state.best = Some(best);
            run.state.evaluations_without_improvement = 0;
            on_event(Event::Best(best));
        } else {
            run.state.evaluations_without_improvement += 1;
        }
        Ok(is_best)
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
        let model = run.model.valid();
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

    fn checkpoint(
        &self,
        run: &mut Run<'_, T>,
        batches: &str,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        self.settle(run)?;
        let step = run.state.step;
        let Some(writer) = &run.writer else {
            run.written = Some(step);
            return Ok(());
        };
        writer.sync()?;
        let checkpoints = run.folder.checkpoints();
        Checkpoint::<T>::write(self.task, &run.model, &run.optimizer, &run.state, batches, &checkpoints)?;
        checkpoint::prune(&checkpoints, self.config.keep_checkpoints, run.state.best.map(|best| best.step))?;
        run.folder.draw(writer.entries())?;
        run.written = Some(step);
        on_event(Event::Checkpoint { step });
        Ok(())
    }
}

/// The first metrics, for the place beside a progress bar.
fn summary(metrics: &[Metric]) -> String {
    let shown = metrics.iter().take(3).map(|(name, value)| format!("{name} {value:.3}"));
    shown.collect::<Vec<_>>().join("  ")
}
