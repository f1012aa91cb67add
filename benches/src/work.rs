//! A piece of work that can be measured on any device.

use burn::tensor::{Device, Tensor};

/// Does the work once, without waiting for the device.
pub type Run = Box<dyn FnMut()>;

/// A piece of work to measure.
pub struct Work {
    /// Operation and pass, such as `linear/forward`.
    pub name: String,
    /// What it is done on.
    pub shape: String,
    /// How many tokens go through it, or parameters.
    pub n_elements: u64,
    start: Box<dyn Fn(&Device) -> Run>,
}

impl Work {
    /// `start` makes the inputs on a device without gradient tracking, and returns what does the work.
    pub fn new<R: FnMut() + 'static>(
        name: impl Into<String>,
        shape: impl Into<String>,
        n_elements: usize,
        start: impl Fn(&Device) -> R + 'static,
    ) -> Self {
        let start = move |device: &Device| -> Run { Box::new(start(device)) };
        Self { name: name.into(), shape: shape.into(), n_elements: n_elements as u64, start: Box::new(start) }
    }

    /// Makes the inputs on `device`, which has no gradient tracking.
    #[must_use]
    pub fn start(&self, device: &Device) -> Run {
        (self.start)(device)
    }

    /// `forward` alone, without gradient tracking; and with it and the backward pass of the sum of its outputs behind.
    ///
    /// `inputs` is called with the device of the pass. What it makes is cloned for each run, so the clones must share
    /// their tensors.
    pub(crate) fn passes<I: Clone + 'static, const D: usize, const N: usize>(
        operation: &str,
        shape: &str,
        n_elements: usize,
        inputs: impl Fn(&Device) -> I + Copy + 'static,
        forward: impl Fn(I) -> [Tensor<D>; N] + Copy + 'static,
    ) -> [Self; 2] {
        let without = move |device: &Device| {
            let inputs = inputs(device);
            move || drop(forward(inputs.clone()))
        };
        let with = move |device: &Device| {
            let inputs = inputs(&device.clone().autodiff());
            move || {
                let sums = forward(inputs.clone()).map(Tensor::sum);
                let loss = sums.into_iter().reduce(|sum, next| sum + next).expect("a forward pass has an output");
                drop(loss.backward());
            }
        };
        [
            Self::new(format!("{operation}/forward"), shape, n_elements, without),
            Self::new(format!("{operation}/forward+backward"), shape, n_elements, with),
        ]
    }
}
