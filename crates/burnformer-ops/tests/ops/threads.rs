//! Results do not depend on the number of threads, to the last bit.
#![cfg(any(feature = "ndarray", feature = "flex"))]

use crate::support::{cpu_devices, tensor, values};
use burn::tensor::{Int, Tensor};
use burnformer_core::random::DropoutRng;
use burnformer_ops::{
    self as ops, Activation, AdamOptions, AdamVariant, AttentionOptions, CrossEntropyOptions, Dropout,
    FeedForwardOptions, LayerNormOptions, Mask,
};

/// A Transformer layer with all operators, forward and backward, and an update by LAMB; large enough for several threads.
fn layer(device: &burn::tensor::Device) -> Vec<Vec<f64>> {
    let training = device.clone().autodiff();
    let (batch_size, length, n_heads, d_head) = (4, 150, 4, 16);
    let d_model = n_heads * d_head;
    let weight = |name: &str, rows| tensor(name, [rows, d_model], &training).require_grad();
    let table = weight("table", 500);
    let maps = ["q", "k", "v"].map(|name| weight(name, d_model));
    let [gain, bias] = ["gain", "bias"].map(|name| tensor(name, [d_model], &training).require_grad());
    let [attention_rng, norm_rng] = DropoutRng::training(1, [3, 4, 5, 6]).split();
    let ids: Vec<i64> = (0..batch_size * length).map(|i| (i * i % 500) as i64).collect();
    let ids = Tensor::<1, Int>::from_data(ids.as_slice(), &training);

    let x = ops::embedding(table.clone(), ids.clone().reshape([batch_size, length]));
    let heads = ops::qkv(x.clone(), maps.clone(), None).map(|x| x.reshape([batch_size, length, n_heads, d_head]));
    let [q, k, v] = heads;
    let options = AttentionOptions { dropout: Dropout::new(0.1, attention_rng), ..AttentionOptions::new(d_head) };
    let (out, _) = ops::attention(q, k, v, Mask::None, options);
    let out = out.reshape([batch_size, length, d_model]);
    let options = LayerNormOptions { eps: 1e-5, dropout: Dropout::new(0.1, norm_rng) };
    let out = ops::layer_norm(out, Some(x), gain.clone(), bias.clone(), options);
    let out = ops::bias_activation(out, Some(bias.clone()), Activation::Gelu);
    // So wide that the rows are cut.
    let wide = ["in", "out"].map(|name| tensor(name, [d_model * 4096], &training));
    let [weight_in, weight_out] = wide;
    let weights = [weight_in.reshape([4096, d_model]), weight_out.reshape([d_model, 4096])];
    let weights = weights.map(|weight| weight.detach().require_grad());
    let options = FeedForwardOptions { activation: Activation::Gelu, dropout: None };
    let out = ops::feed_forward(out, weights.clone(), None, options);
    let logits = ops::linear(out.reshape([batch_size * length, d_model]), table.clone(), None);
    let sums = ops::logsumexp(logits.clone().inner());
    let (loss, _) = ops::cross_entropy(logits, ids, CrossEntropyOptions::default());
    let grads = loss.clone().backward();

    let gradient = table.grad(&grads).unwrap();
    let moments = [gradient.zeros_like(), gradient.zeros_like()];
    let variant = AdamVariant::Lamb { trust_ratio: true };
    let options =
        AdamOptions { variant, learning_rate: 0.1, beta_1: 0.9, beta_2: 0.99, eps: 1e-6, weight_decay: 0.1, step: 1 };
    let norm = ops::sum_of_squares(gradient.clone());
    let (updated, _) = ops::adam(table.inner(), gradient, moments, None, options);
    let [dq, dk, dv] = maps.map(|map| values(map.grad(&grads).unwrap()));
    let [dgain, dbias] = [gain, bias].map(|vector| values(vector.grad(&grads).unwrap()));
    let [dweight_in, dweight_out] = weights.map(|weight| values(weight.grad(&grads).unwrap()));
    vec![values(loss), values(sums), dweight_in, dweight_out, dq, dk, dv, dgain, dbias, values(norm), values(updated)]
}

#[test]
fn one_thread_or_many_give_the_same_bits() {
    for device in cpu_devices() {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| layer(&device))
        };
        let alone = with(1);
        assert!(alone.iter().flatten().all(|x| x.is_finite()));
        for threads in [2, 3, 8] {
            assert!(with(threads) == alone, "{threads} threads on {device:?}");
        }
    }
}
