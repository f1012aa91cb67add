//! The definitions agree between backends: one generic test over two backends as type parameters.
#![allow(deprecated)] // burn deprecates `NdArray` in the last release that has it.

use crate::support::{assert_close, normal};
use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, TensorData, get_or_init_device_settings, read_sync};
use burnformer_core::random::DropoutRng;
use burnformer_ops::{
    Activation, AdamOptions, AdamVariant, AttentionOptions, CrossEntropyOptions, Dropout, FeedForwardBias,
    FeedForwardOptions, LayerNormOptions, MaskPrimitive, MaybeTensor, Places, QkvBias, reference,
};
use std::marker::PhantomData;

/// Inputs and outputs of definitions on backend `B`.
struct On<B: Backend> {
    outputs: Vec<(String, Vec<f64>)>,
    backend: PhantomData<B>,
}

impl<B: Backend> On<B> {
    fn float(&self, name: &str, shape: &[usize]) -> FloatTensor<B> {
        let values: Vec<f32> = normal(name, shape.iter().product()).into_iter().map(|x| x as f32).collect();
        B::float_from_data(TensorData::new(values, shape), &B::Device::default())
    }

    fn int(&self, values: &[i64], shape: &[usize]) -> IntTensor<B> {
        let device = B::Device::default();
        let dtype = get_or_init_device_settings::<B>(&device).int_dtype;
        B::int_from_data(TensorData::new(values.to_vec(), shape).convert_dtype(dtype.into()), &device)
    }

    fn bool(&self, values: &[bool], shape: &[usize]) -> BoolTensor<B> {
        let device = B::Device::default();
        let dtype = get_or_init_device_settings::<B>(&device).bool_dtype;
        B::bool_from_data(TensorData::new(values.to_vec(), shape).convert_dtype(dtype.into()), &device)
    }

    fn push(&mut self, name: &str, output: FloatTensor<B>) {
        let data = read_sync(B::float_into_data(output)).expect("the output can be read");
        self.outputs.push((name.to_string(), data.iter::<f64>().collect()));
    }

    fn dropout(&self) -> Option<Dropout> {
        Dropout::new(0.3, DropoutRng::training(5, [2, 3]))
    }

    fn run() -> Vec<(String, Vec<f64>)> {
        let mut on = Self { outputs: Vec::new(), backend: PhantomData };
        on.maps();
        on.attentions();
        on.element_wise();
        on.losses();
        on.updates();
        on.outputs
    }

    fn maps(&mut self) {
        let (x, weight, bias) = (self.float("x", &[2, 3, 4]), self.float("w", &[5, 4]), self.float("b", &[5]));
        self.push("linear", reference::linear::<B>(x.clone(), weight.clone(), MaybeTensor::Some(bias.clone())));
        let biases = QkvBias::Some { q: bias.clone(), k: bias.clone(), v: bias };
        let (q, k, v) = reference::qkv::<B>(x, weight.clone(), weight.clone(), weight.clone(), biases);
        self.push("q", q);
        self.push("k", k);
        self.push("v", v);
        let (x, bias) = (self.float("x", &[2, 3, 6]), self.float("bias", &[5]));
        let (weight_in, weight_out) = (self.float("weight", &[5, 6]), self.float("weight", &[5, 5]));
        let biases = FeedForwardBias::Some { input: bias.clone(), output: bias };
        let options = FeedForwardOptions { activation: Activation::Gelu, dropout: self.dropout() };
        self.push("feed_forward", reference::feed_forward::<B>(x, weight_in, weight_out, biases, options));
        let ids = self.int(&[4, 0, 1, 1, 2, 3], &[2, 3]);
        self.push("embedding", reference::embedding::<B>(weight, ids));
    }

    fn attentions(&mut self) {
        let keys = [false, true, false, false, true, true, true, true, true, true];
        let full: Vec<bool> = normal("full", 2 * 3 * 5).into_iter().map(|x| x > 0.5).collect();
        for causal in [false, true] {
            let masks = [
                ("none", MaskPrimitive::None),
                ("keys", MaskPrimitive::Keys(self.bool(&keys, &[2, 5]))),
                ("full", MaskPrimitive::Full(self.bool(&full, &[2, 3, 5]))),
            ];
            for (name, mask) in masks {
                let q = self.float("q", &[2, 3, 4, 7]);
                let (k, v) = (self.float("k", &[2, 5, 4, 7]), self.float("v", &[2, 5, 4, 6]));
                let options = AttentionOptions { causal, dropout: self.dropout(), ..AttentionOptions::new(7) };
                let (out, logsumexp) =
                    reference::attention::<B>(q.clone(), k.clone(), v.clone(), mask.clone(), options.clone());
                let (again, weights) = reference::attention_with_weights::<B>(q, k, v, mask, options);
                let name = format!("attention, {name}, causal {causal}");
                self.push(&name, out);
                self.push(&format!("{name}: logarithm"), logsumexp);
                self.push(&format!("{name}: output with weights"), again);
                self.push(&format!("{name}: weights"), weights);
            }
        }
    }

