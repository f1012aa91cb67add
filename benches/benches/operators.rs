//! Every operator, composed and fused, on every device.
#![allow(missing_docs)] // criterion's macros write functions.

use burnformer_benches::{devices, operators};
use criterion::{Criterion, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    for bench in devices() {
        for work in operators(bench.size) {
            bench.time(criterion, &work);
        }
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
