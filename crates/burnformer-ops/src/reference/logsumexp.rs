//! The logarithm of a softmax's denominator.

use super::constant;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Shape, TensorMetadata};

/// `ln Σ_j exp(x_j)` of every row.
///
/// # Shapes
/// - x: `[n, d]`
/// - returns: `[n]`, without gradient
pub fn logsumexp<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [n, _] = x.shape().dims();
    let x = constant::<B>(&x);
    let maximum = B::float_max_dim(x.clone(), 1); // [n, 1]
    let sum = B::float_sum_dim(B::float_exp(B::float_sub(x, maximum.clone())), 1);
    B::float_reshape(B::float_add(B::float_log(sum), maximum), Shape::new([n]))
}
