//! State of a run.

use burnformer_data::batches::{PaddingStats, Position};
use serde::{Deserialize, Serialize};

use crate::exact;

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
    /// Tokens and time since the last logged metrics.
    #[serde(default)] // Checkpoints that were written before.
    pub interval: Interval,
}

/// What the steps since the last line of metrics have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Number of tokens, without padding.
    pub tokens: u64,
    /// Number of positions, padding included.
    pub positions: u64,
    /// Training time in seconds.
    pub seconds: f64,
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
