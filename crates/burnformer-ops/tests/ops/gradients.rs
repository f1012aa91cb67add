//! Gradients of every operator against central differences in double precision, on every backend.
#![cfg(any(feature = "ndarray", feature = "flex"))] // Double precision needs a CPU backend.

use crate::support::{assert_near, devices, normal, values};
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use burnformer_core::random::DropoutRng;
use burnformer_ops::{
    self as ops, Activation, AttentionOptions, CrossEntropyOptions, Dropout, FeedForwardOptions, LayerNormOptions, Mask,
};

/// An operator as a function of flat tensors, which it shapes itself.
type Function<'a> = &'a dyn Fn(Vec<Tensor<1>>) -> Vec<Tensor<1>>;

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let n = tensor.dims().iter().product::<usize>();
    tensor.reshape([n])
}

fn upload(inputs: &[Vec<f64>], device: &Device, dtype: DType) -> Vec<Tensor<1>> {
    let data = |values: &Vec<f64>| TensorData::new(values.clone(), [values.len()]).convert_dtype(dtype);
    inputs.iter().map(|values| Tensor::from_data(data(values), (device, dtype))).collect()
}

/// Sum over all outputs, each weighted with fixed random numbers.
fn weighted_sum(outputs: Vec<Tensor<1>>) -> Tensor<1> {
    let weighted = outputs.into_iter().enumerate().map(|(i, output)| {
        let weights = normal(&format!("cotangent {i}"), output.dims()[0]);
        let dtype = output.dtype();
        let data = TensorData::new(weights, output.shape()).convert_dtype(dtype);
        (output.clone() * Tensor::from_data(data, (&output.device(), dtype))).sum()
    });
    weighted.reduce(|a, b| a + b).unwrap()
}

fn gradients(inputs: &[Vec<f64>], function: Function, device: Device, dtype: DType) -> Vec<Vec<f64>> {
    let tensors: Vec<_> = upload(inputs, &device.autodiff(), dtype).into_iter().map(Tensor::require_grad).collect();
    let grads = weighted_sum(function(tensors.clone())).backward();
    tensors.iter().map(|tensor| values(tensor.grad(&grads).expect("every input gets a gradient"))).collect()
}

fn check(name: &str, sizes: &[usize], function: Function) {
    let inputs: Vec<_> = sizes.iter().enumerate().map(|(i, &n)| normal(&format!("{name} {i}"), n)).collect();
    let cpu = devices().remove(0);
    let at = |inputs: &[Vec<f64>]| values(weighted_sum(function(upload(inputs, &cpu, DType::F64))))[0];
    let step = 1e-5;
    let mut moved = inputs.clone();
    let mut numeric = inputs.clone();
    for (i, input) in inputs.iter().enumerate() {
        for (j, &x) in input.iter().enumerate() {
            moved[i][j] = x + step;
            let above = at(&moved);
            moved[i][j] = x - step;
            numeric[i][j] = (above - at(&moved)) / (2.0 * step);
            moved[i][j] = x;
        }
    }
    // Central differences: truncation step² · f''' ≈ 1e-10, rounding 1e-16 / step ≈ 1e-11.
    for (i, found) in gradients(&inputs, function, cpu, DType::F64).iter().enumerate() {
        assert_near(&format!("{name}, input {i}, double precision"), found, &numeric[i], 1e-7, 1e-7);
    }
    for device in devices() {
        for (i, found) in gradients(&inputs, function, device.clone(), DType::F32).iter().enumerate() {
            assert_near(&format!("{name}, input {i}, {device:?}"), found, &numeric[i], 1e-4, 1e-6);
        }
    }
}

#[test]
fn linear() {
    check("linear", &[2 * 3 * 4, 5 * 4, 5], &|inputs| {
        let [x, weight, bias] = inputs.try_into().unwrap();
        vec![flat(ops::linear(x.reshape([2, 3, 4]), weight.reshape([5, 4]), Some(bias)))]
    });
    check("linear without bias", &[3 * 4, 5 * 4], &|inputs| {
        let [x, weight] = inputs.try_into().unwrap();
        vec![flat(ops::linear(x.reshape([3, 4]), weight.reshape([5, 4]), None))]
    });
}

#[test]
fn qkv() {
    check("qkv", &[2 * 3 * 4, 5 * 4, 6 * 4, 7 * 4, 5, 6, 7], &|inputs| {
        let [x, q, k, v, bias_q, bias_k, bias_v] = inputs.try_into().unwrap();
        let weights = [q.reshape([5, 4]), k.reshape([6, 4]), v.reshape([7, 4])];
        ops::qkv(x.reshape([2, 3, 4]), weights, Some([bias_q, bias_k, bias_v])).map(flat).to_vec()
    });
}

