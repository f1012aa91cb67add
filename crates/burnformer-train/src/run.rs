//! State of the training loop between steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use burnformer_tasks::{Metric, Task};

use crate::checkpoint::Checkpoint;
use crate::ema::Ema;
use crate::events::EventFile;
use crate::layers::LayerRule;
use crate::ranks::Ranks;
use crate::shards::Shards;
use crate::timer::Timer;
use crate::trainer::Event;
use crate::{History, HistoryEntry, Optimizer, RunFolder, TrainError, TrainState};

/// A run between two steps.
pub(crate) struct Run<'a, T: Task> {
    pub(crate) model: T::Model,
    pub(crate) optimizer: Optimizer,
    /// The moving average of the weights, if the settings ask for it.
    pub(crate) ema: Option<Ema>,
    /// The processes that train together.
    pub(crate) ranks: &'a Ranks<'a>,
    /// Which of them updates which parameter.
    pub(crate) shards: Arc<Shards>,
    /// Which parameters are trained, and at which learning rate.
    pub(crate) rule: LayerRule<'a>,
    pub(crate) state: TrainState<T::MetricState>,
    /// The files of the run, on the process that writes them.
    pub(crate) writer: Option<Writer>,
    pub(crate) folder: &'a RunFolder,
    /// Loss of the latest step, of this process.
    pub(crate) loss: f64,
    /// Learning rate of the latest step.
    pub(crate) learning_rate: f64,
    /// Start of the time that is not yet in the state.
    clock: Instant,
    /// Time that this process had spent on others then.
    communicated: Duration,
    /// The latest checkpoint: its step, and whether the settings asked for it.
    pub(crate) written: Option<(u64, bool)>,
    /// When the next one is due by time.
    pub(crate) timer: Timer,
}

/// The history of a run, in its file and as it is drawn.
pub(crate) struct Writer {
    history: History,
    entries: Vec<HistoryEntry>,
    /// The same for TensorBoard, if it was asked for.
    events: Option<EventFile>,
}

impl Writer {
    /// The history of a run that begins; with an event file if `tensorboard` is `true`.
    pub(crate) fn create(folder: &RunFolder, tensorboard: bool) -> Result<Self, TrainError> {
        Self::new(History::create(folder.metrics())?, Vec::new(), folder, tensorboard)
    }

    /// The history of a run that continues after `step`; with an event file if `tensorboard` is `true`.
    pub(crate) fn open_at(folder: &RunFolder, step: u64, tensorboard: bool) -> Result<Self, TrainError> {
        let history = History::open_at(folder.metrics(), step)?;
        Self::new(history, History::read(folder.metrics())?, folder, tensorboard)
    }

    fn new(
        history: History,
        entries: Vec<HistoryEntry>,
        folder: &RunFolder,
        tensorboard: bool,
    ) -> Result<Self, TrainError> {
        let events = tensorboard.then(|| EventFile::create(folder.path(), &entries)).transpose()?;
        Ok(Self { history, entries, events })
    }

    fn append(&mut self, entry: &HistoryEntry) -> Result<(), TrainError> {
        self.history.append(entry)?;
        if let Some(events) = &mut self.events {
            events.append(entry)?;
        }
        Ok(())
    }

    /// Makes the lines of metrics survive a loss of power.
    pub(crate) fn sync(&self) -> Result<(), TrainError> {
        Ok(self.history.sync()?)
    }

    /// All lines of metrics.
    pub(crate) fn entries(&self) -> &[HistoryEntry] {
        &self.entries
    }
}

impl<'a, T: Task> Run<'a, T> {
    /// A run that starts, or continues from a checkpoint.
    pub(crate) fn new(
        checkpoint: Checkpoint<T>,
        ranks: &'a Ranks<'a>,
        rule: LayerRule<'a>,
        writer: Option<Writer>,
        folder: &'a RunFolder,
        written: Option<(u64, bool)>,
        timer: Timer,
    ) -> Self {
        let Checkpoint { model, optimizer, shards, ema, state, .. } = checkpoint;
        Self {
            model,
            ranks,
            shards,
            optimizer,
            ema,
            rule,
            writer,
            folder,
            loss: f64::NAN,
            learning_rate: 0.0,
            clock: Instant::now(),
            communicated: communicated(ranks),
            written,
            timer,
            state,
        }
    }

    /// The model that is evaluated, which does not track gradients: the average of the weights, if there is one.
    pub(crate) fn result(&self) -> T::Model {
        let model = self.model.valid();
        match &self.ema {
            Some(ema) => ema.apply(model),
            None => model,
        }
    }

    /// Adds the time since the last call to the state.
    pub(crate) fn tick(&mut self) {
        let seconds = self.clock.elapsed().as_secs_f64();
        self.state.seconds += seconds;
        self.state.interval.seconds += seconds;
        let communicated = communicated(self.ranks).saturating_sub(self.communicated);
        self.state.interval.communication += communicated.as_secs_f64();
        self.restart_clock();
    }

    /// Leaves out the time since the last [`tick`](Self::tick).
    pub(crate) fn restart_clock(&mut self) {
        self.clock = Instant::now();
        self.communicated = communicated(self.ranks);
    }

    /// `true` if there is a checkpoint of this step, and one of the schedule if that is what is wanted.
    pub(crate) fn is_written(&self, scheduled: bool) -> bool {
        self.written.is_some_and(|(step, was_scheduled)| step == self.state.step && (was_scheduled || !scheduled))
    }

    /// Reports a line of metrics, and writes it.
    pub(crate) fn append(
        &mut self,
        step: u64,
        split: &str,
        values: impl Iterator<Item = Metric>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let values = values.map(|(name, value)| (name.to_owned(), value)).collect();
        let entry = HistoryEntry { step, split: split.to_owned(), values };
        let written = self.writer.as_mut().map_or(Ok(()), |writer| writer.append(&entry));
        self.ranks.together(written)?;
        on_event(Event::Metrics(&entry));
        if let Some(writer) = &mut self.writer {
            writer.entries.push(entry);
        }
        Ok(())
    }
}

/// Time that this process has spent on others.
fn communicated(ranks: &Ranks<'_>) -> Duration {
    ranks.world.traffic().unwrap_or_default().time
}
