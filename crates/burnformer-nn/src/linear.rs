//! The affine map.

use crate::prepare::prepared;
use crate::{DropoutRng, Lora, assert_valid, constant_param};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, Prepared};

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

/// `x weightᵀ + bias`, and what the [adapter](Lora) of the weight adds, if it has one.
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
        self.forward_with(x, DropoutRng::off())
    }

    /// [`Self::forward`] with permission to draw the dropout mask of the weight's adapter.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_with<const D: usize>(&self, x: Tensor<D>, rng: DropoutRng) -> Tensor<D> {
        match self.lora() {
            None => self.multiply(x, self.bias()),
            Some(lora) => lora.add(self.multiply(x.clone(), self.bias()), x, rng),
        }
    }

    /// `x weightᵀ + bias` without the adapter.
    ///
    /// # Shapes
    /// - x: `[.., d_in]`
    /// - returns: `[.., d_out]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn multiply<const D: usize>(&self, x: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
        match self.prepared() {
            None => ops::linear(x, self.weight(), bias),
            Some(weight) => ops::linear_prepared(x, weight, bias),
        }
    }

    /// The matrix that [`Self::forward`] multiplies by, `[d_out, d_in]`, without its adapter. Operators that fuse several maps
    /// read it here, and add what the adapter does.
    ///
    /// # Panics
    /// If the map is [prepared](crate::prepare).
    pub fn weight(&self) -> Tensor<2> {
        self.weight.base()
    }

    /// The bias that [`Self::forward`] adds, `[d_out]`; `None` also where another rank has it.
    pub fn bias(&self) -> Option<Tensor<1>> {
        self.bias.as_ref().filter(|bias| bias.lazy_shape()[0] > 0).map(Param::val)
    }

    /// The weight as it is laid out for inference, if it [is](crate::prepare).
    pub(crate) fn prepared(&self) -> Option<&Prepared> {
        prepared(&self.weight)
    }

    /// The adapter of the weight.
    pub(crate) fn lora(&self) -> Option<&Lora> {
        self.weight.reparameterization()
    }

    /// `out` of an operator that has multiplied `x` by [`Self::weight`], with what the adapter adds.
    pub(crate) fn adapted<const D: usize>(&self, out: Tensor<D>, x: &Tensor<D>, rng: DropoutRng) -> Tensor<D> {
        match self.lora() {
            None => out,
            Some(lora) => lora.add(out, x.clone(), rng),
        }
    }
}
