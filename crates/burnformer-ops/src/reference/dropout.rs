//! Dropout.

use crate::{Dropout, MaybeTensor};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorData, TensorMetadata};

/// `residual + dropout(x)`: every element of `x` is zero with the given probability, else divided by the probability of
/// being kept.
///
/// The first axis of `x` is the batch, the last two are row and column of the draw, those between are planes; of two axes
/// the second is the column, in row 0. The mask is made on the host and uploaded.
///
/// Source: Srivastava et al. 2014, scaled in training as everywhere today.
pub fn dropout<B: Backend>(x: FloatTensor<B>, residual: MaybeTensor<B>, options: Dropout) -> FloatTensor<B> {
    let shape = x.shape();
    let dims: &[usize] = &shape;
    let planes = match dims {
        [batch_size, columns] => [*batch_size, 1, 1, *columns],
        [batch_size, planes @ .., rows, columns] => [*batch_size, planes.iter().product(), *rows, *columns],
        _ => panic!("dropout: a tensor of shape {dims:?} has no batch and no column axis"),
    };
    let multipliers = options.draw.multipliers(planes, options.probability);
    let data = TensorData::new(multipliers, shape).convert_dtype(x.dtype());
    let multipliers = B::float_from_data(data, &x.device());
    let x = B::float_mul(x, multipliers);
    match residual {
        MaybeTensor::None => x,
        MaybeTensor::Some(residual) => B::float_add(residual, x),
    }
}
