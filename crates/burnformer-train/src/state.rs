//! State of a run.

use burnformer_data::batches::{PaddingStats, Position};
use serde::{Deserialize, Serialize};

use crate::{Health, exact};

/// State of a run between two steps: what a checkpoint holds besides weights and moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainState<L> {
    /// Number of updates done.
    pub step: u64,
    /// Position of the next batch.
    pub position: Position,
    /// Number of tokens seen, without padding.
    pub tokens: u64,
    /// Training time so far in seconds, without evaluations.
    pub seconds: f64,
    /// Step of the last evaluation; 0 if none.
    pub evaluated: u64,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// Number of evaluations since the best one.
    pub evaluations_without_improvement: u64,
    /// Counts since the last logged metrics.
    #[serde(rename = "tally")] // Its name in checkpoints that were written before.
    pub metric_state: L,
    /// Steps, tokens and time since the last logged metrics.
    #[serde(default)] // Checkpoints that were written before, as below.
    pub interval: Interval,
    /// The best evaluations, the best first: those whose checkpoints are kept.
    #[serde(default)]
    pub top: Vec<Best>,
    /// Trouble so far.
    #[serde(default)]
    pub health: Health,
}

/// What the steps since the last line of metrics have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interval {
    /// Number of updates.
    pub updates: u64,
    /// Number of steps that were skipped.
    pub skipped: u64,
    /// Norm of the gradient of the latest update.
    #[serde(with = "exact")]
    pub gradient_norm: f64,
    /// Number of tokens, without padding.
    pub tokens: u64,
    /// Number of positions, padding included.
    pub positions: u64,
    /// Training time in seconds, without evaluations.
    pub seconds: f64,
    /// Part of the time in which this process sent, received and waited for others, as far as it has run since the last start.
    #[serde(skip)]
    pub communication: f64,
}

impl Interval {
    /// Adds batches.
    pub(crate) fn add(&mut self, padding: PaddingStats) {
        self.tokens += padding.tokens;
        self.positions += padding.total;
    }

    /// Share of padding, in `[0, 1]`.
    pub(crate) fn padding_share(&self) -> f64 {
        PaddingStats { tokens: self.tokens, total: self.positions }.padding_share()
    }

    /// Share of the time for other processes, in `[0, 1]`.
    pub(crate) fn communication_share(&self) -> f64 {
        self.communication / self.seconds.max(1e-9)
    }

    /// Tokens per second.
    pub(crate) fn tokens_per_s(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(1e-9)
    }
}

/// The best evaluation of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Step of the checkpoint or evaluation.
    pub step: u64,
    /// Quality to compare by; see [`MetricState::quality`](burnformer_tasks::MetricState::quality).
    #[serde(with = "exact")]
    pub quality: f64,
    /// Loss, which decides between evaluations of equal quality.
    #[serde(with = "exact")]
    pub loss: f64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// Number of updates done.
    pub step: u64,
    /// Step of the best evaluation, if there was one.
    pub best_step: Option<u64>,
    /// Number of evaluations since the best one.
    pub evaluations_without_improvement: u64,
}

impl Best {
    /// `true` if better by quality, or of equal quality with a lower loss.
    pub(crate) fn is_better_than(&self, other: &Self) -> bool {
        self.quality > other.quality || (self.quality == other.quality && self.loss < other.loss)
    }
}

impl<L> TrainState<L> {
    /// Adds an evaluation. Returns whether it is the best, and whether it is one of the best `n`.
    pub(crate) fn add_evaluation(&mut self, found: Best, n: usize) -> (bool, bool) {
        if self.top.is_empty() {
            // A checkpoint that was written before has the best one only.
            self.top.extend(self.best);
        }
        // What is not finite is no result to choose a model by.
        let is_number = found.loss.is_finite() && !found.quality.is_nan();
        let is_best = is_number && self.best.is_none_or(|best| found.is_better_than(&best));
        if is_best {
            self.best = Some(found);
            self.evaluations_without_improvement = 0;
        } else {
            self.evaluations_without_improvement += 1;
        }
        let rank = self.top.iter().position(|other| found.is_better_than(other)).unwrap_or(self.top.len());
        let is_kept = is_number && rank < n;
        if is_kept {
            self.top.insert(rank, found);
        }
        self.top.truncate(n);
        (is_best, is_kept)
    }

    /// A run that has not begun.
    pub(crate) fn new(metric_state: L) -> Self {
        Self {
            step: 0,
            position: Position::default(),
            tokens: 0,
            seconds: 0.0,
            evaluated: 0,
            best: None,
            evaluations_without_improvement: 0,
            metric_state,
            interval: Interval::default(),
            top: Vec::new(),
            health: Health::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_evaluations_are_kept_in_order_and_nan_is_none_of_them() {
        let best = |step, quality| Best { step, quality, loss: 1.0 };
        let mut state = TrainState::new(());
        let mut add =
            |found, n| (state.add_evaluation(found, n), state.top.iter().map(|best| best.step).collect::<Vec<_>>());
        assert_eq!(add(best(1, f64::NAN), 2), ((false, false), vec![]));
        assert_eq!(add(best(2, 0.5), 2), ((true, true), vec![2]));
        assert_eq!(add(best(3, 0.4), 2), ((false, true), vec![2, 3]));
        assert_eq!(add(best(4, 0.3), 2), ((false, false), vec![2, 3]));
        // Of two as good the first one stays.
        assert_eq!(add(best(5, 0.5), 2), ((false, true), vec![2, 5]));
        assert_eq!(add(best(6, 0.6), 2), ((true, true), vec![6, 2]));
        assert_eq!(add(Best { loss: f64::INFINITY, ..best(7, 0.9) }, 2), ((false, false), vec![6, 2]));
        assert_eq!((state.evaluations_without_improvement, state.best), (1, Some(best(6, 0.6))));
        // Of a checkpoint of an older version.
        state.top.clear();
        assert_eq!(state.add_evaluation(best(8, 0.2), 2), (false, true));
        assert_eq!(state.top, [best(6, 0.6), best(8, 0.2)]);
    }

    #[test]
    fn of_two_as_good_the_smaller_loss_is_better() {
        let best = |quality, loss| Best { step: 1, quality, loss };
        assert!(best(0.5, 2.0).is_better_than(&best(0.4, 1.0)));
        assert!(best(0.5, 1.0).is_better_than(&best(0.5, 2.0)));
        for other in [best(0.5, 1.0), best(0.5, 0.5), best(0.6, 2.0)] {
            assert!(!best(0.5, 1.0).is_better_than(&other), "{other:?}");
        }
        assert!(!best(f64::NAN, 1.0).is_better_than(&best(0.5, 1.0)));
    }
}
