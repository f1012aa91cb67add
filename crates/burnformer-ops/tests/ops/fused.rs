//! The fast bodies against the definitions that they replace, values and gradients, over random shapes and layouts.
#![cfg(any(feature = "ndarray", feature = "flex"))] // The kernels of the GPU have theirs in `kernels`.

use crate::support::{assert_near, cpu_devices, normal, values};
use burn::backend::Dispatch;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use burnformer_core::random::DropoutRng;
use burnformer_ops::{
    self as ops, Activation, AttentionOptions, CrossEntropyOptions, Dropout, FeedForwardBias, FeedForwardOptions,
    LayerNormOptions, Mask, MaskPrimitive, MaybeTensor, Places, QkvBias, reference,
};
use proptest::prelude::*;

/// How an input lies in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    RowMajor,
    /// A view with its axes exchanged.
    Transposed,
    /// One row, seen many times.
    Broadcast,
}

const LAYOUTS: [Layout; 3] = [Layout::RowMajor, Layout::Transposed, Layout::Broadcast];

/// A differentiable input of an operator; `leaf` is what it is made of.
struct Input {
    leaf: Tensor<2>,
    view: Tensor<2>,
}

impl Input {
    fn new(name: &str, [rows, columns]: [usize; 2], layout: Layout, device: &Device) -> Self {
        let leaf = |shape: [usize; 2]| {
            let values: Vec<f32> = normal(name, shape[0] * shape[1]).into_iter().map(|x| x as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, shape), &device.clone().autodiff()).require_grad()
        };
        match layout {
            Layout::RowMajor => {
                let leaf = leaf([rows, columns]);
                Self { view: leaf.clone(), leaf }
            }
            Layout::Transposed => {
                let leaf = leaf([columns, rows]);
                Self { view: leaf.clone().swap_dims(0, 1), leaf }
            }
            Layout::Broadcast => {
                let leaf = leaf([1, columns]);
                Self { view: leaf.clone().expand([rows, columns]), leaf }
            }
        }
    }

    fn vector(name: &str, len: usize, device: &Device) -> Self {
        Self::new(name, [1, len], Layout::RowMajor, device)
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let n = tensor.dims().iter().product::<usize>();
    tensor.reshape([n])
}

fn some<const D: usize>(tensor: Tensor<D>) -> MaybeTensor<Dispatch> {
    MaybeTensor::Some(tensor.into_dispatch())
}

/// Compares outputs, and the gradients of all inputs for random weights on the outputs.
fn compare(
    name: &str,
    inputs: impl Fn() -> Vec<Input>,
    fused: impl Fn(&[Tensor<2>]) -> Vec<Tensor<1>>,
    composed: impl Fn(&[Tensor<2>]) -> Vec<Tensor<1>>,
) {
    let run = |operator: &dyn Fn(&[Tensor<2>]) -> Vec<Tensor<1>>| {
        let inputs = inputs();
        let views: Vec<_> = inputs.iter().map(|input| input.view.clone()).collect();
        let outputs = operator(&views);
        let found: Vec<_> = outputs.iter().map(|output| values(output.clone())).collect();
        let weighted = outputs.into_iter().enumerate().map(|(index, output)| {
            let weights: Vec<f32> =
                normal(&format!("cotangent {index}"), output.dims()[0]).into_iter().map(|x| x as f32).collect();
            (output.clone() * Tensor::from_floats(weights.as_slice(), &output.device())).sum()
        });
        let grads = weighted.reduce(|a, b| a + b).unwrap().backward();
        let gradients: Vec<_> = inputs.iter().map(|input| values(input.leaf.grad(&grads).unwrap())).collect();
        (found, gradients)
    };
    let (found, gradients) = run(&fused);
    let (expected, expected_gradients) = run(&composed);
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_near(&format!("{name}, output {index}"), found, expected, 1e-5, 1e-6);
    }
    for (index, (found, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
        assert_near(&format!("{name}, gradient {index}"), found, expected, 1e-4, 1e-5);
    }
}

