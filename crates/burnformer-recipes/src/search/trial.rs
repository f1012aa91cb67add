//! A part of a trial: its run from where it is to the next comparison, or to its end.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burnformer_core::progress::{Interrupt, Progress, Silent, Stage, Unit, is_interrupted};
use burnformer_search::{AshaConfig, Failure};
use burnformer_train::{Event, History, HistoryEntry, RunFolder, TrainError};

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::error::Fate;
use super::{TrialError, Trials};
use crate::{Context, Note, Observer, RecipeError, TooLittleMemory};

/// What a trial tells the process that it runs in.
pub(super) enum Message {
    /// What the search learns of it.
    News(News),
    /// The search cannot go on: another trial would meet this too.
    Broken { trial: usize, error: TrialError },
}

/// What a search learns of a trial, from any process.
#[derive(Serialize, Deserialize)]
pub(super) enum News {
    /// Its run was evaluated.
    Evaluated { trial: usize, step: u64, value: Exact },
    /// This part of it has ended.
    Ended { trial: usize, end: End },
}

/// How a part of a trial ended, with the values of the metric by step.
#[derive(Serialize, Deserialize)]
pub(super) enum End {
    /// It has come to the next comparison.
    Reached(Vec<(u64, Exact)>),
    /// It has done all its steps, or stopped early.
    Complete(Vec<(u64, Exact)>),
    /// The metric is not among those of its validation samples.
    NoMetric(Vec<String>),
    /// It was asked to stop, and goes on later.
    Interrupted,
    /// By itself.
    Failed(Failure),
}

/// A number that JSON keeps bit by bit.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub(super) struct Exact(pub(super) f64);

impl From<u64> for Exact {
    fn from(bits: u64) -> Self {
        Self(f64::from_bits(bits))
    }
}

impl From<Exact> for u64 {
    fn from(number: Exact) -> Self {
        number.0.to_bits()
    }
}

impl Message {
    /// What is to be told of a trial that ended so.
    pub(super) fn ended(trial: usize, end: Result<End, TrialError>) -> Self {
        let end = match end {
            Ok(end) => end,
            Err(error) => match Fate::of(error.as_ref()) {
                Fate::Interrupted => End::Interrupted,
                Fate::Ended(failure) => End::Failed(failure),
                Fate::Broken => return Self::Broken { trial, error },
            },
        };
        Self::News(News::Ended { trial, end })
    }
}

/// A part of a trial.
pub(super) struct TrialRun<'a> {
    pub(super) number: usize,
    pub(super) folder: PathBuf,
    /// Its settings.
    pub(super) sets: Vec<String>,
    /// Number of comparisons behind which it is.
    pub(super) promotions: usize,
    pub(super) asha: Option<AshaConfig>,
    pub(super) metric: &'a str,
    pub(super) trials: &'a dyn Trials,
    pub(super) budget: &'a Budget,
    /// Memory in bytes that it may take; absent if its recipe alone decides that.
    pub(super) memory_limit: Option<u64>,
    /// Request to stop this trial alone.
    pub(super) interrupt: Interrupt,
}

