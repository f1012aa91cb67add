//! The encoder: one layer, and a stack of four.
#![allow(missing_docs)] // criterion's macros write functions.

use burn::tensor::{Device, Tensor};
use burnformer_benches::{Bench, Size, devices, uniform};
use burnformer_nn::{Activation, EncoderConfig, LayerConfig, Mask, Noise, init};
use criterion::{Criterion, criterion_group, criterion_main};

fn encoder(criterion: &mut Criterion) {
    for bench in devices() {
        for (operation, n_layers) in [("encoder-layer", 1), ("encoder", 4)] {
            stack(criterion, &bench, operation, n_layers, Size::Small, [2, 16, 32, 2, 64]);
            stack(criterion, &bench, operation, n_layers, Size::Large, [32, 128, 256, 4, 1024]);
        }
    }
}

/// Forward without dropout; forward and backward with 0.1 at every site, as in training.
fn stack(
    criterion: &mut Criterion,
    bench: &Bench,
    operation: &str,
    n_layers: usize,
    size: Size,
    [b, t, d_model, n_heads, d_ff]: [usize; 5],
) {
    let shape = format!("n{n_layers}-b{b}-t{t}-d{d_model}-h{n_heads}-ff{d_ff}");
    let tokens = (b * t) as u64;
    let samples: Vec<u64> = (0..b as u64).collect();
    let layer = LayerConfig::new(d_model, n_heads, d_ff)
        .with_activation(Activation::Gelu)
        .with_attention_dropout(0.1)
        .with_activation_dropout(0.1);
    let build = |device: &Device| {
        let stack = EncoderConfig::new(n_layers, layer.clone()).init(device);
        let x: Tensor<3> = uniform("x", [b, t, d_model], device);
        (init::by_name(stack, 0, init::truncated_normal(0.02)), x)
    };

    let (stack, x) = build(&bench.device);
    let forward = || stack.forward(x.clone(), Mask::None, Noise::off());
    bench.time(criterion, [&format!("{operation}-forward"), &shape], size, tokens, forward);

    let (stack, x) = build(&bench.device.clone().autodiff());
    let both = || stack.forward(x.clone(), Mask::None, Noise::training(0, samples.as_slice())).sum().backward();
    bench.time(criterion, [&format!("{operation}-forward+backward"), &shape], size, tokens, both);
}

criterion_group!(benches, encoder);
criterion_main!(benches);
