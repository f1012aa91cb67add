//! Settings and parts shared by encoder and decoder layers.

use crate::{DropoutRng, FeedForwardConfig, LayerNorm, LayerNormConfig, MultiHeadAttentionConfig};
use burn::config::Config;
use burn::tensor::Tensor;
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, Activation, Dropout};
use serde::{Deserialize, Serialize};

/// Position of the norm in a sub-layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormOrder {
    /// `norm(x + sublayer(x))`: the paper, BERT.
    Post,
    /// `x + sublayer(norm(x))`, with one more norm behind the last layer of a stack.
    Pre,
}

/// Settings of an encoder or decoder layer. The defaults are the paper's.
#[derive(Config, Debug)]
pub struct LayerConfig {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of heads, a divisor of `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward layer, commonly `4 * d_model`.
    pub d_ff: usize,
    /// The non-linearity of the feed-forward layer.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
    /// Position of the norm in a sub-layer.
    #[config(default = "NormOrder::Post")]
    pub norm_order: NormOrder,
    /// Added to the variance by the norms: 1e-5 in PyTorch, 1e-12 in BERT, 1e-6 in the paper's code.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// Probability of dropping an output of a sub-layer, in `[0, 1)`.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Probability of dropping an attention weight, in `[0, 1)`.
    #[config(default = 0.0)]
    pub attention_dropout: f64,
    /// Probability of dropping a hidden activation of the feed-forward layer, in `[0, 1)`.
    #[config(default = 0.0)]
    pub activation_dropout: f64,
}

impl Validate for LayerConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_divides(self.d_model, self.n_heads)?;
        ConfigError::check_positive("d_ff", self.d_ff)?;
        ConfigError::check_finite_positive("norm_eps", self.norm_eps)?;
        ConfigError::check_probability("dropout", self.dropout)?;
        ConfigError::check_probability("attention_dropout", self.attention_dropout)?;
        ConfigError::check_probability("activation_dropout", self.activation_dropout)
    }
}

impl LayerConfig {
    pub(crate) fn attention(&self) -> MultiHeadAttentionConfig {
        MultiHeadAttentionConfig::new(self.d_model, self.n_heads).with_dropout(self.attention_dropout)
    }

    pub(crate) fn feed_forward(&self) -> FeedForwardConfig {
        FeedForwardConfig::new(self.d_model, self.d_ff)
            .with_activation(self.activation)
            .with_dropout(self.activation_dropout)
    }

    pub(crate) fn norm(&self) -> LayerNormConfig {
        LayerNormConfig::new(self.d_model).with_eps(self.norm_eps)
    }

    /// The norm behind the last layer of a stack, which only pre-norm needs.
    pub(crate) fn norm_final(&self) -> Option<LayerNormConfig> {
        (self.norm_order == NormOrder::Pre).then(|| self.norm())
    }
}

/// A sub-layer with its residual connection, dropout and norm.
pub(crate) struct Residual<'a> {
    pub(crate) norm: &'a LayerNorm,
    pub(crate) order: NormOrder,
    pub(crate) dropout: f64,
    pub(crate) rng: DropoutRng,
}

impl Residual<'_> {
    pub(crate) fn around(self, x: Tensor<3>, sublayer: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        let dropout = Dropout::new(self.dropout, self.rng);
        match self.order {
            NormOrder::Post => self.norm.forward_residual(sublayer(x.clone()), x, dropout),
            NormOrder::Pre => ops::dropout(sublayer(self.norm.forward(x.clone())), Some(x), dropout),
        }
    }
}