fn layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(&LAYOUTS[..])
}

fn vector(tensor: &Tensor<2>) -> Tensor<1> {
    flat(tensor.clone())
}

struct FeedForward {
    batch_size: usize,
    length: usize,
    d_in: usize,
    d_ff: usize,
    d_out: usize,
    bias: bool,
    dropout: bool,
    activation: Activation,
}

impl FeedForward {
    fn check(&self, x: Layout, device: &Device) {
        let Self { batch_size, length, d_in, d_ff, d_out, .. } = *self;
        let inputs = || {
            let mut inputs = vec![
                Input::new("x", [batch_size * length, d_in], x, device),
                Input::new("weight in", [d_ff, d_in], Layout::RowMajor, device),
                Input::new("weight out", [d_out, d_ff], Layout::RowMajor, device),
            ];
            if self.bias {
                inputs.extend([("bias in", d_ff), ("bias out", d_out)].map(|(name, n)| Input::vector(name, n, device)));
            }
            inputs
        };
        let options = || FeedForwardOptions {
            activation: self.activation,
            dropout: self.dropout.then(|| rng(batch_size)).flatten(),
        };
        let rows = |t: &Tensor<2>| t.clone().reshape([batch_size, length, d_in]);
        let fused = |t: &[Tensor<2>]| {
            let biases = self.bias.then(|| [3, 4].map(|i| vector(&t[i])));
            vec![flat(ops::feed_forward(rows(&t[0]), [t[1].clone(), t[2].clone()], biases, options()))]
        };
        let composed = |t: &[Tensor<2>]| {
            let bias = if self.bias {
                let [input, output] = [3, 4].map(|i| vector(&t[i]).into_dispatch());
                FeedForwardBias::Some { input, output }
            } else {
                FeedForwardBias::None
            };
            let [weight_in, weight_out] = [1, 2].map(|i| t[i].clone().into_dispatch());
            let x = rows(&t[0]).into_dispatch();
            let out = reference::feed_forward::<Dispatch>(x, weight_in, weight_out, bias, options());
            vec![flat(Tensor::<3>::from_dispatch(out))]
        };
        compare(&format!("feed_forward {:?}", self.activation), inputs, fused, composed);
    }
}

