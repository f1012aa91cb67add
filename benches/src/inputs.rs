//! Inputs, each a function of its name.

use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_core::random::{Key, Purpose, Stream};
use burnformer_models::Pretrained;
use burnformer_nn::DropoutRng;
use burnformer_ops::{Dropout, WeightFormat};

fn stream(name: &str) -> Stream {
    Stream::new(Key::new(0, Purpose::Weights, name), 0)
}

/// Uniform numbers in `[0, 1)`.
#[must_use]
pub fn uniform<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut stream = stream(name);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.uniform() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Uniform numbers in `[0, 1)` that get a gradient where the device tracks gradients.
pub(crate) fn trained<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    uniform(name, shape, device).set_require_grad(device.is_autodiff())
}

/// `n` numbers of tokens.
pub(crate) fn tokens(name: &str, n: usize, vocab_size: usize) -> Vec<u32> {
    let mut stream = stream(name);
    (0..n).map(|_| (stream.uniform() * vocab_size as f64) as u32).collect()
}

/// Whole numbers on a device.
pub(crate) fn ints<const D: usize>(values: &[u32], shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    let values: Vec<i32> = values.iter().map(|&value| value as i32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// `model` for inference, with weights as `format`.
///
/// # Panics
/// If the processor has no products of this type.
pub(crate) fn prepared<M: Pretrained>(model: M, format: WeightFormat) -> M {
    model.prepare(format).unwrap_or_else(|error| panic!("{error}"))
}

/// Numbers of the samples in a batch.
pub(crate) fn samples(batch_size: usize) -> Vec<u64> {
    (0..batch_size as u64).collect()
}

/// Dropout of a tenth, as in training.
pub(crate) fn dropout(batch_size: usize) -> Option<Dropout> {
    Dropout::new(0.1, DropoutRng::training(0, samples(batch_size)))
}
