//! A study: the trials of a search, as its journal has them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::journal::{Journal, Operation};
use crate::{SearchError, Space, time};

/// What a search looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    /// Name of the metric that trials are compared by.
    pub metric: String,
    /// Which of two values is better.
    pub direction: Direction,
}

/// Which of two values is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The lower one.
    Minimize,
    /// The higher one.
    Maximize,
}

impl Direction {
    /// A number that is higher for a better value; the lowest for one that is not finite.
    pub(crate) fn score(self, value: f64) -> f64 {
        match self {
            _ if !value.is_finite() => f64::NEG_INFINITY,
            Self::Minimize => -value,
            Self::Maximize => value,
        }
    }

    /// Whether `value` is better than `other`.
    #[must_use]
    pub fn is_better(self, value: f64, other: f64) -> bool {
        self.score(value) > self.score(other)
    }
}

/// A trial. Its number is its place in the study.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its value of each parameter.
    pub values: Vec<f64>,
    /// Whether it has ended, and how.
    pub state: TrialState,
    /// The best value of its run so far, and at its end.
    pub value: Option<f64>,
    /// Values by step.
    pub evaluations: BTreeMap<u64, f64>,
    /// Its best value at each comparison that it has come to.
    pub rungs: Vec<f64>,
    /// Number of comparisons after which it went on. It waits if that is less than the number of `rungs`.
    pub promotions: usize,
    /// Why it ended early by itself.
    pub failure: Option<Failure>,
}

/// State of a trial, with the names and numbers of Optuna.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialState {
    /// It runs, or waits to go on.
    Running = 0,
    /// It has done all its steps.
    Complete = 1,
    /// Others were better, or it diverged.
    Pruned = 2,
    /// Its settings cannot work.
    Failed = 3,
}

/// Why a trial ended early by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// Its training diverged.
    Diverged(String),
    /// Its settings cannot work.
    Impossible(String),
}

impl Failure {
    /// The error that ended it.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Diverged(message) | Self::Impossible(message) => message,
        }
    }
}

/// What is known of a trial that says something of its values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Number of the trial.
    pub trial: usize,
    /// Its value of each parameter.
    pub values: Vec<f64>,
    /// How far it came: the number of comparisons, or the greatest number at its end. Who came further was better.
    pub level: usize,
    /// Decides between trials of one level: higher is better.
    pub score: f64,
}

/// The trials of a search, and the journal they are written to.
#[derive(Debug)]
pub struct Study {
    space: Space,
    objective: Objective,
    trials: Vec<Trial>,
    journal: Journal,
}

