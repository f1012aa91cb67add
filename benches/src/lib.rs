//! What is measured, on which devices, and how.
//!
//! [`operators`](operators()) and [`cases`] say what; criterion's programs in `benches/` time all of it, the program
//! `peer_case` one case for the comparison with PyTorch. Identifiers are `operation/pass/shape/dtype/device`, for an
//! operator with its body, `composed` or `fused`, behind the shape. Inputs are made from a fixed seed outside the timed
//! part, the device is synchronised before the clock stops, and warm-up covers compilation.

mod beam;
mod case;
pub mod cases;
mod composed;
mod embedding;
mod finetuning;
mod inputs;
mod loading;
mod operators;
mod sizes;
mod training;
mod translation;
mod work;

pub use inputs::uniform;
pub use operators::operators;
pub use sizes::{Size, Sizes};
pub use work::{Run, Work};

use burn::tensor::Device;
use burnformer_ops::{Allocator, DeviceChoice};
use criterion::{Criterion, Throughput};

/// That of the program `burnformer`.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// A device to measure, with its name in identifiers.
pub struct Bench {
    /// The device, without gradient tracking.
    pub device: Device,
    /// What it can do in a reasonable time.
    pub size: Size,
    name: String,
}

/// Every device of every compiled backend; says on stderr which are left out, and what of.
#[must_use]
pub fn devices() -> Vec<Bench> {
    let open = |(choice, description): (DeviceChoice, String)| {
        let size = if description.starts_with("software") {
            eprintln!("{choice} is a {description}: it runs the small shapes");
            Size::Small
        } else {
            Size::Large
        };
        let device = choice.open().unwrap_or_else(|error| panic!("{error}"));
        Bench { device, size, name: choice.to_string() }
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
    /// Times `work` under the name that it has on this device. Its inputs are made only if the command line asks for
    /// it.
    pub fn time(&self, criterion: &mut Criterion, work: &Work) {
        let mut group = criterion.benchmark_group(&work.name);
        group.throughput(Throughput::Elements(work.n_elements)).sample_size(10);
        let mut run = None;
        group.bench_function(format!("{}/f32/{}", work.shape, self.name), |bencher| {
            let run = run.get_or_insert_with(|| work.start(&self.device));
            bencher.iter(|| {
                run();
                self.device.sync().expect("the device finishes its work");
            });
        });
        group.finish();
    }
}
