//! Asynchronous successive halving (ASHA): trials are compared on their way, and only the best go on, from where they are.
//!
//! Source: Li et al. 2020, algorithm 2.

use std::collections::BTreeSet;

use burnformer_core::{ConfigError, Validate};
use serde::{Deserialize, Serialize};

use crate::{Failure, SearchError, Study, TrialState};

/// When trials are compared, and how many go on. Without it every trial does all its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AshaConfig {
    /// One in so many trials goes on, and each comparison comes after so many times the steps of the one before.
    #[serde(default = "default::reduction")]
    pub reduction: u64,
    /// Number of comparisons: with 2 and a reduction of 3, after a ninth and a third of the steps.
    #[serde(default = "default::rungs")]
    pub rungs: usize,
}

/// Values of keys that a file may leave out.
mod default {
    pub(super) fn reduction() -> u64 {
        3
    }

    pub(super) fn rungs() -> usize {
        2
    }
}

impl Default for AshaConfig {
    fn default() -> Self {
        Self { reduction: default::reduction(), rungs: default::rungs() }
    }
}

impl Validate for AshaConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check("reduction", &self.reduction, (2..=100).contains(&self.reduction), "2 to 100")?;
        ConfigError::check("rungs", &self.rungs, (1..=10).contains(&self.rungs), "1 to 10")
    }
}

impl AshaConfig {
    /// The steps after which a run of `steps` that is evaluated every `every` steps is compared, each an evaluation.
    ///
    /// # Errors
    /// [`SearchError::FewSteps`] or [`SearchError::FewEvaluations`] if there are not enough of them.
    pub fn steps(&self, steps: u64, every: u64) -> Result<Vec<u64>, SearchError> {
        let share = |rung: usize| (self.reduction as f64).powi((self.rungs - rung) as i32);
        let first = steps as f64 / share(0);
        if first < 1.0 {
            return Err(SearchError::FewSteps { steps, rungs: self.rungs });
        }
        let evaluation = |rung| ((steps as f64 / share(rung) / every as f64).round() as u64).max(1) * every;
        let found: Vec<u64> = (0..self.rungs).map(evaluation).collect();
        let is_apart = found.windows(2).all(|pair| pair[0] < pair[1]) && found.iter().all(|&step| step < steps);
        if is_apart {
            Ok(found)
        } else {
            Err(SearchError::FewEvaluations { step: first as u64, steps, every, most: first as u64 })
        }
    }
}

/// What a search does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start a new trial.
    Start,
    /// Go on with a trial that was interrupted.
    Continue(usize),
    /// Let a trial that waits go on.
    Promote(usize),
    /// Wait for one that runs.
    Wait,
    /// End the search.
    Done,
}

impl Study {
    /// What to do next in a search of `wanted` trials, of which those in `busy` run now.
    #[must_use]
    pub fn next(&self, asha: Option<&AshaConfig>, wanted: usize, busy: &BTreeSet<usize>) -> Next {
        let trials = self.trials();
        let is_idle = |trial: &usize| trials[*trial].state == TrialState::Running && !busy.contains(trial);
        let idle: Vec<usize> = (0..trials.len()).filter(is_idle).collect();
        let waits = |trial: &usize| trials[*trial].rungs.len() > trials[*trial].promotions;
        if let Some(trial) = idle.iter().find(|trial| !waits(trial)) {
            return Next::Continue(*trial);
        }
        // The highest comparison first, as those there are nearest to their end.
        let promotable = asha.and_then(|asha| {
            (0..asha.rungs).rev().find_map(|rung| {
                let n = self.n_compared(rung) / asha.reduction as usize;
                let stands_here =
                    |trial: &&usize| idle.contains(trial) && trials[**trial].promotions == rung && waits(trial);
                self.ranking(rung).iter().take(n).find(stands_here).copied()
            })
        });
        if let Some(trial) = promotable {
            return Next::Promote(trial);
        }
        if trials.len() < wanted {
            return Next::Start;
        }
        if !busy.is_empty() {
            return Next::Wait;
        }
        // With few trials nobody may have come to the end.
        if !trials.iter().any(|trial| trial.state == TrialState::Complete) {
            let rungs = (0..asha.map_or(0, |asha| asha.rungs)).rev();
            let last = rungs
                .filter_map(|rung| self.ranking(rung).into_iter().find(|trial| idle.contains(trial) && waits(trial)));
            if let Some(trial) = last.into_iter().next() {
                return Next::Promote(trial);
            }
        }
        Next::Done
    }

    /// Number of trials that count at a comparison: those that came to it or to their end, and those that diverged before.
    fn n_compared(&self, rung: usize) -> usize {
        let counts = |trial: &&crate::Trial| {
            let diverged = matches!(trial.failure, Some(Failure::Diverged(_))) && trial.promotions == rung;
            trial.rungs.len() > rung || trial.state == TrialState::Complete || diverged
        };
        self.trials().iter().filter(counts).count()
    }

    /// The trials that came to a comparison, or to their end before it, the best first; of equal ones the earlier first.
    fn ranking(&self, rung: usize) -> Vec<usize> {
        let score = |trial: usize| {
            let trial = &self.trials()[trial];
            let at_end = trial.value.filter(|_| trial.state == TrialState::Complete);
            let value = trial.rungs.get(rung).copied().or(at_end)?;
            Some(self.objective().direction.score(value)).filter(|score| *score > f64::NEG_INFINITY)
        };
        let mut found: Vec<(f64, usize)> =
            (0..self.trials().len()).filter_map(|trial| Some((score(trial)?, trial))).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.into_iter().map(|(_, trial)| trial).collect()
    }
}
