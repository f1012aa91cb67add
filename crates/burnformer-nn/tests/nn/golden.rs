//! Values and gradients of PyTorch, made by `fixtures/make_fixtures.py`: outputs to 1e-5, gradients to 1e-4 of each
//! tensor's norm, on every backend.

use crate::support::{assert_close, assert_near, devices, gradients, load, values};
use burn::module::Module;
use burn::tensor::{Bool, Device, Gradients, Int, Tensor, TensorData};
use burnformer_nn::{
    Activation, AttentionInput, CrossEntropyLossConfig, DecoderConfig, DecoderInput, DropoutRng, EmbeddingConfig,
    EncoderConfig, EncoderDecoderConfig, EncoderDecoderInput, FeedForwardConfig, LayerConfig, LayerInput,
    LayerNormConfig, Mask, MlpKind, MultiHeadAttentionConfig, NormKind, NormOrder, RotaryConfig, SinusoidLayout,
    SinusoidalPositionsConfig, StackConfig, WeightedCrossEntropyLoss, binary_cross_entropy, squared_error,
    symmetric_divergence,
};
use burnformer_ops::{self as ops, AttentionOptions};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Outputs, in the largest difference of an element.
const OUTPUT: f64 = 1e-5;
/// Gradients, relative to the norm of the tensor.
const GRADIENT: f64 = 1e-4;
/// The norm that the gradient of a key bias, which vanishes, may have.
const ROUNDING: f64 = 1e-5;

struct Fixture {
    name: String,
    bytes: Vec<u8>,
    config: Value,
    /// Parameters that a module took, to find those left over.
    taken: RefCell<BTreeSet<String>>,
}

impl Fixture {
    fn open(name: &str) -> Self {
        let path = format!("{}/tests/fixtures/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let config = metadata.metadata().as_ref().unwrap()["config"].clone();
        Self {
            name: name.to_string(),
            bytes,
            config: serde_json::from_str(&config).unwrap(),
            taken: RefCell::default(),
        }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).unwrap_or_else(|error| panic!("{}: `{name}`: {error}", self.name));
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }

    fn expected(&self, name: &str) -> Vec<f64> {
        self.floats(name).into_iter().map(f64::from).collect()
    }

    fn shape<const D: usize>(&self, name: &str) -> [usize; D] {
        self.tensors().tensor(name).unwrap().shape().try_into().unwrap()
    }