// Batch 2, q 3, kv 5, heads 4, d_head 7, d_value 6.
fn check_attention(name: &str, mask: fn(&Device) -> Mask, causal: bool, dropout: f64) {
    let run = |inputs: Vec<Tensor<1>>, weights: bool| {
        let [q, k, v] = inputs.try_into().unwrap();
        let mask = mask(&q.device());
        let q = q.reshape([2, 3, 4, 7]);
        let (k, v) = (k.reshape([2, 5, 4, 7]), v.reshape([2, 5, 4, 6]));
        let dropout = Dropout::new(dropout, DropoutRng::training(1, [4, 9]));
        let options = AttentionOptions { causal, dropout, ..AttentionOptions::new(7) };
        if weights {
            let (out, weights) = ops::attention_with_weights(q, k, v, mask, options);
            vec![flat(out), flat(weights)]
        } else {
            vec![flat(ops::attention(q, k, v, mask, options).0)]
        }
    };
    let sizes = [2 * 3 * 4 * 7, 2 * 5 * 4 * 7, 2 * 5 * 4 * 6];
    check(name, &sizes, &|inputs| run(inputs, false));
    check(&format!("{name}, through the weights"), &sizes, &|inputs| run(inputs, true));
}

fn keys(device: &Device) -> Mask {
    let keys = [[false, true, false, false, true], [false, false, false, true, true]];
    Mask::Keys(Tensor::<2, Bool>::from_data(keys, device))
}

fn full(device: &Device) -> Mask {
    // The second query of the first sequence sees nothing.
    let full = [
        [[false, true, false, false, true], [true; 5], [true, true, true, true, false]],
        [[false; 5], [false, false, true, true, true], [true, false, true, false, true]],
    ];
    Mask::Full(Tensor::<3, Bool>::from_data(full, device))
}

#[test]
fn attention() {
    check_attention("attention", |_| Mask::None, false, 0.0);
    check_attention("attention, causal", |_| Mask::None, true, 0.0);
    check_attention("attention, keys", keys, false, 0.0);
    check_attention("attention, keys and causal", keys, true, 0.0);
    check_attention("attention, full", full, false, 0.0);
    check_attention("attention, full, causal, dropout", full, true, 0.3);
}

#[test]
fn layer_norm() {
    check("layer_norm", &[2 * 3 * 5, 5, 5], &|inputs| {
        let [x, weight, bias] = inputs.try_into().unwrap();
        let options = LayerNormOptions { eps: 1e-5, dropout: None };
        vec![flat(ops::layer_norm(x.reshape([2, 3, 5]), None, weight, bias, options))]
    });
    check("layer_norm of residual and dropout", &[2 * 3 * 5, 2 * 3 * 5, 5, 5], &|inputs| {
        let [x, residual, weight, bias] = inputs.try_into().unwrap();
        let options = LayerNormOptions { eps: 1e-5, dropout: Dropout::new(0.3, DropoutRng::training(1, [4, 9])) };
        let residual = Some(residual.reshape([2, 3, 5]));
        vec![flat(ops::layer_norm(x.reshape([2, 3, 5]), residual, weight, bias, options))]
    });
}

#[test]
fn bias_activation() {
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Silu]
    {
        check(&format!("bias_activation {activation:?}"), &[2 * 3 * 5, 5], &|inputs| {
            let [x, bias] = inputs.try_into().unwrap();
            vec![flat(ops::bias_activation(x.reshape([2, 3, 5]), Some(bias), activation))]
        });
    }
}

#[test]
fn feed_forward() {
    for (activation, dropout) in [(Activation::Gelu, 0.3), (Activation::Relu, 0.0)] {
        let sizes = [2 * 3 * 4, 6 * 4, 5 * 6, 6, 5];
        check(&format!("feed_forward {activation:?}"), &sizes, &|inputs| {
            let [x, weight_in, weight_out, bias_in, bias_out] = inputs.try_into().unwrap();
            let weights = [weight_in.reshape([6, 4]), weight_out.reshape([5, 6])];
            let dropout = Dropout::new(dropout, DropoutRng::training(1, [4, 9]));
            let options = FeedForwardOptions { activation, dropout };
            vec![flat(ops::feed_forward(x.reshape([2, 3, 4]), weights, Some([bias_in, bias_out]), options))]
        });
    }
}

#[test]
fn dropout() {
    check("dropout", &[2 * 3 * 5, 2 * 3 * 5], &|inputs| {
        let [x, residual] = inputs.try_into().unwrap();
        let options = Dropout::new(0.4, DropoutRng::training(1, [4, 9]));
        vec![flat(ops::dropout(x.reshape([2, 3, 5]), Some(residual.reshape([2, 3, 5])), options))]
    });
}

#[test]
fn embedding() {
    check("embedding", &[7 * 3], &|inputs| {
        let [weight] = inputs.try_into().unwrap();
        let ids = Tensor::<2, Int>::from_data([[0, 3, 3, 6], [3, 1, 0, 5]], &weight.device());
        vec![flat(ops::embedding(weight.reshape([7, 3]), ids))]
    });
}

#[test]
fn cross_entropy() {
    for label_smoothing in [0.0, 0.2] {
        check(&format!("cross_entropy, smoothing {label_smoothing}"), &[4 * 6], &|inputs| {
            let [logits] = inputs.try_into().unwrap();
            let targets = Tensor::<1, Int>::from_data([5, -1, 0, 2], &logits.device());
            let options = CrossEntropyOptions { ignore: -1, label_smoothing };
            vec![ops::cross_entropy(logits.reshape([4, 6]), targets, options).0]
        });
    }
}

#[test]
fn sum_of_squares() {
    check("sum_of_squares", &[7], &|inputs| {
        let [x] = inputs.try_into().unwrap();
        vec![ops::sum_of_squares(x)]
    });
}
