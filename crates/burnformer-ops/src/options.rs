//! What an operator needs to know besides its tensors.

use burnformer_core::random::{Draw, DropoutRng};
use serde::{Deserialize, Serialize};

/// The non-linearity of a feed-forward layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x`
    Identity,
    /// `max(x, 0)`, as in the paper.
    Relu,
    /// `x Φ(x)` with the error function, as in BERT.
    #[default]
    Gelu,
    /// GELU's approximation by tanh, as in GPT-2.
    GeluTanh,
    /// `x σ(x)` with the logistic function, also called swish, as in Marian's published models.
    Silu,
}

/// Dropout at one site of a model, in training.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// Probability of dropping an element, in `[0, 1)`.
    pub probability: f64,
    /// The random numbers of this site.
    pub draw: Draw,
}

impl Dropout {
    /// `None` where there is nothing to drop: in evaluation, or with probability 0.
    ///
    /// # Panics
    /// If `probability` is outside `[0, 1)`.
    #[must_use]
    pub fn new(probability: f64, rng: DropoutRng) -> Option<Self> {
        assert!((0.0..1.0).contains(&probability), "dropout: probability {probability} is outside [0, 1)");
        let draw = rng.into_draw()?;
        (probability > 0.0).then_some(Self { probability, draw })
    }

    /// Dropout of the part of a tensor whose planes begin with `plane` of the whole tensor, and whose columns with `column`.
    ///
    /// # Panics
    /// If `column` is no multiple of four.
    #[must_use]
    pub fn from(self, plane: usize, column: usize) -> Self {
        Self { draw: self.draw.from(plane, column), ..self }
    }
}

/// Settings of [`attention`](crate::attention).
#[derive(Clone, Debug)]
pub struct AttentionOptions {
    /// What scores are multiplied by, commonly `1 / sqrt(d_head)`.
    pub scale: f64,
    /// `true` blocks the keys after a query's own position; the last query's position is that of the last key.
    pub causal: bool,
    /// Dropout on the weights.
    pub dropout: Option<Dropout>,
}

impl AttentionOptions {
    /// The paper's scale for heads of width `d_head`, no causal mask, no dropout.
    #[must_use]
    pub fn new(d_head: usize) -> Self {
        Self { scale: (d_head as f64).sqrt().recip(), causal: false, dropout: None }
    }
}

/// The second output of [`TransformerOps::attention`](crate::TransformerOps::attention).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionExtra {
    /// The logarithm of the softmax's denominator, `[batch_size, n_heads, q_length]`, without gradient.
    LogSumExp,
    /// The weights before dropout, `[batch_size, n_heads, q_length, kv_length]`, with gradient: they are materialised.
    Weights,
}

/// Settings of [`layer_norm`](crate::layer_norm).
#[derive(Clone, Debug)]
pub struct LayerNormOptions {
    /// Added to the variance.
    pub eps: f64,
    /// Dropout on the input before the residual is added.
    pub dropout: Option<Dropout>,
}

/// Settings of [`feed_forward`](crate::feed_forward).
#[derive(Clone, Debug)]
pub struct FeedForwardOptions {
    /// The non-linearity of the hidden layer.
    pub activation: Activation,
    /// Dropout on what comes out of it.
    pub dropout: Option<Dropout>,
}

/// Settings of [`cross_entropy`](crate::cross_entropy).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropyOptions {
    /// The target that marks a row to leave out.
    pub ignore: i64,
    /// The share of the target distribution that is spread evenly over the whole vocabulary, in `[0, 1)`.
    pub label_smoothing: f64,
}

impl Default for CrossEntropyOptions {
    /// Leaves out targets of -100, as PyTorch does; no smoothing.
    fn default() -> Self {
        Self { ignore: -100, label_smoothing: 0.0 }
    }
}

/// Settings of one update by [`adam`](crate::adam).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamOptions {
    /// Which of Adam's variants makes the update.
    pub variant: AdamVariant,
    /// Learning rate of this update.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Number of this update, from 1.
    pub step: u64,
}

/// Adam and the optimisers that differ from it in the weight decay and the length of the update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdamVariant {
    /// The decay is added to the gradient: L2 regularisation.
    ///
    /// Source: Kingma and Ba 2015, algorithm 1; decay and epsilon as in PyTorch's `Adam`.
    Adam,
    /// The decay is decoupled: it shrinks the parameter.
    ///
    /// Source: Loshchilov and Hutter 2019, algorithm 2, with the decay multiplied by the learning rate as in PyTorch's `AdamW`.
    AdamW,
    /// The decay is added to Adam's direction, and the update scaled to the length of the parameter.
    ///
    /// Source: You et al. 2020, algorithm 2, with the identity for φ. The trust ratio is 1 where either norm is zero.
    Lamb {
        /// `true` scales the update by the ratio of the parameter's norm to its own; `false` for biases and norms.
        trust_ratio: bool,
    },
}

impl AdamOptions {
    /// `1 - beta^step` for both moments, in double precision (single loses 5e-5 at the first step).
    pub(crate) fn bias_corrections(&self) -> [f64; 2] {
        [self.beta_1, self.beta_2].map(|beta| 1.0 - beta.powf(self.step as f64))
    }
}