    fn float<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.floats(name), self.shape::<D>(name)), device)
    }

    /// An input that gets a gradient.
    fn input<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        self.float(&format!("input.{name}"), device).require_grad()
    }

    fn ids<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D, Int> {
        let tensors = self.tensors();
        let bytes = tensors.tensor(name).unwrap().data();
        let ids: Vec<i64> = bytes.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect();
        Tensor::from_data(TensorData::new(ids, self.shape::<D>(name)), device)
    }

    fn mask<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D, Bool> {
        let name = format!("input.{name}");
        let tensors = self.tensors();
        let blocked: Vec<bool> = tensors.tensor(&name).unwrap().data().iter().map(|&byte| byte == 1).collect();
        Tensor::from_data(TensorData::new(blocked, self.shape::<D>(&name)), device)
    }

    fn usize(&self, key: &str) -> usize {
        self.config[key].as_u64().unwrap_or_else(|| panic!("{}: `{key}`", self.name)) as usize
    }

    fn is_causal(&self) -> bool {
        self.config["causal"].as_bool().unwrap()
    }

    fn activation(&self) -> Activation {
        serde_json::from_value(self.config["activation"].clone()).unwrap()
    }

    fn layer(&self) -> LayerConfig {
        let norm_order = match self.config["norm"].as_str() {
            Some("post") => NormOrder::Post,
            Some("pre") => NormOrder::Pre,
            other => panic!("{}: norm {other:?}", self.name),
        };
        LayerConfig::new(self.usize("d_model"), self.usize("n_heads"), self.usize("d_ff"))
            .with_activation(self.activation())
            .with_norm_order(norm_order)
            .with_norm_eps(self.config["eps"].as_f64().unwrap())
    }

    /// `module` with the fixture's parameters, all of them.
    fn load<M: Module>(&self, module: M) -> M {
        let module = load(module, |path, shape| {
            let name = format!("param.{path}");
            assert_eq!(self.tensors().tensor(&name).unwrap().shape(), shape, "{}: `{name}`", self.name);
            self.taken.borrow_mut().insert(name.clone());
            self.floats(&name)
        });
        let tensors = self.tensors();
        let all = tensors.names().into_iter().filter(|name| name.starts_with("param.")).map(str::to_string);
        assert_eq!(*self.taken.borrow(), all.collect(), "{}: parameters", self.name);
        module
    }

    fn check_output<const D: usize>(&self, name: &str, output: Tensor<D>, device: &Device) {
        assert_eq!(output.dims(), self.shape::<D>(name), "{}: shape of `{name}`", self.name);
        assert_close(&self.at(name, device), &values(output), &self.expected(name), OUTPUT);
    }

    /// Compares the output, and runs the backward pass of its sum weighted with the cotangent.
    fn backward<const D: usize>(&self, name: &str, output: Tensor<D>, device: &Device) -> Gradients {
        self.check_output(&format!("output.{name}"), output.clone(), device);
        (output * self.float(&format!("cotangent.{name}"), device)).sum().backward()
    }

    fn check_input<const D: usize>(&self, name: &str, input: &Tensor<D>, grads: &Gradients, device: &Device) {
        let name = format!("grad.input.{name}");
        let found = values(input.grad(grads).unwrap_or_else(|| panic!("{}: no `{name}`", self.name)));
        assert_near(&self.at(&name, device), &found, &self.expected(&name), GRADIENT, 0.0);
    }

    fn check_parameters<M: Module>(&self, module: &M, grads: &Gradients, device: &Device) {
        for (path, found) in gradients(module, grads) {
            let name = format!("grad.param.{path}");
            let absolute = if path.ends_with("key.bias") { ROUNDING } else { 0.0 };
            assert_near(&self.at(&name, device), &found, &self.expected(&name), GRADIENT, absolute);
        }
    }

    fn check_attn_weights(&self, name: &str, weights: Vec<Tensor<4>>, device: &Device) {
        assert_eq!(weights.len(), self.usize("n_layers"), "{}: layers", self.name);
        for (layer, weights) in weights.into_iter().enumerate() {
            self.check_output(&format!("output.{name}.{layer}"), weights, device);
        }
    }

    fn at(&self, name: &str, device: &Device) -> String {
        format!("{}: `{name}` on {device:?}", self.name)
    }
}

/// Runs `check` for every fixture on every backend.
fn on_every_device(names: &[&str], check: impl Fn(&Fixture, &Device)) {
    for device in devices() {
        for name in names {
            check(&Fixture::open(name), &device.clone().autodiff());
        }
    }
}

#[test]
fn attention() {
    let names =
        ["none", "keys", "full", "causal", "keys_causal", "causal_offset"].map(|kind| format!("attention_{kind}"));
    on_every_device(&names.each_ref().map(String::as_str), |fixture, device| {
        let inputs = ["q", "k", "v"].map(|name| fixture.input::<4>(name, device));
        let mask = || match fixture.config["mask"].as_str().unwrap() {
            "none" => Mask::None,
            "keys" => Mask::Keys(fixture.mask("mask", device)),
            "full" => Mask::Full(fixture.mask("mask", device)),
            other => panic!("mask {other}"),
        };
        let options = || AttentionOptions { causal: fixture.is_causal(), ..AttentionOptions::new(4) };
        // PyTorch has heads in front of positions.
        let [q, k, v] = inputs.clone().map(|x| x.swap_dims(1, 2));
        let (out, logsumexp) = ops::attention(q.clone(), k.clone(), v.clone(), mask(), options());
        let out = out.swap_dims(1, 2);
        let (again, weights) = ops::attention_with_weights(q, k, v, mask(), options());
        fixture.check_output("output.weights", weights, device);
        fixture.check_output("output.logsumexp", logsumexp, device);
        fixture.check_output("output.out", again.swap_dims(1, 2), device);
        let grads = fixture.backward("out", out, device);
        for (name, input) in ["q", "k", "v"].iter().zip(&inputs) {
            fixture.check_input(name, input, &grads, device);
        }
    });
}

