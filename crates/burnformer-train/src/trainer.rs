//! The loop.

use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::progress::{Interrupt, Progress, Silent, Stage, Unit, is_interrupted};
use burnformer_data::batches::{Batch, BatchSize, Batches, PaddingStats};
use burnformer_data::datasets::Dataset;
use burnformer_nn::DropoutRng;
use burnformer_ops::{Precision, with_matmul_precision};
use burnformer_tasks::{Metric, MetricState, Scores, Task, evaluate};

use crate::checkpoint::{self, Checkpoint};
use crate::{Best, GradientSums, History, HistoryEntry, Optimizer, RunFolder, TrainConfig, TrainError, TrainState};

/// Samples to train on, and to choose by.
pub struct Data<S> {
    /// To train on.
    pub train: Arc<S>,
    /// To evaluate on.
    pub validation: Option<Arc<S>>,
    /// What rows are filled up with.
    pub pad_id: u32,
    /// Names the data: a run goes on only with the same.
    pub fingerprint: String,
}

/// What happens in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A line of metrics.
    Metrics(&'a HistoryEntry),
    /// The evaluation that was just told is the best so far.
    Best(Best),
    /// A checkpoint was written.
    Checkpoint {
        /// After which step.
        step: u64,
    },
    /// A checkpoint is damaged, so that the run goes on from an older one.
    Damaged(TrainError),
    /// Parameters that the loss of the first step does not depend on.
    Untrained(&'a [String]),
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It did all its steps.
    Finished,
    /// Evaluations did not get better any more.
    Early,
    /// It was asked to stop, and can be resumed.
    Interrupted,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome<L> {
    /// Why.
    pub stop: Stop,
    /// Where it stands.
    pub state: TrainState<L>,
    /// The step whose model is at the top of the run folder.
    pub published: u64,
}

/// Trains a model.
pub struct Trainer<'a, T: Task> {
    task: &'a T,
    config: &'a TrainConfig,
    seed: u64,
    device: Device,
    progress: &'a dyn Progress,
    interrupt: Interrupt,
}

/// What the loop carries from step to step.
struct Run<'a, T: Task> {
    model: T::Model,
    optimizer: Optimizer,
    state: TrainState<T::MetricState>,
    history: History,
    entries: Vec<HistoryEntry>,
    /// Batches since the last line of metrics, with scores that are still on the device.
    pending: Vec<(T::Batch, Scores)>,
    /// Norm of the latest gradient, `[1]`.
    gradient_norm: Option<Tensor<1>>,
    learning_rate: f64,
    /// Of the batches since the last line of metrics.
    padding: PaddingStats,
    tokens_logged: u64,
    seconds_logged: f64,
    clock: Instant,
    folder: &'a RunFolder,
    /// The step of the latest checkpoint.
    written: Option<u64>,
}

impl<'a, T: Task> Trainer<'a, T> {
    /// Training for `task` by the settings `config`, on `device`, which is without gradient tracking. `seed` is that of every
    /// random draw.
    #[must_use]
    pub fn new(task: &'a T, config: &'a TrainConfig, seed: u64, device: Device) -> Self {
        Self { task, config, seed, device, progress: &Silent, interrupt: Interrupt::new() }
    }

    /// The same, reporting its progress.
    #[must_use]
    pub fn with_progress(self, progress: &'a dyn Progress) -> Self {
        Self { progress, ..self }
    }

    /// The same, stopping with a checkpoint when `interrupt` is requested.
    #[must_use]
    pub fn with_interrupt(self, interrupt: &Interrupt) -> Self {
        Self { interrupt: interrupt.clone(), ..self }
    }

