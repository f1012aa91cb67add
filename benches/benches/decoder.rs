//! One position of cached decoding behind prefixes of growing length: its cost is linear in the prefix.
#![allow(missing_docs)] // criterion's macros write functions.

use burn::tensor::Tensor;
use burnformer_benches::{Size, devices, uniform};
use burnformer_nn::{Activation, DecoderConfig, LayerConfig, Mask, init};
use criterion::{Criterion, criterion_group, criterion_main};

/// 4 layers of width 256, batch 8, memory of length 64. The cache is a handful of shared tensors, so that cloning it for each
/// run costs nothing.
fn step(criterion: &mut Criterion) {
    for bench in devices() {
        let layer = LayerConfig::new(256, 4, 1024).with_activation(Activation::Gelu);
        let decoder = init::by_name(DecoderConfig::new(4, layer).init(&bench.device), 0, init::truncated_normal(0.02));
        let memory: Tensor<3> = uniform("memory", [8, 64, 256], &bench.device);
        let x: Tensor<3> = uniform("x", [8, 1, 256], &bench.device);
        for prefix in [128, 256, 512, 1024] {
            let mut cache = decoder.cache(memory.clone(), Mask::None);
            let _ = decoder.forward_cached(uniform("prefix", [8, prefix, 256], &bench.device), &mut cache);
            let shape = format!("n4-b8-prefix{prefix}-kv64-d256-h4-ff1024");
            let run = || decoder.forward_cached(x.clone(), &mut cache.clone());
            bench.time(criterion, ["decoder-step", &shape], Size::Large, 8, run);
        }
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
