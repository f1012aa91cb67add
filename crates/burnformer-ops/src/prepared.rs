//! Weights laid out once for many products: in inference nothing is transposed, packed or rounded again in each call.

use crate::cpu::matmul::packed::Packed;
use crate::extension::{FeedForwardBias, TransformerOps};
use crate::functions::maybe;
use crate::shapes::assert_same_axis;
use crate::{Activation, is_on_host};
use burn::backend::Dispatch;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The type of the numbers in a [`Prepared`] weight. Inputs, outputs and sums over the terms of a product of floats are `f32` in
/// all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WeightFormat {
    /// Single precision: the weights as they are, with the same products but for rounding.
    #[default]
    F32,
    /// bfloat16, rounded to nearest, as are the inputs. Single precision on processors that multiply it no faster.
    Bf16,
    /// 8-bit integers with a scale for each output. Each row of the input is rounded to integers too, with a scale of its own; their
    /// products are summed exactly, with the same bits on every processor. A row with NaN or an infinite number has NaN in all outputs,
    /// and so has every row in an output whose weights have one. At most 133,144 inputs.
    Int8,
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

/// Reason why a weight cannot be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The device has its own products, of its own types.
    #[error("weights in `{0}` are for the devices `ndarray` and `flex` alone: choose one of them, or `f32`")]
    Device(WeightFormat),
    /// Sums of so many products of integers may not fit into 32 bits.
    #[error("a weight with {found} inputs cannot be multiplied in `int8`, at most {most} fit: use `f32`")]
    Terms {
        /// Inputs of the weight.
        found: usize,
        /// As many as fit.
        most: usize,
    },
}

/// A weight `[d_out, d_in]` as the products of this processor read it fastest. A clone shares its memory.
#[derive(Clone)]
pub struct Prepared(Arc<Packed>);

impl Prepared {
    /// Lays out `weight` `[d_out, d_in]`.
    ///
    /// # Errors
    /// If the device of the weight has no products of this type, or sums of its products might overflow.
    ///
    /// # Panics
    /// If the weight is not of type `f32`, or has no elements.
    pub fn new(weight: Tensor<2>, format: WeightFormat) -> Result<Self, PrepareError> {
        if !is_on_host(&weight.device()) {
            return Err(PrepareError::Device(format));
        }
        let [d_out, d_in] = weight.dims();
        assert!(d_out > 0 && d_in > 0, "a weight [{d_out}, {d_in}] has no elements to prepare");
        let data = weight.into_data();
        let packed = Packed::new(data.as_slice().expect("a weight is of type f32"), [d_out, d_in], format)?;
        Ok(Self(Arc::new(packed)))
    }

    /// Width of the input.
    #[must_use]
    pub fn d_in(&self) -> usize {
        self.0.d_in()
    }

    /// Width of the output.
    #[must_use]
    pub fn d_out(&self) -> usize {
        self.0.d_out()
    }

    pub(crate) fn packed(&self) -> &Packed {
        &self.0
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("d_out", &self.d_out()).field("d_in", &self.d_in()).finish_non_exhaustive()
    }
}

/// [`linear`](crate::linear) with a prepared weight, on the processor and without gradients.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - bias: `[d_out]`
/// - returns: `[.., d_out]`
///
/// # Panics
/// If the shapes do not fit, or `x` is on another device or records gradients.
pub fn linear_prepared<const D: usize>(x: Tensor<D>, weight: &Prepared, bias: Option<Tensor<1>>) -> Tensor<D> {
    let (d_in, d_out) = (weight.d_in(), weight.d_out());
    assert_same_axis("linear", "d_in", ("x", &x.dims(), D - 1), ("weight", &[d_out, d_in], 1));
    if let Some(bias) = &bias {
        assert_same_axis("linear", "d_out", ("weight", &[d_out, d_in], 0), ("bias", &bias.dims(), 0));
    }
    let out = <Dispatch as TransformerOps>::linear_prepared(x.into_dispatch(), weight.clone(), maybe(bias));
    Tensor::from_dispatch(out)
}

/// [`feed_forward`](crate::feed_forward) with prepared weights, on the processor, without dropout and gradients.
///
/// # Shapes
/// - x: `[.., d_in]`
/// - biases: `[d_ff]`, `[d_out]`
/// - returns: `[.., d_out]`
///
/// # Panics
/// If the shapes do not fit, or `x` is on another device or records gradients.
pub fn feed_forward_prepared<const D: usize>(
    x: Tensor<D>,
    [weight_in, weight_out]: [&Prepared; 2],
    biases: Option<[Tensor<1>; 2]>,
    activation: Activation,
) -> Tensor<D> {
    let [input, output] = [weight_in, weight_out].map(|weight| [weight.d_out(), weight.d_in()]);
    assert_same_axis("feed_forward", "d_in", ("x", &x.dims(), D - 1), ("weight_in", &input, 1));
    assert_same_axis("feed_forward", "d_ff", ("weight_in", &input, 0), ("weight_out", &output, 1));
    if let Some([bias_in, bias_out]) = &biases {
        assert_same_axis("feed_forward", "d_ff", ("weight_in", &input, 0), ("bias_in", &bias_in.dims(), 0));
        assert_same_axis("feed_forward", "d_out", ("weight_out", &output, 0), ("bias_out", &bias_out.dims(), 0));
    }
    let bias = FeedForwardBias::of(biases);
    let weights = [weight_in, weight_out].map(Prepared::clone);
    let out = <Dispatch as TransformerOps>::feed_forward_prepared(x.into_dispatch(), weights, bias, activation);
    Tensor::from_dispatch(out)
}