    /// Trains `model`, which is on the device with gradient tracking, from its first step.
    ///
    /// # Errors
    /// If there are too few samples, the loss diverges, or data, device or disk fail. What was written stays.
    pub fn start<S>(
        &self,
        model: T::Model,
        data: &Data<S>,
        folder: &RunFolder,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome<T::MetricState>, TrainError>
    where
        S: Dataset<Sample = <T::Batch as Batch>::Sample> + 'static,
    {
        self.config.check_samples(data.train.per_epoch())?;
        let optimizer = Optimizer::new(self.config.optimizer.clone());
        let history = History::create(folder.metrics())?;
        let state = TrainState::new(self.task.metric_state());
        let run = Run::new(model, optimizer, state, history, Vec::new(), folder);
        self.train(run, data, on_event)
    }

    /// Goes on with the run in `folder` from its latest checkpoint. The losses are those of a run that was never stopped.
    ///
    /// # Errors
    /// As [`Self::start`]; if there is no usable checkpoint, or it belongs to other data.
    pub fn resume<S>(
        &self,
        data: &Data<S>,
        folder: &RunFolder,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome<T::MetricState>, TrainError>
    where
        S: Dataset<Sample = <T::Batch as Batch>::Sample> + 'static,
    {
        self.config.check_samples(data.train.per_epoch())?;
        let (optimizer, batches) = (&self.config.optimizer, self.batches_name(data));
        let device = self.device.clone().autodiff();
        let latest = Checkpoint::latest(self.task, optimizer, &batches, &folder.checkpoints(), &device, |error| {
            on_event(Event::Damaged(error));
        })?;
        let Some(Checkpoint { model, optimizer, state }) = latest else {
            return Err(TrainError::NoCheckpoint { folder: folder.path().to_owned() });
        };
        let history = History::open_at(folder.metrics(), state.step)?;
        let entries = History::read(folder.metrics())?;
        let run = Run::new(model, optimizer, state, history, entries, folder);
        self.train(run, data, on_event)
    }

    /// What the position of a batch depends on.
    fn batches_name<S>(&self, data: &Data<S>) -> String {
        let config = self.config;
        let size = match config.batch_size() {
            BatchSize::Sequences(n) => n.to_string(),
            BatchSize::Tokens(n) => format!("{n} tokens"),
        };
        format!("data {}, seed {}, batches of {size} in windows of {}", data.fingerprint, self.seed, config.window)
    }

    fn train<S>(
        &self,
        mut run: Run<'_, T>,
        data: &Data<S>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome<T::MetricState>, TrainError>
    where
        S: Dataset<Sample = <T::Batch as Batch>::Sample> + 'static,
    {
        let config = self.config;
        config.dtype.check(&self.device)?;
        let stage = self.progress.stage("train", Some(config.steps), Unit::Items("steps"));
        stage.skip(run.state.step);
        let batches = config.batches();
        let mut batches = Batches::<T::Batch>::endless(
            Arc::clone(&data.train),
            data.pad_id,
            &batches,
            self.seed,
            run.state.position,
        )?;
        let batches_name = self.batches_name(data);
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
            if self.interrupt.requested() {
                break Stop::Interrupted;
            }
            let Some(batch) = batches.next() else { break Stop::Finished };
            let batch = batch?;
            // On a thread of the pool, so that the many short parallel micro_batches of a step need not wake one each.
            let (updated, untrained) = rayon::scope(|_| self.step(run, batch))?;
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
        let published = run.state.best.map_or(run.state.step, |best| best.step);
        run.folder.publish(published)?;
        Ok(Outcome { stop, state: run.state, published })
    }

    /// One update, and after the first the parameters that its loss does not depend on. The run is handed over, so that its
    /// weights are nowhere else and can be updated in place.
    fn step<'r>(&self, mut run: Run<'r, T>, batch: T::Batch) -> Result<(Run<'r, T>, Vec<String>), TrainError> {
        let config = self.config;
        let device = self.device.clone().autodiff();
        run.state.step += 1;
        let micro_batches = config.micro_batches(batch);
        let mut totals = T::Counts::default();
        for micro_batch in &micro_batches {
            let padding = micro_batch.padding_stats();
            run.state.tokens += padding.tokens;
            run.padding += padding;
            totals += self.task.counts(micro_batch);
        }
        let mut gradients = GradientSums::new();
        with_matmul_precision(config.dtype, &self.device, || {
            for micro_batch in micro_batches {
                let rng = DropoutRng::training(self.seed, micro_batch.numbers());
                let forward = self.task.forward(&run.model, &micro_batch, &totals, rng, &device);
                gradients.add(&run.model, forward.loss.backward());
                run.pending.push((micro_batch, forward.scores));
            }
        })?;
        let untrained = if run.state.step == 1 { gradients.missing(&run.model) } else { Vec::new() };
        let norm = gradients.norm();
        let scale = config.clip_norm.map(|max_norm| GradientSums::clip_factor(norm.clone(), max_norm));
        run.gradient_norm = Some(norm);
        let peak = config.optimizer.learning_rate();
        run.learning_rate = config.schedule.learning_rate(peak, run.state.step, config.steps);
        run.model = run.optimizer.step(run.model, gradients, run.learning_rate, scale);
        Ok((run, untrained))
    }

    /// Reads what is still on the device, and returns the norm of the latest gradient. A loss that is no number is not passed
    /// on: neither a line of metrics nor a checkpoint is made of it.
    fn settle(&self, run: &mut Run<'_, T>) -> Result<f64, TrainError> {
        for (batch, scores) in run.pending.drain(..) {
            let scores = scores.read()?;
            self.task.add_scores(&mut run.state.metric_state, &batch, &scores).map_err(TrainError::task)?;
        }
        run.state.seconds += run.clock.elapsed().as_secs_f64();
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

    fn log(
        &self,
        run: &mut Run<'_, T>,
        stage: &dyn Stage,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let gradient_norm = self.settle(run)?;
        let step = run.state.step;
        let metrics = run.state.metric_state.metrics();
        let seconds = run.state.seconds - run.seconds_logged;
        let tokens_per_s = (run.state.tokens - run.tokens_logged) as f64 / seconds.max(1e-9);
        let more = [
            ("learning_rate", run.learning_rate),
            ("gradient_norm", gradient_norm),
            ("tokens", run.state.tokens as f64),
            ("tokens_per_s", tokens_per_s.round()),
            ("padding", (std::mem::take(&mut run.padding).padding_share() * 1e4).round() / 1e4),
            ("seconds", (run.state.seconds * 1e3).round() / 1e3),
        ];
        stage.message(&summary(&metrics));
        run.state.metric_state = self.task.metric_state();
        (run.tokens_logged, run.seconds_logged) = (run.state.tokens, run.state.seconds);
        run.append(step, "train", metrics.into_iter().chain(more), on_event)
    }

    /// Evaluates if that is to be done after this step and was not, and says whether the model is the best so far.
    fn evaluate_if_due<S>(
        &self,
        run: &mut Run<'_, T>,
        data: &Data<S>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, TrainError>
    where
        S: Dataset<Sample = <T::Batch as Batch>::Sample> + 'static,
    {
        let step = run.state.step;
        let is_due = step.is_multiple_of(self.config.evaluate_every) || step == self.config.steps;
        let Some(validation) = data.validation.as_ref().filter(|_| is_due && run.state.evaluated < step) else {
            return Ok(false);
        };
        self.settle(run)?;
        let (batches, n_samples) = self.config.validation(validation, data.pad_id, self.seed)?;
        // In single precision also where the whole run is called from a step of another one.
        let model = run.model.valid();
        let metric_state = with_matmul_precision(Precision::F32, &self.device, || {
            evaluate(self.task, &model, batches, n_samples, &self.device, self.progress, &self.interrupt)
        })?
        .map_err(TrainError::task)?;
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

    fn checkpoint(
        &self,
        run: &mut Run<'_, T>,
        batches: &str,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        self.settle(run)?;
        let checkpoints = run.folder.checkpoints();
        let step = run.state.step;
        Checkpoint::<T>::write(self.task, &run.model, &run.optimizer, &run.state, batches, &checkpoints)?;
        run.written = Some(step);
        checkpoint::prune(&checkpoints, self.config.keep_checkpoints, run.state.best.map(|best| best.step))?;
        run.folder.draw(&run.entries)?;
        on_event(Event::Checkpoint { step });
        Ok(())
    }
}

impl<'a, T: Task> Run<'a, T> {
    /// A run that begins, or goes on from the checkpoint that `state` is of.
    fn new(
        model: T::Model,
        optimizer: Optimizer,
        state: TrainState<T::MetricState>,
        history: History,
        entries: Vec<HistoryEntry>,
        folder: &'a RunFolder,
    ) -> Self {
        Self {
            model,
            optimizer,
            history,
            entries,
            pending: Vec::new(),
            gradient_norm: None,
            learning_rate: 0.0,
            padding: PaddingStats::default(),
            tokens_logged: state.tokens,
            seconds_logged: state.seconds,
            clock: Instant::now(),
            folder,
            written: (state.step > 0).then_some(state.step),
            state,
        }
    }

    /// Writes a line of metrics.
    fn append(
        &mut self,
        step: u64,
        split: &str,
        values: impl Iterator<Item = Metric>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let values = values.map(|(name, value)| (name.to_owned(), value)).collect();
        let entry = HistoryEntry { step, split: split.to_owned(), values };
        self.history.append(&entry)?;
        on_event(Event::Metrics(&entry));
        self.entries.push(entry);
        Ok(())
    }
}

/// The first metrics, for the place beside a progress bar.
fn summary(metrics: &[Metric]) -> String {
    let shown = metrics.iter().take(3).map(|(name, value)| format!("{name} {value:.3}"));
    shown.collect::<Vec<_>>().join("  ")
}