/// So wide that the rows are cut into blocks, and these gathered into segments.
#[test]
fn feed_forward_in_blocks() {
    for device in cpu_devices() {
        let (activation, dropout) = (Activation::Gelu, true);
        let case =
            FeedForward { batch_size: 3, length: 450, d_in: 5, d_ff: 2048, d_out: 7, bias: true, dropout, activation };
        case.check(Layout::RowMajor, &device);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn linear(n in 1_usize..90, d_in in 1_usize..70, d_out in 1_usize..70, bias: bool, layouts in [layout(), layout()]) {
        for device in cpu_devices() {
            let inputs = || {
                let mut inputs = vec![
                    Input::new("x", [n, d_in], layouts[0], &device),
                    Input::new("weight", [d_out, d_in], layouts[1], &device),
                ];
                inputs.extend(bias.then(|| Input::vector("bias", d_out, &device)));
                inputs
            };
            let fused = |t: &[Tensor<2>]| vec![flat(ops::linear(t[0].clone(), t[1].clone(), t.get(2).map(vector)))];
            let composed = |t: &[Tensor<2>]| {
                let bias = t.get(2).map_or(MaybeTensor::None, |bias| some(vector(bias)));
                let [x, weight] = [&t[0], &t[1]].map(|t| t.clone().into_dispatch());
                vec![flat(Tensor::<2>::from_dispatch(reference::linear::<Dispatch>(x, weight, bias)))]
            };
            compare("linear", inputs, fused, composed);
        }
    }

    #[test]
    fn qkv(n in 1_usize..90, d_in in 1_usize..50, d_out in [1_usize..40, 1_usize..40, 1_usize..40], bias: bool, x in layout()) {
        for device in cpu_devices() {
            let inputs = || {
                let mut inputs = vec![Input::new("x", [n, d_in], x, &device)];
                let weight = |i: usize| Input::new(&format!("weight {i}"), [d_out[i], d_in], Layout::RowMajor, &device);
                inputs.extend((0..3).map(weight));
                if bias {
                    inputs.extend((0..3).map(|i| Input::vector(&format!("bias {i}"), d_out[i], &device)));
                }
                inputs
            };
            let fused = |t: &[Tensor<2>]| {
                let biases = bias.then(|| [4, 5, 6].map(|i| vector(&t[i])));
                ops::qkv(t[0].clone(), [1, 2, 3].map(|i| t[i].clone()), biases).map(flat).to_vec()
            };
            let composed = |t: &[Tensor<2>]| {
                let bias = if bias {
                    let [q, k, v] = [4, 5, 6].map(|i| vector(&t[i]).into_dispatch());
                    QkvBias::Some { q, k, v }
                } else {
                    QkvBias::None
                };
                let [x, q, k, v] = [0, 1, 2, 3].map(|i| t[i].clone().into_dispatch());
                let (q, k, v) = reference::qkv::<Dispatch>(x, q, k, v, bias);
                [q, k, v].map(|out| flat(Tensor::<2>::from_dispatch(out))).to_vec()
            };
            compare("qkv", inputs, fused, composed);
        }
    }

    #[test]
    fn attention(case in attention_case()) {
        for device in cpu_devices() {
            case.check(&device);
        }
    }

    #[test]
    fn layer_norm(
        [batch_size, length] in [1_usize..5, 1_usize..60],
        d_model in 2_usize..90,
        residual: bool,
        dropout: bool,
        x in layout(),
    ) {
        for device in cpu_devices() {
            let n = batch_size * length;
            let inputs = || {
                let mut inputs = vec![
                    Input::new("x", [n, d_model], x, &device),
                    Input::vector("weight", d_model, &device),
                    Input::vector("bias", d_model, &device),
                ];
                inputs.extend(residual.then(|| Input::new("residual", [n, d_model], Layout::RowMajor, &device)));
                inputs
            };
            let options = || LayerNormOptions { eps: 1e-5, dropout: dropout.then(|| rng(batch_size)).flatten() };
            let rows = |t: &Tensor<2>| t.clone().reshape([batch_size, length, d_model]);
            let fused = |t: &[Tensor<2>]| {
                vec![flat(ops::layer_norm(rows(&t[0]), t.get(3).map(rows), vector(&t[1]), vector(&t[2]), options()))]
            };
            let composed = |t: &[Tensor<2>]| {
                let residual = t.get(3).map_or(MaybeTensor::None, |residual| some(rows(residual)));
                let [weight, bias] = [1, 2].map(|i| vector(&t[i]).into_dispatch());
                let out =
                    reference::layer_norm::<Dispatch>(rows(&t[0]).into_dispatch(), residual, weight, bias, options());
                vec![flat(Tensor::<3>::from_dispatch(out))]
            };
            compare("layer_norm", inputs, fused, composed);
        }
    }

    #[test]
    fn bias_activation(
        n in 1_usize..150,
        d in 1_usize..70,
        bias: bool,
        activation in prop::sample::select(&ACTIVATIONS[..]),
        x in layout(),
    ) {
        for device in cpu_devices() {
            let inputs = || {
                let mut inputs = vec![Input::new("x", [n, d], x, &device)];
                inputs.extend(bias.then(|| Input::vector("bias", d, &device)));
                inputs
            };
            let fused =
                |t: &[Tensor<2>]| vec![flat(ops::bias_activation(t[0].clone(), t.get(1).map(vector), activation))];
            let composed = |t: &[Tensor<2>]| {
                let bias = t.get(1).map_or(MaybeTensor::None, |bias| some(vector(bias)));
                let out = reference::bias_activation::<Dispatch>(t[0].clone().into_dispatch(), bias, activation);
                vec![flat(Tensor::<2>::from_dispatch(out))]
            };
            compare(&format!("bias_activation {activation:?}"), inputs, fused, composed);
        }
    }

    #[test]
    fn feed_forward(
        [batch_size, length] in [1_usize..5, 1_usize..40],
        [d_in, d_ff, d_out] in [1_usize..40, 1_usize..90, 1_usize..40],
        bias: bool,
        dropout: bool,
        activation in prop::sample::select(&ACTIVATIONS[..]),
        x in layout(),
    ) {
        for device in cpu_devices() {
            let case = FeedForward { batch_size, length, d_in, d_ff, d_out, bias, dropout, activation };
            case.check(x, &device);
        }
    }

    #[test]
    fn dropout([batch_size, length] in [1_usize..5, 1_usize..60], d in 1_usize..90, residual: bool, x in layout()) {
        for device in cpu_devices() {
            let n = batch_size * length;
            let inputs = || {
                let mut inputs = vec![Input::new("x", [n, d], x, &device)];
                inputs.extend(residual.then(|| Input::new("residual", [n, d], Layout::RowMajor, &device)));
                inputs
            };
            let rows = |t: &Tensor<2>| t.clone().reshape([batch_size, length, d]);
            let fused = |t: &[Tensor<2>]| vec![flat(ops::dropout(rows(&t[0]), t.get(1).map(rows), rng(batch_size)))];
            let composed = |t: &[Tensor<2>]| {
                let residual = t.get(1).map_or(MaybeTensor::None, |residual| some(rows(residual)));
                let options = rng(batch_size).unwrap();
                let out = reference::dropout::<Dispatch>(rows(&t[0]).into_dispatch(), residual, options);
                vec![flat(Tensor::<3>::from_dispatch(out))]
            };
            compare("dropout", inputs, fused, composed);
        }
    }

    #[test]
    fn embedding(vocab_size in 1_usize..200, d in 1_usize..40, ids in prop::collection::vec(0_usize..200, 1..200)) {
        for device in cpu_devices() {
            let ids: Vec<i64> = ids.iter().map(|id| (id % vocab_size) as i64).collect();
            let ids = || {
                let device = device.clone().autodiff();
                Tensor::<2, Int>::from_data(TensorData::new(ids.clone(), [1, ids.len()]), &device)
            };
            let inputs = || vec![Input::new("weight", [vocab_size, d], Layout::RowMajor, &device)];
            let fused = |t: &[Tensor<2>]| vec![flat(ops::embedding(t[0].clone(), ids()))];
            let composed = |t: &[Tensor<2>]| {
                let out = reference::embedding::<Dispatch>(t[0].clone().into_dispatch(), ids().into_dispatch());
                vec![flat(Tensor::<3>::from_dispatch(out))]
            };
            compare("embedding", inputs, fused, composed);
        }
    }

    #[test]
    fn cross_entropy(
        vocab_size in 1_usize..200,
        targets in prop::collection::vec(0_usize..220, 1..60),
        label_smoothing in prop::sample::select(&[0.0, 0.1][..]),
        logits in layout(),
    ) {
        for device in cpu_devices() {
            let class = |target: &usize| if *target >= 200 { -100 } else { (target % vocab_size) as i64 };
            let classes: Vec<i64> = targets.iter().map(class).collect();
            let targets = || Tensor::<1, Int>::from_data(classes.as_slice(), &device.clone().autodiff());
            let options = CrossEntropyOptions { label_smoothing, ..CrossEntropyOptions::default() };
            let inputs = || vec![Input::new("logits", [classes.len(), vocab_size], logits, &device)];
            let fused = |t: &[Tensor<2>]| {
                let (sum, count) = ops::cross_entropy(t[0].clone(), targets(), options);
                vec![sum, count]
            };
            let composed = |t: &[Tensor<2>]| {
                let logits = t[0].clone().into_dispatch();
                let (sum, count) = reference::cross_entropy::<Dispatch>(logits, targets().into_dispatch(), options);
                vec![Tensor::from_dispatch(sum), Tensor::from_dispatch(count)]
            };
            compare("cross_entropy", inputs, fused, composed);
        }
    }

    #[test]
    fn attend_places(
        (n, n_places, longest) in (1_usize..20, 1_usize..40, 0_usize..30),
        (n_kv_heads, n_sharing) in (1_usize..4, 1_usize..4),
        (d_head, d_value) in (1_usize..70, 1_usize..70),
        layout in layout(),
    ) {
        for device in cpu_devices() {
            let n_heads = n_kv_heads * n_sharing;
            let input = |name: &str, n: usize, n_heads: usize, width: usize| {
                Input::new(name, [n, n_heads * width], layout, &device).view.inner().reshape([n, n_heads, width])
            };
            let (q, key) = (input("q", n, n_heads, d_head), input("key", n_places, n_kv_heads, d_head));
            let value = input("value", n_places, n_kv_heads, d_value);
            // Of all lengths, the last one without any.
            let list = |row: usize| (0..(n - 1 - row) * longest / n).map(move |i| ((row * 7 + i * 5) % n_places) as u32);
            let places: Places = (0..n).map(list).collect();
            let inputs = [q.clone(), key.clone(), value.clone()].map(Tensor::into_dispatch);
            let [q_primitive, key_primitive, value_primitive] = inputs;
            let expected = reference::attend_places::<Dispatch>(q_primitive, key_primitive, value_primitive, places.clone());
            let found = ops::attend_places(q, key, value, places);
            assert_eq!(found.dims(), [n, n_heads, d_value]);
            assert_near("attend_places", &values(found), &values(Tensor::<3>::from_dispatch(expected)), 2e-6, 2e-6);
        }
    }

    #[test]
    fn store((n_places, n_new) in (1_usize..9, 1_usize..9), first in 0_usize..9, layout in layout()) {
        for device in cpu_devices() {
            let (n_heads, d_head, first) = (3, 5, first.min(n_places));
            let input = |name: &str, n: usize| {
                Input::new(name, [n, n_heads * d_head], layout, &device).view.inner().reshape([n, n_heads, d_head])
            };
            let (pool, new) = (input("pool", n_places), input("new", n_new));
            let expected =
                reference::store::<Dispatch>(pool.clone().into_dispatch(), new.clone().into_dispatch(), first);
            let end = first + n_new;
            // What is behind the new places is room where the pool grew.
            let n_known = end.max(n_places);
            let known = |pool: Tensor<3>| values(pool.narrow(0, 0, n_known));
            let found = ops::store(pool, first, new);
            assert!(found.dims()[0] >= n_known);
            assert_eq!(known(found), known(Tensor::from_dispatch(expected)));
        }
    }

    #[test]
    fn logsumexp(rows in 1_usize..40, columns in 1_usize..200, layout in layout()) {
        for device in cpu_devices() {
            let x = Input::new("x", [rows, columns], layout, &device).view * 9.0;
            let expected = Tensor::from_dispatch(reference::logsumexp::<Dispatch>(x.clone().into_dispatch()));
            assert_near("logsumexp", &values(ops::logsumexp(x.inner())), &values::<1>(expected), 1e-5, 1e-6);
        }
    }
}

const ACTIVATIONS: [Activation; 5] =
    [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Silu];

fn rng(batch_size: usize) -> Option<Dropout> {
    let samples: Vec<u64> = (0..batch_size as u64).map(|row| row << 31 | 5).collect();
    Dropout::new(0.3, DropoutRng::training(7, samples))
}

#[derive(Clone, Copy, Debug)]
enum MaskKind {
    None,
    Keys,
    Full,
}

const MASKS: [MaskKind; 3] = [MaskKind::None, MaskKind::Keys, MaskKind::Full];

#[derive(Clone, Debug)]
struct AttentionCase {
    batch_size: usize,
    n_heads: usize,
    q_length: usize,
    kv_length: usize,
    d_head: usize,
    d_value: usize,
    mask: MaskKind,
    causal: bool,
    dropout: bool,
    layout: Layout,
}

fn attention_case() -> impl Strategy<Value = AttentionCase> {
    let sizes = (1_usize..4, 1_usize..4, 1_usize..20, 1_usize..20, 1_usize..9, 1_usize..9);
    let settings = (prop::sample::select(&MASKS[..]), any::<bool>(), any::<bool>(), layout());
    (sizes, settings).prop_map(|(sizes, (mask, causal, dropout, layout))| {
        let (batch_size, n_heads, q_length, kv_length, d_head, d_value) = sizes;
        AttentionCase { batch_size, n_heads, q_length, kv_length, d_head, d_value, mask, causal, dropout, layout }
    })
}

impl AttentionCase {
    /// With blocked keys at random, and rows of which all are.
    fn mask(&self, device: &Device) -> Mask {
        let device = device.clone().autodiff();
        let random = |n| normal("mask", n).into_iter().map(|x| x > 0.3).collect::<Vec<bool>>();
        match self.mask {
            MaskKind::None => Mask::None,
            MaskKind::Keys => {
                let mut keys = random(self.batch_size * self.kv_length);
                keys[..self.kv_length].fill(true);
                let data = TensorData::new(keys, [self.batch_size, self.kv_length]);
                Mask::Keys(Tensor::<2, Bool>::from_data(data, &device))
            }
            MaskKind::Full => {
                let mut full = random(self.batch_size * self.q_length * self.kv_length);
                full[..self.kv_length].fill(true);
                let data = TensorData::new(full, [self.batch_size, self.q_length, self.kv_length]);
                Mask::Full(Tensor::<3, Bool>::from_data(data, &device))
            }
        }
    }

    fn check(&self, device: &Device) {
        let shapes = [
            [self.batch_size, self.q_length, self.n_heads, self.d_head],
            [self.batch_size, self.kv_length, self.n_heads, self.d_head],
            [self.batch_size, self.kv_length, self.n_heads, self.d_value],
        ];
        let inputs = || {
            let rows = |[b, t, h, d]: [usize; 4]| [b * t, h * d];
            let input = |(name, shape)| Input::new(name, rows(shape), self.layout, device);
            ["q", "k", "v"].into_iter().zip(shapes).map(input).collect()
        };
        let options = || AttentionOptions {
            causal: self.causal,
            dropout: self.dropout.then(|| rng(self.batch_size)).flatten(),
            ..AttentionOptions::new(self.d_head)
        };
        let primitive = || match self.mask(device) {
            Mask::None => MaskPrimitive::<Dispatch>::None,
            Mask::Keys(keys) => MaskPrimitive::Keys(keys.into_dispatch()),
            Mask::Full(full) => MaskPrimitive::Full(full.into_dispatch()),
        };
        let heads = |t: &[Tensor<2>]| [0, 1, 2].map(|i| t[i].clone().reshape(shapes[i]));
        let name = format!("{self:?} on {device:?}");
        let fused = |t: &[Tensor<2>]| {
            let [q, k, v] = heads(t);
            vec![flat(ops::attention(q, k, v, self.mask(device), options()).0)]
        };
        let composed = |t: &[Tensor<2>]| {
            let [q, k, v] = heads(t).map(Tensor::into_dispatch);
            let (out, _) = reference::attention::<Dispatch>(q, k, v, primitive(), options());
            vec![flat(Tensor::<4>::from_dispatch(out))]
        };
        compare(&name, inputs, fused, composed);
        let fused = |t: &[Tensor<2>]| {
            let [q, k, v] = heads(t);
            let (out, weights) = ops::attention_with_weights(q, k, v, self.mask(device), options());
            vec![flat(out), flat(weights)]
        };
        let composed = |t: &[Tensor<2>]| {
            let [q, k, v] = heads(t).map(Tensor::into_dispatch);
            let (out, weights) = reference::attention_with_weights::<Dispatch>(q, k, v, primitive(), options());
            [out, weights].map(|out| flat(Tensor::<4>::from_dispatch(out))).to_vec()
        };
        compare(&format!("{name}, through the weights"), inputs, fused, composed);
    }
}

/// More queries and keys than a tile has, with few heads, whose keys are then handled in parts, and with many.
#[test]
fn attention_over_several_tiles() {
    for (batch_size, n_heads, q_length, kv_length, mask, causal, dropout) in [
        (1, 2, 300, 1100, MaskKind::Keys, false, true),
        (2, 1, 1030, 1030, MaskKind::None, true, false),
        (4, 4, 130, 520, MaskKind::Full, true, true),
    ] {
        let case = AttentionCase {
            batch_size,
            n_heads,
            q_length,
            kv_length,
            d_head: 8,
            d_value: 5,
            mask,
            causal,
            dropout,
            layout: Layout::RowMajor,
        };
        for device in cpu_devices() {
            case.check(&device);
        }
    }
}

/// One output that is not used leaves the others' gradients as they are.
#[test]
fn an_unused_output_has_no_gradient() {
    for device in cpu_devices() {
        let device = device.autodiff();
        let [x, q, k, v] = [[5, 3], [4, 3], [4, 3], [4, 3]].map(|shape| {
            Tensor::<2>::from_data(TensorData::new(vec![0.5_f32; shape[0] * 3], shape), &device).require_grad()
        });
        let [query, _, value] = ops::qkv(x.clone(), [q.clone(), k.clone(), v.clone()], None);
        let grads = (query * value).sum().backward();
        assert!(k.grad(&grads).is_none());
        let [dx, dq, dv] = [x, q, v].map(|leaf| values(leaf.grad(&grads).unwrap()));
        // query = value = 0.75 everywhere: d(query · value) / dx = 4 · 2 · 0.75 · 0.5, and by a weight 5 · 0.75 · 0.5.
        assert!(dx.iter().all(|dx| (dx - 3.0).abs() < 1e-6), "{dx:?}");
        assert!(dq.iter().chain(&dv).all(|dw| (dw - 1.875).abs() < 1e-6), "{dq:?}, {dv:?}");
    }
}

/// Weights that are not trained get no gradient, and the gradients of the others have the same bits as with them.
#[test]
fn feed_forward_with_frozen_weights() {
    for device in cpu_devices() {
        let gradients = |frozen: &[usize]| {
            let shapes =
                [("x", [90, 5]), ("in", [33, 5]), ("out", [7, 33]), ("bias in", [1, 33]), ("bias out", [1, 7])];
            let inputs = shapes.map(|(name, shape)| Input::new(name, shape, Layout::RowMajor, &device).leaf);
            let mut inputs = inputs
                .into_iter()
                .enumerate()
                .map(|(index, leaf)| if frozen.contains(&index) { leaf.set_require_grad(false) } else { leaf });
            let inputs: [Tensor<2>; 5] = std::array::from_fn(|_| inputs.next().unwrap());
            let [x, weight_in, weight_out, bias_in, bias_out] = inputs.clone();
            let options = FeedForwardOptions { activation: Activation::Gelu, dropout: None };
            let biases = Some([&bias_in, &bias_out].map(vector));
            let out = ops::feed_forward(x.reshape([3, 30, 5]), [weight_in, weight_out], biases, options);
            let gradients = (out.clone() * out).sum().backward();
            inputs.map(|leaf| leaf.grad(&gradients).map(values))
        };
        let all = gradients(&[]);
        assert!(all.iter().all(Option::is_some));
        for frozen in [vec![1, 2], vec![1, 2, 3, 4], vec![0, 1, 2], vec![1]] {
            for (index, (found, expected)) in gradients(&frozen).into_iter().zip(&all).enumerate() {
                assert!(
                    if frozen.contains(&index) { found.is_none() } else { found == *expected },
                    "{frozen:?}: {index}"
                );
            }
        }
    }
}
