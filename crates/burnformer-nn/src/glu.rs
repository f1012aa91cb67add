//! The gated feed-forward sub-layer.

use crate::tensor_parallel::group;
use crate::{DropoutRng, Linear, LinearConfig, assert_valid};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, Activation, Dropout};

/// Settings of a [`Glu`] sub-layer.
#[derive(Config, Debug)]
pub struct GluConfig {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Width of the hidden layer.
    pub d_ff: usize,
    /// The non-linearity of the gate: SiLU gives `SwiGLU`, GELU gives `GeGLU`.
    #[config(default = "Activation::Silu")]
    pub activation: Activation,
    /// Probability of dropping a hidden activation, in `[0, 1)`.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// `true` adds biases to the three maps; the paper has none.
    #[config(default = false)]
    pub bias: bool,
}

impl Validate for GluConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("d_model", self.d_model)?;
        ConfigError::check_positive("d_ff", self.d_ff)?;
        ConfigError::check_probability("dropout", self.dropout)
    }
}

impl GluConfig {
    /// Allocates the sub-layer on `device`, zero until [`init::by_name`](crate::init::by_name).
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> Glu {
        assert_valid(self);
        let linear = |d_in, d_out| LinearConfig::new(d_in, d_out).with_bias(self.bias).init(device);
        Glu {
            linear_gate: linear(self.d_model, self.d_ff),
            linear_in: linear(self.d_model, self.d_ff),
            linear_out: linear(self.d_ff, self.d_model),
            activation: self.activation,
            dropout: self.dropout,
            d_ff: self.d_ff,
        }
    }
}

/// `linear_out(dropout(activation(linear_gate(x)) · linear_in(x)))`.
///
/// Source: Shazeer 2020, section 2. In transformers' Llama the maps are `gate_proj`, `up_proj` and `down_proj`.
#[derive(Module, Debug)]
pub struct Glu {
    linear_gate: Linear,
    linear_in: Linear,
    linear_out: Linear,
    #[module(skip)]
    activation: Activation,
    dropout: f64,
    d_ff: usize,
}

impl Glu {
    /// # Shapes
    /// - x: `[batch_size, seq_length, d_model]`
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_model` long.
    pub fn forward(&self, x: Tensor<3>, rng: DropoutRng) -> Tensor<3> {
        let group = group(self.linear_in.weight.lazy_shape()[0], self.d_ff);
        let x = match &group {
            None => x,
            Some(group) => group.copied(x),
        };
        let first = group.as_ref().map_or(0, |group| group.share(self.d_ff).start);
        let [in_gate, in_input, in_output] = rng.again().split();
        let gate = self.linear_gate.adapted(self.linear_gate.multiply(x.clone(), None), &x, in_gate);
        let gate = ops::bias_activation(gate, self.linear_gate.bias(), self.activation);
        let hidden = gate * self.linear_in.forward_with(x, in_input); // [batch_size, seq_length, d_ff]
        let dropout = Dropout::new(self.dropout, rng).map(|dropout| dropout.from(0, first));
        let out = self.linear_out.forward_with(ops::dropout(hidden, None, dropout), in_output);
        match group {
            None => out,
            Some(group) => group.summed(out),
        }
    }
}
