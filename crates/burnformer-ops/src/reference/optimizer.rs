//! One update of one parameter: Adam, AdamW, LAMB; and the sum of squares that clipping needs.

use super::bool_dtype;
use crate::{AdamOptions, LambOptions, MaybeTensor};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Shape, TensorMetadata};

/// Sum of the squares of all elements, `[1]`.
pub fn sum_of_squares<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum(B::float_mul(x.clone(), x))
}

/// Adam with L2 regularisation: the decay is added to the gradient.
///
/// `scale` `[1]` multiplies the gradient first (clipping). Returns parameter, first and second moment.
///
/// Source: Kingma and Ba 2015, algorithm 1; decay and epsilon as in PyTorch's `Adam`.
pub fn adam<B: Backend>(
    param: FloatTensor<B>,
    grad: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    scale: MaybeTensor<B>,
    options: AdamOptions,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let mut grad = scaled::<B>(grad, scale);
    if options.weight_decay != 0.0 {
        let decay = B::float_mul_scalar(param.clone(), options.weight_decay.into());
        grad = B::float_add(grad, decay);
    }
    let (first, second) = moments::<B>(grad, first, second, &options);
    let update = direction::<B>(first.clone(), second.clone(), &options);
    let param = B::float_sub(param, B::float_mul_scalar(update, options.learning_rate.into()));
    (param, first, second)
}

/// Adam with decoupled weight decay. Arguments and outputs as for [`adam`].
///
/// Source: Loshchilov and Hutter 2019, algorithm 2, with the decay multiplied by the learning rate as in PyTorch's `AdamW`.
pub fn adamw<B: Backend>(
    param: FloatTensor<B>,
    grad: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    scale: MaybeTensor<B>,
    options: AdamOptions,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (first, second) = moments::<B>(scaled::<B>(grad, scale), first, second, &options);
    let update = direction::<B>(first.clone(), second.clone(), &options);
    let param = B::float_mul_scalar(param, (1.0 - options.learning_rate * options.weight_decay).into());
    let param = B::float_sub(param, B::float_mul_scalar(update, options.learning_rate.into()));
    (param, first, second)
}

/// Adam's direction plus decay, as long as the parameter. Arguments and outputs as for [`adam`].
///
/// Source: You et al. 2020, algorithm 2, with the identity for φ. The trust ratio is 1 where either norm is zero, and where
/// the options leave it out.
pub fn lamb<B: Backend>(
    param: FloatTensor<B>,
    grad: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    scale: MaybeTensor<B>,
    options: LambOptions,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let adam = options.adam;
    let (first, second) = moments::<B>(scaled::<B>(grad, scale), first, second, &adam);
    let decay = B::float_mul_scalar(param.clone(), adam.weight_decay.into());
    let mut update = B::float_add(direction::<B>(first.clone(), second.clone(), &adam), decay);
    if options.trust_ratio {
        let norm = |x: &FloatTensor<B>| B::float_sqrt(sum_of_squares::<B>(x.clone()));
        let (param_norm, update_norm) = (norm(&param), norm(&update));
        let is_zero = |x: FloatTensor<B>| {
            let dtype = bool_dtype::<B>(&x);
            B::float_equal_elem(x, 0.0.into(), dtype)
        };
        let unusable = B::bool_or(is_zero(param_norm.clone()), is_zero(update_norm.clone()));
        let ratio = B::float_mask_fill(B::float_div(param_norm, update_norm), unusable, 1.0.into());
        update = times_scalar_tensor::<B>(update, ratio);
    }
    let param = B::float_sub(param, B::float_mul_scalar(update, adam.learning_rate.into()));
    (param, first, second)
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
