//! Attention: the operator, and the multi-head sub-layer of the article's example.
#![allow(missing_docs)] // criterion's macros write functions.

use burn::tensor::Tensor;
use burnformer_benches::{Bench, Size, devices, uniform};
use burnformer_nn::{AttentionInput, Mask, MultiHeadAttentionConfig, Noise, init};
use burnformer_ops::{AttentionOptions, attention};
use criterion::{Criterion, criterion_group, criterion_main};

/// The operator alone: no mask, no dropout.
fn operator(criterion: &mut Criterion) {
    for bench in devices() {
        for (size, [b, h, t, d]) in [(Size::Small, [2, 2, 16, 8]), (Size::Large, [8, 8, 128, 64])] {
            let shape = format!("b{b}-h{h}-q{t}-kv{t}-d{d}");
            let tokens = (b * t) as u64;
            let run = |[q, k, v]: [Tensor<4>; 3]| attention(q, k, v, Mask::None, AttentionOptions::new(d)).0;
            let inputs = ["q", "k", "v"].map(|name| uniform(name, [b, t, h, d], &bench.device));
            bench.time(criterion, ["attention-forward", &shape], size, tokens, || run(inputs.clone()));
            let inputs = ["q", "k", "v"]
                .map(|name| uniform(name, [b, t, h, d], &bench.device.clone().autodiff()).require_grad());
            let both = || run(inputs.clone()).sum().backward();
            bench.time(criterion, ["attention-forward+backward", &shape], size, tokens, both);
        }
    }
}

/// The article's example: query = key = value `[60, 100, 512]`, 8 heads, dropout 0.1, weights handed out. The input has no
/// gradient, the parameters have.
fn article(criterion: &mut Criterion) {
    for bench in devices() {
        multi_head_attention(criterion, &bench, Size::Large, [60, 100, 512, 8]);
        multi_head_attention(criterion, &bench, Size::Small, [2, 10, 32, 4]);
    }
}

fn multi_head_attention(criterion: &mut Criterion, bench: &Bench, size: Size, [b, t, d_model, n_heads]: [usize; 4]) {
    let shape = format!("b{b}-q{t}-kv{t}-d{d_model}-h{n_heads}");
    let samples: Vec<u64> = (0..b as u64).collect();
    for (operation, device) in
        [("mha-forward", bench.device.clone()), ("mha-forward+backward", bench.device.clone().autodiff())]
    {
        let module = MultiHeadAttentionConfig::new(d_model, n_heads).with_dropout(0.1).init(&device);
        let module = init::by_name(module, 0, init::xavier_uniform);
        let x = uniform("x", [b, t, d_model], &device);
        let run = || {
            let noise = Noise::training(0, samples.as_slice());
            module.forward_with_attn_weights(AttentionInput::self_attention(x.clone()).noise(noise))
        };
        let tokens = (b * t) as u64;
        if device.is_autodiff() {
            bench.time(criterion, [operation, &shape], size, tokens, || run().0.sum().backward());
        } else {
            bench.time(criterion, [operation, &shape], size, tokens, run);
        }
    }
}

criterion_group!(benches, operator, article);
criterion_main!(benches);
