//! The cases of the comparison with PyTorch, on every device.
#![allow(missing_docs)] // criterion's macros write functions.

use burnformer_benches::cases::Case;
use burnformer_benches::devices;
use burnformer_ops::WeightFormat;
use clap::ValueEnum;
use criterion::{Criterion, criterion_group, criterion_main};

fn cases(criterion: &mut Criterion) {
    for bench in devices() {
        for work in Case::value_variants().iter().flat_map(|case| case.works(bench.size, WeightFormat::F32)) {
            bench.time(criterion, &work);
        }
    }
}

criterion_group!(benches, cases);
criterion_main!(benches);
