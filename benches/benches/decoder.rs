//! One position of cached decoding behind prefixes of growing length: its cost is linear in the prefix.
#![allow(missing_docs)] // criterion's macros write functions.

use burn::tensor::Device;
use burnformer_benches::{Size, Work, devices, uniform};
use burnformer_nn::{Activation, DecoderConfig, LayerConfig, Mask, init};
use criterion::{Criterion, criterion_group, criterion_main};

fn steps(criterion: &mut Criterion) {
    for bench in devices().into_iter().filter(|bench| bench.size == Size::Large) {
        for prefix in [128, 256, 512, 1024] {
            bench.time(criterion, &step(prefix));
        }
    }
}

/// 4 layers of width 256, batch 8, memory of length 64. The cache is a handful of shared tensors, so cloning it for
/// each run costs nothing.
fn step(prefix: usize) -> Work {
    let shape = format!("n4-b8-prefix{prefix}-kv64-d256-h4-ff1024");
    Work::new("decoder-step", shape, 8, move |device: &Device| {
        let layer = LayerConfig::new(256, 4, 1024).with_activation(Activation::Gelu);
        let decoder = init::by_name(DecoderConfig::new(4, layer).init(device), 0, init::truncated_normal(0.02));
        let mut cache = decoder.cache(uniform("memory", [8, 64, 256], device), Mask::None);
        let _ = decoder.forward_cached(uniform("prefix", [8, prefix, 256], device), &mut cache);
        let x = uniform("x", [8, 1, 256], device);
        move || drop(decoder.forward_cached(x.clone(), &mut cache.clone()))
    })
}

criterion_group!(benches, steps);
criterion_main!(benches);