impl Study {
    /// A study without trials, called `name`, whose journal is the new file `path`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: &Path, name: &str, objective: Objective, space: Space) -> Result<Self, SearchError> {
        let journal = Journal::create(path, name, &objective)?;
        Ok(Self { space, objective, trials: Vec::new(), journal })
    }

    /// The study of a journal. A last line that is not whole is removed.
    ///
    /// # Errors
    /// If the file cannot be read, or is not the journal of one study of `space`.
    pub fn open(path: &Path, space: Space) -> Result<Self, SearchError> {
        let (journal, objective, operations) = Journal::open(path, &space)?;
        let mut study = Self { space, objective, trials: Vec::new(), journal };
        operations.into_iter().for_each(|operation| study.apply(operation));
        Ok(study)
    }

    /// The space of its trials.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// What it looks for.
    #[must_use]
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// The trials by number.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// What is known of trials, the best first.
    #[must_use]
    pub fn observations(&self) -> Vec<Observation> {
        let observed = |(trial, it): (usize, &Trial)| {
            let (level, value) = match (it.state, &it.failure) {
                (TrialState::Complete, _) => (usize::MAX, it.value),
                (_, Some(Failure::Diverged(_))) => (0, Some(f64::NAN)),
                (_, Some(Failure::Impossible(_))) => return None,
                _ => (it.rungs.len(), it.rungs.last().copied()),
            };
            let score = self.objective.direction.score(value?);
            Some(Observation { trial, values: it.values.clone(), level, score })
        };
        let mut found: Vec<_> = self.trials.iter().enumerate().filter_map(observed).collect();
        found.sort_by(|a, b| b.level.cmp(&a.level).then(b.score.total_cmp(&a.score)).then(a.trial.cmp(&b.trial)));
        found
    }

    /// Number of the best trial: of those that are complete, or else of those that came furthest.
    #[must_use]
    pub fn best(&self) -> Option<usize> {
        self.observations().first().filter(|best| best.score > f64::NEG_INFINITY).map(|best| best.trial)
    }

    /// Starts a trial with these values; returns its number.
    ///
    /// # Errors
    /// As all changes: if the journal cannot be written. Nothing has changed then.
    pub fn start(&mut self, values: Vec<f64>) -> Result<usize, SearchError> {
        let trial = self.trials.len();
        self.write(Operation::Start { values, time: time::text(SystemTime::now()) })?;
        Ok(trial)
    }

    /// The run of a trial was evaluated after `step`. What is known, or not finite, is not written.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn evaluated(&mut self, trial: usize, step: u64, value: f64) -> Result<(), SearchError> {
        let is_new = self.trials[trial].evaluations.get(&step) != Some(&value);
        if is_new && value.is_finite() { self.write(Operation::Evaluation { trial, step, value }) } else { Ok(()) }
    }

    /// A trial has come to its next comparison with this best value, and waits.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn reached(&mut self, trial: usize, value: f64) -> Result<(), SearchError> {
        let rung = self.trials[trial].rungs.len();
        self.write(Operation::Rung { trial, rung, value })
    }

    /// A trial that waits goes on.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn promote(&mut self, trial: usize) -> Result<(), SearchError> {
        let rung = self.trials[trial].promotions;
        self.write(Operation::Promotion { trial, rung })
    }

    /// A trial has ended with this best value. It counts at comparisons that it did not come to as well.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn complete(&mut self, trial: usize, value: f64) -> Result<(), SearchError> {
        self.end(trial, TrialState::Complete, Some(value))
    }

    /// A trial that waits does not go on.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn prune(&mut self, trial: usize) -> Result<(), SearchError> {
        let value = self.trials[trial].value;
        self.end(trial, TrialState::Pruned, value)
    }

    /// A trial has ended by itself.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn fail(&mut self, trial: usize, failure: Failure) -> Result<(), SearchError> {
        let state = match failure {
            Failure::Diverged(_) => TrialState::Pruned,
            Failure::Impossible(_) => TrialState::Failed,
        };
        self.write(Operation::Failure { trial, failure })?;
        self.end(trial, state, None)
    }

    fn end(&mut self, trial: usize, state: TrialState, value: Option<f64>) -> Result<(), SearchError> {
        self.write(Operation::End { trial, state, value, time: time::text(SystemTime::now()) })
    }

    fn write(&mut self, operation: Operation) -> Result<(), SearchError> {
        self.journal.append(&operation, &self.space)?;
        self.apply(operation);
        Ok(())
    }

    fn apply(&mut self, operation: Operation) {
        let direction = self.objective.direction;
        match operation {
            Operation::Start { values, .. } => self.trials.push(Trial {
                values,
                state: TrialState::Running,
                value: None,
                evaluations: BTreeMap::new(),
                rungs: Vec::new(),
                promotions: 0,
                failure: None,
            }),
            Operation::Evaluation { trial, step, value } => {
                let trial = &mut self.trials[trial];
                trial.evaluations.insert(step, value);
                if trial.value.is_none_or(|best| direction.is_better(value, best)) {
                    trial.value = Some(value);
                }
            }
            Operation::Rung { trial, value, .. } => {
                self.trials[trial].rungs.push(value);
                self.trials[trial].value = Some(value);
            }
            Operation::Promotion { trial, .. } => self.trials[trial].promotions += 1,
            Operation::Failure { trial, failure } => self.trials[trial].failure = Some(failure),
            Operation::End { trial, state, value, .. } => {
                self.trials[trial].state = state;
                self.trials[trial].value = value.or(self.trials[trial].value);
            }
        }
    }
}
