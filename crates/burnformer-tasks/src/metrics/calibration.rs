//! Calibration: whether answers are right as often as their probabilities say.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::exact;

/// Number of bins of the expected calibration error that is usual.
pub const CALIBRATION_BINS: usize = 15;

/// Reliability: how often predictions are right, by the probability that they are given. Sums that add up over batches.
///
/// ```
/// use burnformer_tasks::metrics::Reliability;
///
/// let mut reliability = Reliability::new(10);
/// for (probability, is_right) in [(0.95, true), (0.91, true), (0.62, false), (0.61, true)] {
///     reliability.add(probability, is_right);
/// }
/// // Two answers at 0.93 are right, of two at 0.615 one is.
/// assert!((reliability.expected_calibration_error() - (0.07 + 0.115) / 2.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reliability {
    bins: Vec<ReliabilityBin>,
}

/// Predictions whose probabilities are in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Number of predictions.
    pub count: u64,
    /// Number of right predictions.
    pub right: u64,
    /// Sum of the probabilities.
    #[serde(with = "exact")]
    pub probability_sum: f64,
}

impl ReliabilityBin {
    /// Share of right predictions; 0 without predictions.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.count.max(1) as f64
    }

    /// Mean probability of the predictions; 0 without predictions.
    #[must_use]
    pub fn mean_probability(&self) -> f64 {
        self.probability_sum / self.count.max(1) as f64
    }
}

impl Reliability {
    /// Nothing counted yet, in `n_bins` intervals of equal width; [`CALIBRATION_BINS`] are usual.
    ///
    /// # Panics
    /// If there are no bins.
    #[must_use]
    pub fn new(n_bins: usize) -> Self {
        assert!(n_bins > 0, "reliability: no bins");
        Self { bins: vec![ReliabilityBin::default(); n_bins] }
    }

    /// Counts a prediction with its probability, which belongs to the first interval whose upper end it does not exceed.
    /// A probability that is not a number counts as 0.
    pub fn add(&mut self, probability: f64, is_right: bool) {
        let probability = if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) };
        let width = 1.0 / self.bins.len() as f64;
        let last = self.bins.len() - 1;
        // Edges are computed as numpy's `linspace` does, so that numbers on an edge fall on the same side.
        let guess = ((probability / width) as usize).min(last);
        let first = guess.saturating_sub(1);
        let bin = (first..last).find(|&bin| probability <= (bin + 1) as f64 * width).unwrap_or(last);
        let bin = &mut self.bins[bin];
        bin.count += 1;
        bin.right += u64::from(is_right);
        bin.probability_sum += probability;
    }

    /// The intervals, from the least probable.
    #[must_use]
    pub fn bins(&self) -> &[ReliabilityBin] {
        &self.bins
    }

    /// Expected calibration error: mean distance of accuracy and mean probability of the bins, weighted by their numbers of
    /// predictions. 0 without predictions.
    ///
    /// Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    #[must_use]
    pub fn expected_calibration_error(&self) -> f64 {
        let total: u64 = self.bins.iter().map(|bin| bin.count).sum();
        let sum: f64 = self.bins.iter().map(|bin| (bin.right as f64 - bin.probability_sum).abs()).sum();
        sum / total.max(1) as f64
    }
}

impl AddAssign for Reliability {
    /// # Panics
    /// If the numbers of bins differ.
    fn add_assign(&mut self, other: Self) {
        let (n_bins, others) = (self.bins.len(), other.bins.len());
        assert_eq!(n_bins, others, "reliability: {n_bins} bins and {others} do not add up");
        for (bin, more) in self.bins.iter_mut().zip(other.bins) {
            bin.count += more.count;
            bin.right += more.right;
            bin.probability_sum += more.probability_sum;
        }
    }
}
