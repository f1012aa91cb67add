//! Devices, numbers and comparisons.

use burn::tensor::{Device, Tensor, TensorData};
use burnformer_core::random::{Key, Purpose, Stream};
use burnformer_ops::DeviceChoice;

/// Every compiled backend. A wgpu build needs a driver to be tested: without one this panics with what to install.
pub(crate) fn devices() -> Vec<Device> {
    let open = |name: &&str| name.parse::<DeviceChoice>().and_then(DeviceChoice::open);
    DeviceChoice::compiled().iter().map(|name| open(name).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// Those of [`devices`] that compute on the CPU.
#[cfg(any(feature = "ndarray", feature = "flex"))]
pub(crate) fn cpu_devices() -> Vec<Device> {
    DeviceChoice::compiled()
        .into_iter()
        .filter(|name| *name != "wgpu")
        .map(|name| name.parse::<DeviceChoice>().and_then(DeviceChoice::open).unwrap())
        .collect()
}

/// `n` standard normal numbers, a function of `name`.
pub(crate) fn normal(name: &str, n: usize) -> Vec<f64> {
    let mut stream = Stream::new(Key::new(0, Purpose::Weights, name), 0);
    (0..n).map(|_| stream.normal()).collect()
}

pub(crate) fn tensor<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = normal(name, shape.iter().product()).into_iter().map(|x| x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// `‖found - expected‖ ≤ relative · ‖expected‖ + absolute`; a NaN never passes.
#[cfg(any(feature = "ndarray", feature = "flex"))] // Gradients are compared where double precision is.
#[track_caller]
pub(crate) fn assert_near(what: &str, found: &[f64], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(x, y)| x - y));
    let size = norm(&mut expected.iter().copied());
    let is_near = difference <= relative * size + absolute;
    assert!(is_near, "{what}: differs by {difference:e}, expected norm {size:e}");
}

/// Every element differs by no more than `absolute`; two infinities of one sign are equal, a NaN never passes.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], absolute: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    for (index, (x, y)) in found.iter().zip(expected).enumerate() {
        let is_close = x == y || (x - y).abs() <= absolute;
        assert!(is_close, "{what}: element {index} is {x}, expected {y} within {absolute:e}");
    }
}
