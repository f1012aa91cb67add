//! The affine map.

use crate::{assert_valid, constant_param};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops as ops;

/// Settings of a [`Linear`] map.
#[derive(Config, Debug)]
pub struct LinearConfig {
    /// Width of the input.
    pub d_in: usize,
    /// Width of the output.
    pub d_out: usize,
    /// `true` adds a bias.
    #[config(default = true)]
    pub bias: bool,
}

impl Validate for LinearConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("d_in", self.d_in)?;
        ConfigError::check_positive("d_out", self.d_out)
    }
}

impl LinearConfig {
    /// Allocates the map on `device`, zero until [`init::by_name`](crate::init::by_name).
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> Linear {
        assert_valid(self);
        Linear {
            weight: constant_param([self.d_out, self.d_in], 0.0, device),
            bias: self.bias.then(|| constant_param([self.d_out], 0.0, device)),
        }
    }
}

/// `x weightᵀ + bias`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[d_out, d_in]`, PyTorch's layout.
    pub weight: Param<Tensor<2>>,
    /// `[d_out]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// # Shapes
    /// - x: `[.., d_in]`
    /// - returns: `[.., d_out]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_in` long.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::linear(x, self.weight(), self.bias())
    }

    /// The matrix that [`Self::forward`] multiplies by, `[d_out, d_in]`. Operators that fuse several maps read it here, so
    /// that what changes a map, an adapter for example, changes them too.
    pub fn weight(&self) -> Tensor<2> {
        self.weight.val()
    }

    /// The bias that [`Self::forward`] adds, `[d_out]`.
    pub fn bias(&self) -> Option<Tensor<1>> {
        self.bias.as_ref().map(Param::val)
    }
}