    fn element_wise(&mut self) {
        let (x, residual) = (self.float("x", &[2, 3, 5]), self.float("residual", &[2, 3, 5]));
        let (weight, bias) = (self.float("weight", &[5]), self.float("bias", &[5]));
        let residual = MaybeTensor::Some(residual);
        let options = LayerNormOptions { eps: 1e-5, dropout: self.dropout() };
        let out = reference::layer_norm::<B>(x.clone(), residual.clone(), weight, bias.clone(), options);
        self.push("layer_norm", out);
        for activation in
            [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Silu]
        {
            let out = reference::bias_activation::<B>(x.clone(), MaybeTensor::Some(bias.clone()), activation);
            self.push(&format!("{activation:?}"), out);
        }
        let dropout = self.dropout().unwrap();
        self.push("dropout", reference::dropout::<B>(x, residual, dropout));
    }

    fn losses(&mut self) {
        for label_smoothing in [0.0, 0.1] {
            let targets = self.int(&[1, -100, 0, 4], &[4]);
            let options = CrossEntropyOptions { label_smoothing, ..CrossEntropyOptions::default() };
            let (sum, count) = reference::cross_entropy::<B>(self.float("logits", &[4, 5]), targets, options);
            self.push(&format!("cross_entropy, smoothing {label_smoothing}"), sum);
            self.push("count", count);
        }
        let [key, value, new, q] = [("key", [5, 2, 3]), ("value", [5, 2, 4]), ("new", [2, 2, 3]), ("q", [3, 4, 3])]
            .map(|(name, shape)| self.float(name, &shape));
        let key = reference::store::<B>(key, new, 3);
        self.push("store", key.clone());
        let places: Places = [&[0, 4, 2][..], &[3], &[]].iter().map(|list| list.iter().copied()).collect();
        self.push("attend_places", reference::attend_places::<B>(q, key, value, places));
        self.push("logsumexp", reference::logsumexp::<B>(self.float("logits", &[4, 5])));
    }

    fn updates(&mut self) {
        let [param, grad, first, root] = ["param", "grad", "first", "root"].map(|name| self.float(name, &[2, 3]));
        let second = B::float_mul(root.clone(), root);
        let scale = MaybeTensor::Some(self.float("scale", &[1]));
        self.push("sum_of_squares", reference::sum_of_squares::<B>(grad.clone()));
        for (name, variant) in [
            ("adam", AdamVariant::Adam),
            ("adamw", AdamVariant::AdamW),
            ("lamb", AdamVariant::Lamb { trust_ratio: true }),
        ] {
            let (learning_rate, beta_1, beta_2, eps, weight_decay) = (0.1, 0.9, 0.99, 1e-6, 0.1);
            let options = AdamOptions { variant, learning_rate, beta_1, beta_2, eps, weight_decay, step: 3 };
            let (p, g, m, v, s) = (param.clone(), grad.clone(), first.clone(), second.clone(), scale.clone());
            let (param, first, second) = reference::adam::<B>(p, g, m, v, s, options);
            self.push(name, param);
            self.push(&format!("{name}: first moment"), first);
            self.push(&format!("{name}: second moment"), second);
        }
    }
}

fn parity<A: Backend, B: Backend>() {
    let (on_a, on_b) = (On::<A>::run(), On::<B>::run());
    assert_eq!(on_a.len(), on_b.len());
    for ((name, a), (_, b)) in on_a.iter().zip(&on_b) {
        assert_close(name, a, b, 1e-5);
    }
}

#[cfg(all(feature = "ndarray", feature = "flex"))]
#[test]
fn ndarray_and_flex_agree() {
    parity::<burn::backend::NdArray, burn::backend::Flex>();
}

#[cfg(all(feature = "ndarray", feature = "wgpu"))]
#[test]
fn ndarray_and_wgpu_agree() {
    parity::<burn::backend::NdArray, burn::backend::Wgpu>();
}

#[cfg(all(feature = "flex", feature = "wgpu"))]
#[test]
fn flex_and_wgpu_agree() {
    parity::<burn::backend::Flex, burn::backend::Wgpu>();
}

#[cfg(feature = "ndarray")]
#[test]
fn ndarray_and_its_autodiff_agree() {
    parity::<burn::backend::NdArray, burn::backend::Autodiff<burn::backend::NdArray>>();
}

#[cfg(feature = "flex")]
#[test]
fn flex_and_its_autodiff_agree() {
    parity::<burn::backend::Flex, burn::backend::Autodiff<burn::backend::Flex>>();
}

#[cfg(feature = "wgpu")]
#[test]
fn wgpu_and_its_autodiff_agree() {
    parity::<burn::backend::Wgpu, burn::backend::Autodiff<burn::backend::Wgpu>>();
}