impl TrialRun<'_> {
    /// Trains up to the next comparison or the end. `context` is that of the search.
    pub(super) fn run(&self, context: &Context<'_>, messages: &Sender<Message>) -> Result<End, TrialError> {
        let has_begun = RunFolder::settings_file(&self.folder).is_file();
        let observer = TrialObserver {
            inner: context.observer,
            trial: self.number,
            metric: self.metric,
            stop_at: Mutex::new(None),
            interrupt: self.interrupt.clone(),
            messages: Mutex::new(messages.clone()),
            lacks: Mutex::new(None),
        };
        // Each trial is the work of one process.
        let context = Context { observer: &observer, interrupt: Some(&self.interrupt), ..context.alone() };
        let recipe = match has_begun {
            true => self.trials.reload(&self.folder, &context)?,
            false => self.trials.begin(&self.folder, &self.sets, &context)?,
        };
        let config = recipe.train_config();
        let steps = self.asha.map(|asha| asha.steps(config.steps, config.evaluate_every)).transpose()?;
        let target = steps.and_then(|steps| steps.get(self.promotions).copied());
        let plan = recipe.plan_run(&context)?;
        if let Some(available) = self.memory_limit.filter(|limit| plan.memory_bytes > *limit) {
            let remedies = Vec::new();
            return Err(RecipeError::from(TooLittleMemory { estimate: plan.memory_bytes, available, remedies }).into());
        }
        // The program is there already, whatever runs in it.
        let _share = self.budget.take(plan.memory_bytes.saturating_sub(plan.memory.program), &self.interrupt)?;
        *held(&observer.stop_at) = target;
        if has_begun && self.has_reached(target)? {
            // The search was killed before it took note of that, and perhaps before the run published its best model.
            self.interrupt.request();
        }
        let ended = match has_begun {
            true => recipe.resume_run(&self.folder, &context),
            false => recipe.start_run(&self.folder, &context),
        };
        if let Some(known) = held(&observer.lacks).take() {
            return Ok(End::NoMetric(known));
        }
        match ended {
            Ok(_) => Ok(End::Complete(self.values()?)),
            Err(error) if is_interrupted(&error) && self.has_reached(target)? => Ok(End::Reached(self.values()?)),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether its run has done all steps up to a comparison, and was evaluated there: that may have been interrupted.
    fn has_reached(&self, target: Option<u64>) -> Result<bool, RecipeError> {
        let done = RunFolder::progress(&self.folder).map_or(0, |progress| progress.step);
        let Some(target) = target.filter(|target| done >= *target) else { return Ok(false) };
        Ok(self.history()?.iter().any(|entry| is_evaluation(entry) && entry.step == target))
    }

    fn history(&self) -> Result<Vec<HistoryEntry>, RecipeError> {
        Ok(History::read(RunFolder::metrics_file(&self.folder)).map_err(TrainError::from)?)
    }

    /// The values of the metric by step.
    fn values(&self) -> Result<Vec<(u64, Exact)>, RecipeError> {
        let history = self.history()?;
        let evaluations = history.iter().filter(|entry| is_evaluation(entry));
        Ok(evaluations.filter_map(|entry| Some((entry.step, Exact(entry.value(self.metric)?)))).collect())
    }
}

/// What is behind a lock; a value is whole there, whatever happened to who held it.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_evaluation(entry: &HistoryEntry) -> bool {
    entry.split == "validation"
}

/// Passes on what matters beyond the trial, and stops it at the next comparison.
struct TrialObserver<'a> {
    inner: &'a dyn Observer,
    trial: usize,
    metric: &'a str,
    /// Step of the evaluation behind which it waits.
    stop_at: Mutex<Option<u64>>,
    interrupt: Interrupt,
    messages: Mutex<Sender<Message>>,
    /// The metrics there are, if the wanted one is not among them.
    lacks: Mutex<Option<Vec<String>>>,
}

impl TrialObserver<'_> {
    fn evaluated(&self, entry: &HistoryEntry) {
        let Some(value) = entry.value(self.metric) else {
            let known = entry.values.iter().map(|(name, _)| name.clone()).collect();
            *held(&self.lacks) = Some(known);
            return self.interrupt.request();
        };
        let message = Message::News(News::Evaluated { trial: self.trial, step: entry.step, value: Exact(value) });
        // Nobody listens any more once the search has ended with an error.
        let _ = held(&self.messages).send(message);
        if held(&self.stop_at).is_some_and(|step| entry.step >= step) {
            self.interrupt.request();
        }
    }
}

impl Progress for TrialObserver<'_> {
    fn stage(&self, name: &str, total: Option<u64>, unit: Unit) -> Box<dyn Stage> {
        match name {
            "train" => self.inner.stage(&format!("trial {}", self.trial), total, unit),
            // Every trial reads and measures the same.
            _ => Silent.stage(name, total, unit),
        }
    }
}

impl Observer for TrialObserver<'_> {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Metrics(entry) if is_evaluation(entry) => self.evaluated(entry),
            Event::Damaged(_) | Event::RolledBack { .. } => self.inner.event(event),
            _ => {}
        }
    }

    fn note(&self, note: &Note<'_>) {
        // What is said of the data was said when the search began.
        if let Note::StartsAnew { .. } = note {
            self.inner.note(note);
        }
    }
}
