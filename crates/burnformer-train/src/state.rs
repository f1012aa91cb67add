//! Where a run stands.

use burnformer_data::batches::Position;
use serde::{Deserialize, Serialize};

/// Where a run stands between two steps: all that a checkpoint knows beside weights and moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainState<L> {
    /// Updates done.
    pub step: u64,
    /// The next batch.
    pub position: Position,
    /// Tokens seen, padding left out.
    pub tokens: u64,
    /// Seconds that training took so far, without evaluations.
    pub seconds: f64,
    /// After which step the model was last evaluated; 0 if never.
    pub evaluated: u64,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// Evaluations since then.
    pub evaluations_without_improvement: u64,
    /// What was counted since the last line of metrics.
    #[serde(rename = "tally")] // Its name in checkpoints that were written before.
    pub metric_state: L,
}

/// The best evaluation of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// After which step.
    pub step: u64,
    /// How good it was; see [`MetricState::quality`](burnformer_tasks::MetricState::quality).
    pub quality: f64,
    /// Its loss, which decides between two that are as good.
    pub loss: f64,
}

impl Best {
    /// By quality, and where that is the same, by loss.
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
