//! Losses, as sums with their counts: the mean is taken over all batches of a step.

use crate::assert_valid;
use burn::config::Config;
use burn::tensor::{Int, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, CrossEntropyOptions};

/// Settings of [`CrossEntropyLoss`].
#[derive(Config, Debug)]
pub struct CrossEntropyLossConfig {
    /// The target that marks a position to leave out; -100 in PyTorch.
    #[config(default = -100)]
    pub ignore: i64,
    /// Label smoothing: share of the target distribution spread evenly over the vocabulary, in `[0, 1)`.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl Validate for CrossEntropyLossConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_probability("label_smoothing", self.label_smoothing)
    }
}

impl CrossEntropyLossConfig {
    /// The loss with these settings.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    #[must_use]
    pub fn init(&self) -> CrossEntropyLoss {
        assert_valid(self);
        CrossEntropyLoss { options: CrossEntropyOptions { ignore: self.ignore, label_smoothing: self.label_smoothing } }
    }
}

/// `-Σ_j p_j log softmax(logits)_j` with `p = (1 - label_smoothing) · one_hot(target) + label_smoothing / vocab_size`.
///
/// Source: Szegedy et al. 2016, section 7; Vaswani et al. 2017, section 5.4 smooths with 0.1.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyLoss {
    options: CrossEntropyOptions,
}

impl CrossEntropyLoss {
    /// # Shapes
    /// - logits: `[n, vocab_size]`
    /// - targets: `[n]`, each in `[0, vocab_size)` or the ignored value
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, logits: Tensor<2>, targets: Tensor<1, Int>) -> LossSum {
        let (sum, count) = ops::cross_entropy(logits, targets, self.options);
        LossSum { sum, count }
    }
}

/// A loss summed over positions, and how many there are.
#[derive(Clone, Debug)]
pub struct LossSum {
    /// `[1]`
    pub sum: Tensor<1>,
    /// `[1]`, without gradient.
    pub count: Tensor<1>,
}

impl LossSum {
    /// Loss per position, `[1]`; 0 if there is none.
    #[must_use]
    pub fn mean(self) -> Tensor<1> {
        self.sum / self.count.clamp_min(1)
    }
}

impl std::ops::Add for LossSum {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, count: self.count + other.count }
    }
}