#[test]
fn multi_head_attention() {
    on_every_device(&["multi_head_attention", "multi_head_attention_self"], |fixture, device| {
        let config = MultiHeadAttentionConfig::new(fixture.usize("d_model"), fixture.usize("n_heads"));
        let module = fixture.load(config.init(device));
        let is_self = fixture.name.ends_with("self");
        let names: &[&str] = if is_self { &["x"] } else { &["query", "key", "value"] };
        let inputs: Vec<_> = names.iter().map(|name| fixture.input::<3>(name, device)).collect();
        let input = || match inputs.as_slice() {
            [x] => AttentionInput::self_attention(x.clone()).causal(),
            [q, k, v] => {
                let mask = Mask::Keys(fixture.mask("mask", device));
                AttentionInput::new(q.clone(), k.clone(), v.clone()).mask(mask)
            }
            _ => unreachable!(),
        };
        let (out, weights) = module.forward_with_attn_weights(input());
        fixture.check_output("output.out", out, device);
        fixture.check_output("output.weights", weights, device);
        let grads = fixture.backward("out", module.forward(input()), device);
        for (name, input) in names.iter().zip(&inputs) {
            fixture.check_input(name, input, &grads, device);
        }
        fixture.check_parameters(&module, &grads, device);
    });
}

#[test]
fn positions() {
    on_every_device(&["positions"], |fixture, device| {
        let layouts = [("interleaved", SinusoidLayout::Interleaved), ("halves", SinusoidLayout::Halves)];
        for (name, layout) in layouts {
            for (suffix, d_model) in [("", fixture.usize("d_model")), ("_odd", fixture.usize("d_model_odd"))] {
                let n = fixture.usize("n_positions");
                let positions = SinusoidalPositionsConfig::new(n, d_model).with_layout(layout).init(device);
                let name = format!("output.{name}{suffix}");
                fixture.check_output(&name, positions.forward(0, n).squeeze::<2>(), device);
            }
        }
    });
}

#[test]
fn embedding() {
    on_every_device(&["embedding"], |fixture, device| {
        let module = EmbeddingConfig::new(fixture.usize("n_vocab"), fixture.usize("d_model")).init(device);
        let module = fixture.load(module);
        let out = module.forward(fixture.ids("input.ids", device));
        let scale = (fixture.usize("d_model") as f64).sqrt();
        fixture.check_output("output.out_scaled", out.clone() * scale, device);
        let grads = fixture.backward("out", out, device);
        fixture.check_parameters(&module, &grads, device);
    });
}

#[test]
fn layer_norm() {
    on_every_device(&["layer_norm"], |fixture, device| {
        let config = LayerNormConfig::new(fixture.usize("d_model")).with_eps(fixture.config["eps"].as_f64().unwrap());
        let module = fixture.load(config.init(device));
        let x = fixture.input::<3>("x", device);
        let grads = fixture.backward("out", module.forward(x.clone()), device);
        fixture.check_input("x", &x, &grads, device);
        fixture.check_parameters(&module, &grads, device);
    });
}

