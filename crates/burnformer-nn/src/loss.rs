//! Losses, as sums with their counts: the mean is taken over all batches of a step.

use crate::tensor_parallel::group_of_columns;
use crate::{assert_valid, vocabulary};
use burn::config::Config;
use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Int, Tensor, TensorData};
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
    /// [`Self::forward`] of logits of tokens, of which this rank may have [some columns](crate::with_tensor_parallel).
    ///
    /// # Shapes
    /// - logits: `[n, vocab_size]`, or this rank's part
    /// - targets: `[n]`, each in `[0, vocab_size)` or the ignored value
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward_tokens(&self, logits: Tensor<2>, targets: Tensor<1, Int>, vocab_size: usize) -> LossSum {
        match group_of_columns(logits.dims()[1], vocab_size) {
            None => self.forward(logits, targets),
            Some(group) => vocabulary::cross_entropy(&group, logits, targets, vocab_size, self.options),
        }
    }

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

/// Cross-entropy in which each class has a weight: `w_y · nll` summed over rows, divided by `Σ w_y`. With label smoothing ε the
/// sum is `(1 - ε) Σ w_y nll + ε / n_classes · Σ_rows Σ_c w_c (-log p_c)`, as in PyTorch.
///
/// Source: `torch.nn.functional.cross_entropy` with `weight`.
#[derive(Clone, Debug)]
pub struct WeightedCrossEntropyLoss {
    weights: Vec<f32>,
    label_smoothing: f64,
}

impl WeightedCrossEntropyLoss {
    /// The loss with these weights of the classes, and label smoothing in `[0, 1)`.
    ///
    /// # Panics
    /// If the smoothing is outside its range.
    #[must_use]
    pub fn new(weights: Vec<f32>, label_smoothing: f64) -> Self {
        assert!((0.0..1.0).contains(&label_smoothing), "label smoothing {label_smoothing} is outside [0, 1)");
        Self { weights, label_smoothing }
    }

    /// The sum of weighted losses, and that of the weights of the targets.
    ///
    /// # Shapes
    /// - logits: `[n, n_classes]`
    /// - targets: `[n]`, each in `[0, n_classes)`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, logits: Tensor<2>, targets: Tensor<1, Int>) -> LossSum {
        let [n, n_classes] = logits.dims();
        assert!(n_classes == self.weights.len(), "{n_classes} logits, {} weights of classes", self.weights.len());
        let weights = TensorData::new(self.weights.clone(), [n_classes]);
        let weights = Tensor::<1>::from_data(weights, &logits.device());
        let log_probs = log_softmax(logits, 1);
        let of_targets = weights.clone().select(0, targets.clone()); // [n]
        let likelihoods = log_probs.clone().gather(1, targets.reshape([n, 1])).reshape([n]);
        let sum = -(likelihoods * of_targets.clone()).sum();
        let even = -(log_probs * weights.reshape([1, n_classes])).sum();
        let smoothing = self.label_smoothing;
        let sum = if smoothing == 0.0 { sum } else { sum * (1.0 - smoothing) + even * (smoothing / n_classes as f64) };
        LossSum { sum, count: of_targets.sum() }
    }
}

/// Binary cross-entropy of logits: `-Σ y log σ(x) + (1 - y) log(1 - σ(x))`, `[1]`.
///
/// Source: `torch.nn.functional.binary_cross_entropy_with_logits` with `reduction="sum"`.
///
/// # Shapes
/// - logits, targets: the same; targets in `[0, 1]`
///
/// # Panics
/// If the shapes do not fit.
pub fn binary_cross_entropy<const D: usize>(logits: Tensor<D>, targets: Tensor<D>) -> Tensor<1> {
    // log(1 - σ(x)) = log σ(x) - x, so nothing overflows.
    (logits.clone() * (-targets + 1.0) - log_sigmoid(logits)).sum()
}

/// Squared error: `Σ (x - y)²`, `[1]`.
///
/// # Shapes
/// - predictions, targets: the same
///
/// # Panics
/// If the shapes do not fit.
pub fn squared_error<const D: usize>(predictions: Tensor<D>, targets: Tensor<D>) -> Tensor<1> {
    let difference = predictions - targets;
    (difference.clone() * difference).sum()
}

/// Symmetric Kullback-Leibler divergence of the distributions that two passes over the same rows give, summed over rows:
/// `Σ (KL(p ‖ q) + KL(q ‖ p)) / 2`, `[1]`.
///
/// Source: Liang et al. 2021, "R-Drop: Regularized Dropout for Neural Networks", equation 2.
///
/// # Shapes
/// - first, second: logits, `[n, n_classes]`
///
/// # Panics
/// If the shapes do not fit.
pub fn symmetric_divergence(first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
    let (log_p, log_q) = (log_softmax(first, 1), log_softmax(second, 1));
    ((log_p.clone().exp() - log_q.clone().exp()) * (log_p - log_q)).sum() * 0.5
}

/// A loss summed over positions, and how many there are.
#[derive(Clone, Debug)]
pub struct LossSum {
    /// `[1]`
    pub sum: Tensor<1>,
    /// `[1]`, without gradient: number of positions, or the sum of their weights.
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
