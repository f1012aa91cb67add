//! The normalisation of a layer: one of two.

use crate::transparent::transparent_module;
use crate::{LayerNorm, LayerNormConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};
use burnformer_ops::Dropout;
use serde::{Deserialize, Serialize};

/// The kind of a [`Norm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// [`LayerNorm`]: the paper, BERT, GPT-2.
    #[default]
    LayerNorm,
    /// [`RmsNorm`]: T5, Llama.
    RmsNorm,
}

impl NormKind {
    /// Allocates a norm of width `d_model` on `device`.
    ///
    /// # Panics
    /// If `d_model` is 0 or `eps` is not a finite number above 0.
    pub fn init(self, d_model: usize, eps: f64, device: &Device) -> Norm {
        match self {
            Self::LayerNorm => Norm::LayerNorm(LayerNormConfig::new(d_model).with_eps(eps).init(device)),
            Self::RmsNorm => Norm::RmsNorm(RmsNormConfig::new(d_model).with_eps(eps).init(device)),
        }
    }
}

/// A normalisation over the last axis. Its parameters have the paths of the chosen norm: `weight`, and `bias` for
/// [`LayerNorm`].
#[derive(Clone, Debug)]
pub enum Norm {
    /// Subtracts the mean, divides by the standard deviation.
    LayerNorm(LayerNorm),
    /// Divides by the root mean square.
    RmsNorm(RmsNorm),
}

transparent_module!(Norm: Norm::LayerNorm, Norm::RmsNorm);

impl Norm {
    /// # Shapes
    /// - x: `[.., d_model]`
    /// - returns: `[.., d_model]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_model` long.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::LayerNorm(norm) => norm.forward(x),
            Self::RmsNorm(norm) => norm.forward(x),
        }
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
        match self {
            Self::LayerNorm(norm) => norm.forward_residual(x, residual, dropout),
            Self::RmsNorm(norm) => norm.forward_residual(x, residual, dropout),
        }
    }
}