/// Single precision rounds an input around 1000 by up to 3e-5, and the mean by as much: outputs to 1e-3, gradients to 1e-3 of
/// their norm.
#[test]
fn layer_norm_of_rows_far_from_zero() {
    on_every_device(&["layer_norm_large_mean"], |fixture, device| {
        let module = fixture.load(LayerNormConfig::new(fixture.usize("d_model")).init(device));
        let x = fixture.input::<3>("x", device);
        let out = module.forward(x.clone());
        assert_close(&fixture.at("out", device), &values(out.clone()), &fixture.expected("output.out"), 1e-3);
        let grads = (out * fixture.float("cotangent.out", device)).sum().backward();
        let found = gradients(&module, &grads).into_iter().map(|(path, found)| (format!("grad.param.{path}"), found));
        for (name, found) in found.chain([("grad.input.x".to_string(), values(x.grad(&grads).unwrap()))]) {
            assert_near(&fixture.at(&name, device), &found, &fixture.expected(&name), 1e-3, 0.0);
        }
    });
}

#[test]
fn activations() {
    on_every_device(&["activation"], |fixture, device| {
        let activations = [("relu", Activation::Relu), ("gelu", Activation::Gelu), ("gelu_tanh", Activation::GeluTanh)];
        for (name, activation) in activations {
            let x = fixture.input::<1>("x", device);
            let grads = fixture.backward(name, ops::bias_activation(x.clone(), None, activation), device);
            let name = format!("grad.{name}.x");
            let found = values(x.grad(&grads).unwrap());
            assert_near(&fixture.at(&name, device), &found, &fixture.expected(&name), GRADIENT, 0.0);
        }
    });
}

#[test]
fn feed_forward() {
    let names = ["feed_forward_relu", "feed_forward_gelu", "feed_forward_gelu_tanh"];
    on_every_device(&names, |fixture, device| {
        let config = FeedForwardConfig::new(fixture.usize("d_model"), fixture.usize("d_ff"));
        let module = fixture.load(config.with_activation(fixture.activation()).init(device));
        let x = fixture.input::<3>("x", device);
        let grads = fixture.backward("out", module.forward(x.clone(), DropoutRng::off()), device);
        fixture.check_input("x", &x, &grads, device);
        fixture.check_parameters(&module, &grads, device);
    });
}

#[test]
fn encoder_layer() {
    on_every_device(&["encoder_layer_post_norm", "encoder_layer_pre_norm"], |fixture, device| {
        let module = fixture.load(fixture.layer().init(device));
        let x = fixture.input::<3>("x", device);
        let mask = Mask::Keys(fixture.mask("mask", device));
        let out = module.forward(LayerInput { mask, ..LayerInput::new(x.clone()) });
        let grads = fixture.backward("out", out, device);
        fixture.check_input("x", &x, &grads, device);
        fixture.check_parameters(&module, &grads, device);
    });
}

#[test]
fn encoder() {
    on_every_device(&["encoder_post_norm", "encoder_pre_norm"], |fixture, device| {
        let module = fixture.load(EncoderConfig::new(fixture.usize("n_layers"), fixture.layer()).init(device));
        let x = fixture.input::<3>("x", device);
        let mask = Mask::Keys(fixture.mask("mask", device));
        let (again, weights) = module.forward_with_attn_weights(x.clone(), mask.clone(), DropoutRng::off());
        fixture.check_output("output.out", again, device);
        fixture.check_attn_weights("attn_weights", weights, device);
        let grads = fixture.backward("out", module.forward(x.clone(), mask, DropoutRng::off()), device);
        fixture.check_input("x", &x, &grads, device);
        fixture.check_parameters(&module, &grads, device);
    });
}

fn decoder_input(fixture: &Fixture, x: &Tensor<3>, memory: &Tensor<3>, device: &Device) -> DecoderInput {
    DecoderInput {
        mask: Mask::Keys(fixture.mask("target_mask_pad", device)),
        memory_mask: Mask::Keys(fixture.mask("memory_mask_pad", device)),
        ..DecoderInput::new(x.clone(), memory.clone())
    }
}

