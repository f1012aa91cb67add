//! One update of one parameter: Adam, AdamW, LAMB; and the sum of squares that clipping needs.

use super::bool_dtype;
use crate::{AdamOptions, AdamVariant, MaybeTensor};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Shape, TensorMetadata};

/// Sum of the squares of all elements, `[1]`.
pub fn sum_of_squares<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum(B::float_mul(x.clone(), x))
}

/// One update of a parameter by Adam, AdamW or LAMB, as the options say.
///
/// `scale` `[1]` multiplies the gradient first (clipping). Returns parameter, first and second moment.
///
/// Source: see [`AdamVariant`].
pub fn adam<B: Backend>(
    param: FloatTensor<B>,
    grad: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    scale: MaybeTensor<B>,
    options: AdamOptions,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let decay = || B::float_mul_scalar(param.clone(), options.weight_decay.into());
    let mut grad = scaled::<B>(grad, scale);
    if options.variant == AdamVariant::Adam && options.weight_decay != 0.0 {
        grad = B::float_add(grad, decay());
    }
    let (first, second) = moments::<B>(grad, first, second, &options);
    let direction = direction::<B>(first.clone(), second.clone(), &options);
    let (param, update) = match options.variant {
        AdamVariant::Adam => (param, direction),
        AdamVariant::AdamW => {
            let kept = 1.0 - options.learning_rate * options.weight_decay;
            (B::float_mul_scalar(param, kept.into()), direction)
        }
        AdamVariant::Lamb { trust_ratio } => {
            let update = B::float_add(direction, decay());
            let update = if trust_ratio { as_long_as::<B>(&param, update) } else { update };
            (param, update)
        }
    };
    let param = B::float_sub(param, B::float_mul_scalar(update, options.learning_rate.into()));
    (param, first, second)
}

/// LAMB's `update`, as long as the parameter; unchanged where either is zero.
fn as_long_as<B: Backend>(param: &FloatTensor<B>, update: FloatTensor<B>) -> FloatTensor<B> {
    let norm = |x: &FloatTensor<B>| B::float_sqrt(sum_of_squares::<B>(x.clone()));
    let (param_norm, update_norm) = (norm(param), norm(&update));
    let is_zero = |x: FloatTensor<B>| {
        let dtype = bool_dtype::<B>(&x);
        B::float_equal_elem(x, 0.0.into(), dtype)
    };
    let unusable = B::bool_or(is_zero(param_norm.clone()), is_zero(update_norm.clone()));
    let ratio = B::float_mask_fill(B::float_div(param_norm, update_norm), unusable, 1.0.into());
    times_scalar_tensor::<B>(update, ratio)
}

fn scaled<B: Backend>(grad: FloatTensor<B>, scale: MaybeTensor<B>) -> FloatTensor<B> {
    match scale {
        MaybeTensor::None => grad,
        MaybeTensor::Some(scale) => times_scalar_tensor::<B>(grad, scale),
    }
}

/// `x` of any rank times a tensor of shape `[1]`.
fn times_scalar_tensor<B: Backend>(x: FloatTensor<B>, factor: FloatTensor<B>) -> FloatTensor<B> {
    let ones = vec![1; x.shape().num_dims()];
    B::float_mul(x, B::float_reshape(factor, Shape::from(ones)))
}

/// Exponential moving averages of the gradient and of its square.
fn moments<B: Backend>(
    grad: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    options: &AdamOptions,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let average = |old, new, beta: f64| {
        B::float_add(B::float_mul_scalar(old, beta.into()), B::float_mul_scalar(new, (1.0 - beta).into()))
    };
    let square = B::float_mul(grad.clone(), grad.clone());
    (average(first, grad, options.beta_1), average(second, square, options.beta_2))
}

/// `m̂ / (sqrt(v̂) + eps)` with both moments corrected for their start at zero.
fn direction<B: Backend>(first: FloatTensor<B>, second: FloatTensor<B>, options: &AdamOptions) -> FloatTensor<B> {
    let [correction_1, correction_2] = options.bias_corrections();
    let first = B::float_div_scalar(first, correction_1.into());
    let second = B::float_div_scalar(second, correction_2.into());
    B::float_div(first, B::float_add_scalar(B::float_sqrt(second), options.eps.into()))
}
