//! Layer normalisation.

use crate::{assert_valid, constant_param};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, Dropout, LayerNormOptions};

/// Settings of a [`LayerNorm`].
#[derive(Config, Debug)]
pub struct LayerNormConfig {
    /// Width of the last axis.
    pub d_model: usize,
    /// Added to the variance: 1e-5 in PyTorch, 1e-12 in BERT, 1e-6 in the paper's code.
    #[config(default = 1e-5)]
    pub eps: f64,
}

impl Validate for LayerNormConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("d_model", self.d_model)?;
        ConfigError::check_finite_positive("eps", self.eps)
    }
}

impl LayerNormConfig {
    /// Allocates the norm on `device`, with a weight of ones and a bias of zeros.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> LayerNorm {
        assert_valid(self);
        LayerNorm {
            weight: constant_param([self.d_model], 1.0, device),
            bias: constant_param([self.d_model], 0.0, device),
            eps: self.eps,
        }
    }
}

/// `(x - mean) / sqrt(variance + eps) · weight + bias` over the last axis.
///
/// Source: Ba, Kiros, Hinton 2016.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[d_model]`
    pub weight: Param<Tensor<1>>,
    /// `[d_model]`
    pub bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// # Shapes
    /// - x: `[.., d_model]`
    /// - returns: `[.., d_model]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_model` long.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let options = LayerNormOptions { eps: self.eps, dropout: None };
        ops::layer_norm(x, None, self.weight.val(), self.bias.val(), options)
    }

    /// The norm of `residual + dropout(x)`, in one operator.
    ///
    /// # Shapes
    /// As for [`Self::forward`], `residual` as `x`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward_residual<const D: usize>(
        &self,
        x: Tensor<D>,
        residual: Tensor<D>,
        dropout: Option<Dropout>,
    ) -> Tensor<D> {
        let options = LayerNormOptions { eps: self.eps, dropout };
        ops::layer_norm(x, Some(residual), self.weight.val(), self.bias.val(), options)
    }
}