#[test]
fn decoder_layer() {
    on_every_device(&["decoder_layer_post_norm", "decoder_layer_pre_norm"], |fixture, device| {
        let layer = fixture.layer().with_causal(true).with_cross_attention(true);
        let module = fixture.load(layer.init(device));
        let (x, memory) = (fixture.input::<3>("x", device), fixture.input::<3>("memory", device));
        let out = module.forward(decoder_input(fixture, &x, &memory, device).into());
        let grads = fixture.backward("out", out, device);
        fixture.check_input("x", &x, &grads, device);
        fixture.check_input("memory", &memory, &grads, device);
        fixture.check_parameters(&module, &grads, device);
    });
}

#[test]
fn decoder() {
    on_every_device(&["decoder_post_norm", "decoder_pre_norm"], |fixture, device| {
        let module = fixture.load(DecoderConfig::new(fixture.usize("n_layers"), fixture.layer()).init(device));
        let (x, memory) = (fixture.input::<3>("x", device), fixture.input::<3>("memory", device));
        let (again, weights) = module.forward_with_attn_weights(decoder_input(fixture, &x, &memory, device));
        fixture.check_output("output.out", again, device);
        fixture.check_attn_weights("self_attn_weights", weights.self_attention, device);
        fixture.check_attn_weights("cross_attn_weights", weights.cross_attention, device);
        let out = module.forward(decoder_input(fixture, &x, &memory, device));
        let grads = fixture.backward("out", out, device);
        fixture.check_input("x", &x, &grads, device);
        fixture.check_input("memory", &memory, &grads, device);
        fixture.check_parameters(&module, &grads, device);
    });
}

#[test]
fn encoder_decoder() {
    on_every_device(&["encoder_decoder_post_norm", "encoder_decoder_pre_norm"], |fixture, device| {
        let layers = [fixture.usize("n_layers_encoder"), fixture.usize("n_layers_decoder")];
        let module = EncoderDecoderConfig::new(layers[0], layers[1], fixture.layer()).init(device);
        let module = fixture.load(module);
        let (source, target) = (fixture.input::<3>("source", device), fixture.input::<3>("target", device));
        let input = || EncoderDecoderInput {
            source: source.clone(),
            target: target.clone(),
            source_mask_pad: Some(fixture.mask("source_mask_pad", device)),
            target_mask_pad: Some(fixture.mask("target_mask_pad", device)),
            rng: DropoutRng::off(),
        };
        let memory = module.encoder.forward(
            source.clone(),
            Mask::Keys(fixture.mask("source_mask_pad", device)),
            DropoutRng::off(),
        );
        fixture.check_output("output.memory", memory, device);
        let (with_weights, _) = module.forward_with_attn_weights(input());
        fixture.check_output("output.out", with_weights, device);
        let grads = fixture.backward("out", module.forward(input()), device);
        fixture.check_input("source", &source, &grads, device);
        fixture.check_input("target", &target, &grads, device);
        fixture.check_parameters(&module, &grads, device);
    });
}

/// Every option of a layer at once, as in transformers' Llama.
#[test]
fn llama_stack() {
    on_every_device(&["llama_stack", "llama_stack_bias"], |fixture, device| {
        let bias = fixture.config["bias"].as_bool().unwrap();
        let rotary = RotaryConfig::new(fixture.usize("max_seq_length"));
        let layer = LayerConfig::new(fixture.usize("d_model"), fixture.usize("n_heads"), fixture.usize("d_ff"))
            .with_activation(Activation::Silu)
            .with_norm_order(NormOrder::Pre)
            .with_norm_eps(fixture.config["eps"].as_f64().unwrap())
            .with_norm(NormKind::RmsNorm)
            .with_mlp(MlpKind::Glu)
            .with_attention_bias(bias)
            .with_mlp_bias(bias)
            .with_d_head(Some(fixture.usize("d_head")))
            .with_n_kv_heads(Some(fixture.usize("n_kv_heads")))
            .with_rotary(Some(rotary.with_theta(fixture.config["theta"].as_f64().unwrap())))
            .with_causal(true);
        let module = fixture.load(StackConfig::new(fixture.usize("n_layers"), layer).init(device));
        let x = fixture.input::<3>("x", device);
        let input = || LayerInput { mask: Mask::Keys(fixture.mask("mask", device)), ..LayerInput::new(x.clone()) };
        let (again, weights) = module.forward_with_attn_weights(input());
        fixture.check_output("output.out", again, device);
        fixture.check_attn_weights("attn_weights", weights.self_attention, device);
        let grads = fixture.backward("out", module.forward(input()), device);
        fixture.check_input("x", &x, &grads, device);
        fixture.check_parameters(&module, &grads, device);
    });
}

