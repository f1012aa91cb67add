//! Normalisation by the root mean square.

use crate::{assert_valid, constant_param};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, Dropout, assert_same_axis};

/// Settings of an [`RmsNorm`].
#[derive(Config, Debug)]
pub struct RmsNormConfig {
    /// Width of the last axis.
    pub d_model: usize,
    /// Added to the mean square: 1e-6 in T5 and Llama.
    #[config(default = 1e-6)]
    pub eps: f64,
}

impl Validate for RmsNormConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("d_model", self.d_model)?;
        ConfigError::check_finite_positive("eps", self.eps)
    }
}

impl RmsNormConfig {
    /// Allocates the norm on `device`, with a weight of ones.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> RmsNorm {
        assert_valid(self);
        RmsNorm { weight: constant_param([self.d_model], 1.0, device), eps: self.eps }
    }
}

/// `x / sqrt(mean(x²) + eps) · weight` over the last axis.
///
/// Source: Zhang and Sennrich 2019, without a bias.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// `[d_model]`
    pub weight: Param<Tensor<1>>,
    eps: f64,
}

impl RmsNorm {
    /// # Shapes
    /// - x: `[.., d_model]`
    /// - returns: `[.., d_model]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_model` long.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.val();
        assert_same_axis("rms_norm", "d_model", ("x", &x.dims(), D - 1), ("weight", &weight.dims(), 0));
        let mean_square = (x.clone() * x.clone()).mean_dim(D - 1); // [.., 1]
        x / (mean_square + self.eps).sqrt() * weight.unsqueeze()
    }

    /// The norm of `residual + dropout(x)`.
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
        self.forward(ops::dropout(x, Some(residual), dropout))
    }
}
