//! Cross-entropy of logits, summed and counted.

use super::{bool_dtype, constant, fill};
use crate::CrossEntropyOptions;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Shape, TensorMetadata};

/// Sum of `-Σ_j p_j log softmax(logits)_j` over the rows whose target is not ignored, with
/// `p = (1 - label_smoothing) · one_hot(target) + label_smoothing / vocab_size`, and the number of these rows.
///
/// # Shapes
/// - logits: `[n, vocab_size]`
/// - targets: `[n]`
/// - returns: `[1]`, and `[1]` without gradient
///
/// Source: Szegedy et al. 2016, section 7; PyTorch's `cross_entropy(reduction="sum")` has the same definition.
pub fn cross_entropy<B: Backend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
    options: CrossEntropyOptions,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [n, vocab_size] = logits.shape().dims();
    let ignored = B::int_equal_elem(targets.clone(), options.ignore.into(), bool_dtype::<B>(&logits));
    let targets = B::int_mask_fill(targets, ignored.clone(), 0.into());
    let targets = B::int_reshape(targets, Shape::new([n, 1]));
    let ignored = B::bool_reshape(ignored, Shape::new([n, 1]));

    let maximum = B::float_max_dim(constant::<B>(&logits), 1);
    let shifted = B::float_sub(logits, maximum); // [n, vocab_size]
    let log_sum = B::float_log(B::float_sum_dim(B::float_exp(shifted.clone()), 1)); // [n, 1]
    let at_target = B::float_gather(1, shifted.clone(), targets);
    let expected = if options.label_smoothing == 0.0 {
        at_target
    } else {
        let weight = options.label_smoothing / vocab_size as f64;
        let everywhere = B::float_mul_scalar(B::float_sum_dim(shifted, 1), weight.into());
        B::float_add(B::float_mul_scalar(at_target, (1.0 - options.label_smoothing).into()), everywhere)
    };
    let losses = fill::<B>(B::float_sub(log_sum, expected), ignored.clone(), 0.0);
    let dtype = losses.dtype().into();
    let counted = B::bool_into_float(B::bool_not(ignored), dtype);
    (B::float_sum(losses), B::float_sum(counted))
}