#[test]
fn cross_entropy() {
    on_every_device(&["cross_entropy"], |fixture, device| {
        let smoothing = fixture.config["label_smoothing"].as_f64().unwrap();
        for (name, label_smoothing) in [("sum_0", 0.0), ("sum_smooth", smoothing)] {
            let logits = fixture.input::<2>("logits", device);
            let config = CrossEntropyLossConfig::new()
                .with_ignore(fixture.config["ignore_index"].as_i64().unwrap())
                .with_label_smoothing(label_smoothing);
            let loss = config.init().forward(logits.clone(), fixture.ids("input.targets", device));
            fixture.check_output(&format!("output.{name}"), loss.sum.clone(), device);
            fixture.check_output("output.count", loss.count, device);
            let grads = loss.sum.backward();
            let name = format!("grad.{name}.logits");
            let found = values(logits.grad(&grads).unwrap());
            assert_near(&fixture.at(&name, device), &found, &fixture.expected(&name), GRADIENT, 0.0);
        }
    });
}

#[test]
fn losses_of_labels_and_scores() {
    on_every_device(&["label_losses"], |fixture, device| {
        let smoothing = fixture.config["label_smoothing"].as_f64().unwrap();
        let weights = fixture.config["weights"].as_array().unwrap();
        let weights: Vec<f32> = weights.iter().map(|weight| weight.as_f64().unwrap() as f32).collect();
        let targets = || fixture.ids("input.targets", device);
        let weighted = |logits, e| WeightedCrossEntropyLoss::new(weights.clone(), e).forward(logits, targets());
        let other = |name: &str| fixture.input::<2>(name, device).detach();
        type Loss<'a> = &'a dyn Fn(Tensor<2>) -> Tensor<1>;
        let losses: [(&str, Loss<'_>); 6] = [
            ("weighted", &|logits| weighted(logits, 0.0).sum),
            ("weighted_smooth", &|logits| weighted(logits, smoothing).sum),
            ("weighted_mean", &|logits| {
                let loss = weighted(logits, smoothing);
                loss.sum / loss.count
            }),
            ("binary", &|logits| binary_cross_entropy(logits, other("labels"))),
            ("squared", &|logits| squared_error(logits, other("scores"))),
            ("divergence", &|logits| symmetric_divergence(logits, other("other"))),
        ];
        for (name, loss) in losses {
            let logits = fixture.input::<2>("logits", device);
            let loss = loss(logits.clone());
            fixture.check_output(&format!("output.{name}"), loss.clone(), device);
            let grads = loss.backward();
            let name = format!("grad.{name}.logits");
            let found = values(logits.grad(&grads).unwrap());
            assert_near(&fixture.at(&name, device), &found, &fixture.expected(&name), GRADIENT, 0.0);
        }
    });
}

/// As a logit of a confident model may be.
#[test]
fn the_binary_loss_of_large_logits_is_finite() {
    for device in crate::support::devices() {
        let device = device.autodiff();
        let logits = Tensor::<1>::from_floats([200.0, -200.0, 200.0, -200.0], &device).require_grad();
        let targets = Tensor::<1>::from_floats([1.0, 0.0, 0.0, 1.0], &device);
        let loss = binary_cross_entropy(logits.clone(), targets);
        let grads = loss.backward();
        assert_eq!(values(loss), [400.0]);
        assert_eq!(values(logits.grad(&grads).unwrap()), [0.0, 0.0, 1.0, -1.0]);
    }
}
