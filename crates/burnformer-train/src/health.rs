//! What a run has gone through: steps without finite numbers, jumps of the loss, roll-backs.

use serde::{Deserialize, Serialize};

use crate::exact;

/// Trouble of a run so far. A checkpoint holds it, so that a resumed run goes on counting.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Number of steps in a row, up to the last one, that were skipped because loss or gradient was not finite.
    pub skipped_in_a_row: u64,
    /// Number of skipped steps, those before a roll-back included.
    pub skipped: u64,
    /// Number of lines of metrics whose loss was far above those before.
    pub spikes: u64,
    /// Number of roll-backs.
    pub roll_backs: u64,
    /// What roll-backs have made of the learning rate, as a factor.
    #[serde(with = "exact")]
    pub learning_rate_factor: f64,
    /// The course of the loss.
    loss: Course,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            skipped_in_a_row: 0,
            skipped: 0,
            spikes: 0,
            roll_backs: 0,
            learning_rate_factor: 1.0,
            loss: Course::default(),
        }
    }
}

impl Health {
    /// That of a run which has come to `now`, and goes back to where this was with its learning rate multiplied by `factor`.
    pub(crate) fn rolled_back(self, now: Self, factor: f64) -> Self {
        Self {
            skipped_in_a_row: 0,
            skipped: now.skipped,
            spikes: now.spikes,
            roll_backs: now.roll_backs + 1,
            learning_rate_factor: now.learning_rate_factor * factor,
            loss: self.loss,
        }
    }

    /// Counts a step that was skipped.
    pub(crate) fn skip(&mut self) {
        self.skipped += 1;
        self.skipped_in_a_row += 1;
    }

    /// Adds the loss of a line of metrics. If it is a spike, counts it and returns the mean it is far above.
    pub(crate) fn add_loss(&mut self, loss: f64) -> Option<f64> {
        let spike = self.loss.add(loss);
        self.spikes += u64::from(spike.is_some());
        spike
    }
}

/// Running mean of a loss, and its mean distance from that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Course {
    n: u64,
    #[serde(with = "exact")]
    mean: f64,
    #[serde(with = "exact")]
    distance: f64,
}

impl Course {
    /// Number of values before one can be a spike.
    const SETTLED: u64 = 10;
    /// Share of the latest value in the means, once they have settled.
    const RATE: f64 = 0.1;
    /// How far above the mean a spike is: so many mean distances, and this share of the mean.
    const DISTANCES: f64 = 6.0;
    const SHARE: f64 = 0.1;

    /// Adds a value. If it is a spike, returns the mean before it.
    fn add(&mut self, value: f64) -> Option<f64> {
        let mean = self.mean;
        let limit = mean + Self::DISTANCES * self.distance + Self::SHARE * mean.abs();
        let is_spike = self.n >= Self::SETTLED && value > limit;
        // A spike counts as the least of its kind, so that it does not hide the next one.
        let value = if is_spike { limit } else { value };
        let rate = Self::RATE.max(1.0 / (self.n + 1) as f64);
        if self.n > 0 {
            self.distance += rate * ((value - mean).abs() - self.distance);
        }
        self.mean += rate * (value - mean);
        self.n += 1;
        is_spike.then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of `losses` that are spikes.
    fn spikes(losses: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut health = Health::default();
        let spikes: Vec<f64> = losses.into_iter().filter(|loss| health.add_loss(*loss).is_some()).collect();
        assert_eq!(health.spikes, spikes.len() as u64);
        spikes
    }

    /// A loss that falls, with noise of a tenth.
    fn falling(n: u32) -> impl Iterator<Item = f64> {
        (0..n).map(|i| 2.0 + 8.0 * 0.97_f64.powi(i as i32) + 0.1 * f64::from(i * 7 % 11) / 11.0)
    }

    #[test]
    fn a_loss_that_falls_or_is_noisy_has_no_spikes() {
        assert!(spikes(falling(500)).is_empty());
        assert!(spikes([0.0; 50]).is_empty());
        assert!(spikes((0..200).map(|i| 1.0 + f64::from(i * 37 % 101) / 101.0)).is_empty());
        // The first values say nothing yet.
        assert!(spikes([1.0, 50.0, 1.0, 30.0]).is_empty());
    }

    #[test]
    fn a_loss_that_jumps_is_a_spike_and_so_is_the_next_one() {
        let losses = falling(60).chain([9.0]).chain(falling(120).skip(60)).chain([8.0, 7.5]);
        assert_eq!(spikes(losses), [9.0, 8.0, 7.5]);
    }

    #[test]
    fn it_survives_json_bit_for_bit_and_is_fresh_where_there_was_none() {
        let mut health = Health { learning_rate_factor: 0.1 * 0.7, ..Health::default() };
        for loss in falling(30) {
            let _ = health.add_loss(loss);
        }
        let text = serde_json::to_string(&health).unwrap();
        assert_eq!(serde_json::from_str::<Health>(&text).unwrap(), health);
        assert_eq!(serde_json::from_str::<Health>("{}").unwrap(), Health::default());
    }
}
