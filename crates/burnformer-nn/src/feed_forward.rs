//! The position-wise feed-forward sub-layer.

use crate::tensor_parallel::group;
use crate::{DropoutRng, Linear, LinearConfig, assert_valid};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, Activation, Dropout, FeedForwardOptions};

/// Settings of a [`FeedForward`] sub-layer.
#[derive(Config, Debug)]
pub struct FeedForwardConfig {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Width of the hidden layer, commonly `4 * d_model`.
    pub d_ff: usize,
    /// The non-linearity.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
    /// Probability of dropping a hidden activation, in `[0, 1)`; the paper has none here.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// `true` adds biases to both maps.
    #[config(default = true)]
    pub bias: bool,
}

impl Validate for FeedForwardConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("d_model", self.d_model)?;
        ConfigError::check_positive("d_ff", self.d_ff)?;
        ConfigError::check_probability("dropout", self.dropout)
    }
}

impl FeedForwardConfig {
    /// Allocates the sub-layer on `device`, zero until [`init::by_name`](crate::init::by_name).
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> FeedForward {
        assert_valid(self);
        FeedForward {
            linear_in: LinearConfig::new(self.d_model, self.d_ff).with_bias(self.bias).init(device),
            linear_out: LinearConfig::new(self.d_ff, self.d_model).with_bias(self.bias).init(device),
            activation: self.activation,
            dropout: self.dropout,
            d_ff: self.d_ff,
        }
    }
}

/// `linear_out(dropout(activation(linear_in(x))))`.
///
/// Source: Vaswani et al. 2017, section 3.3.
#[derive(Module, Debug)]
pub struct FeedForward {
    linear_in: Linear,
    linear_out: Linear,
    #[module(skip)]
    activation: Activation,
    dropout: f64,
    d_ff: usize,
}

impl FeedForward {
    /// # Shapes
    /// - x: `[batch_size, seq_length, d_model]`
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_model` long.
    pub fn forward(&self, x: Tensor<3>, rng: DropoutRng) -> Tensor<3> {
        let maps = [&self.linear_in, &self.linear_out];
        if maps.iter().any(|map| map.lora().is_some()) {
            return self.forward_adapted(x, rng);
        }
        let dropout = Dropout::new(self.dropout, rng);
        let run = |x, biases, dropout: Option<Dropout>| match maps.map(Linear::prepared) {
            [Some(input), Some(output)] if dropout.is_none() => {
                ops::feed_forward_prepared(x, [input, output], biases, self.activation)
            }
            _ => {
                let options = FeedForwardOptions { activation: self.activation, dropout };
                ops::feed_forward(x, maps.map(Linear::weight), biases, options)
            }
        };
        let Some(group) = group(self.linear_in.weight.lazy_shape()[0], self.d_ff) else {
            let biases = self.linear_in.bias().zip(self.linear_out.bias()).map(<[_; 2]>::from);
            return run(x, biases, dropout);
        };
        // One rank has the bias of the output.
        let zeros = || Tensor::zeros([x.dims()[2]], &x.device());
        let biases = self.linear_in.bias().map(|bias| [bias, self.linear_out.bias().unwrap_or_else(zeros)]);
        let dropout = dropout.map(|dropout| dropout.from(0, group.share(self.d_ff).start));
        group.summed(run(group.copied(x), biases, dropout))
    }

    /// [`Self::forward`] of maps with adapters, one operator after the other.
    fn forward_adapted(&self, x: Tensor<3>, rng: DropoutRng) -> Tensor<3> {
        let [in_input, in_output] = rng.again().split();
        let hidden = self.linear_in.adapted(self.linear_in.multiply(x.clone(), None), &x, in_input);
        let hidden = ops::bias_activation(hidden, self.linear_in.bias(), self.activation); // [batch_size, seq_length, d_ff]
        let hidden = ops::dropout(hidden, None, Dropout::new(self.dropout, rng));
        self.linear_out.forward_with(hidden, in_output)
    }
}
