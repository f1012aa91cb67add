//! What the benchmarks share: the devices they run on, and how a run is timed.
//!
//! Identifiers are `operation/shape/dtype/device`. Inputs are made from a fixed seed outside the timed part, the device is
//! synchronised before the clock stops, and criterion's warm-up covers compilation.

use burn::tensor::{Device, Tensor, TensorData};
use burnformer_core::random::{Key, Purpose, Stream};
use burnformer_ops::DeviceChoice;
use criterion::{Criterion, Throughput};

/// A device to measure, with its name in identifiers.
pub struct Bench {
    /// The device.
    pub device: Device,
    name: String,
    is_software_gpu: bool,
}

/// How much work a benchmark is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Milliseconds on a software renderer.
    Small,
    /// Too long for a software renderer, which does a few GFLOP/s.
    Large,
}

/// Every device of every compiled backend; says on stderr which are left out, and what of.
#[must_use]
pub fn devices() -> Vec<Bench> {
    let open = |(choice, description): (DeviceChoice, String)| {
        let is_software_gpu = description.starts_with("software");
        if is_software_gpu {
            eprintln!("{choice} is a {description}: it runs the small shapes only");
        }
        let device = choice.open().unwrap_or_else(|error| panic!("{error}"));
        Bench { device, name: choice.to_string(), is_software_gpu }
    };
    let available = DeviceChoice::available();
    for backend in DeviceChoice::compiled() {
        if !available.iter().any(|(choice, _)| choice.to_string().starts_with(backend)) {
            eprintln!("{backend} is compiled in, but this machine has no device for it: its benchmarks are left out");
        }
    }
    available.into_iter().map(open).collect()
}

impl Bench {
    /// Times `run`, which handles `n_tokens` tokens, as `operation/shape/f32/device`.
    pub fn time<T>(
        &self,
        criterion: &mut Criterion,
        id: [&str; 2],
        size: Size,
        n_tokens: u64,
        mut run: impl FnMut() -> T,
    ) {
        if self.is_software_gpu && size == Size::Large {
            return;
        }
        let [operation, shape] = id;
        let mut group = criterion.benchmark_group(operation);
        group.throughput(Throughput::Elements(n_tokens)).sample_size(10);
        group.bench_function(format!("{shape}/f32/{}", self.name), |bencher| {
            bencher.iter(|| {
                let out = run();
                self.device.sync().expect("the device finishes its work");
                out
            });
        });
        group.finish();
    }
}

/// Uniform numbers in `[0, 1)`, a function of `name`.
#[must_use]
pub fn uniform<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut stream = Stream::new(Key::new(0, Purpose::Weights, name), 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.uniform() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
