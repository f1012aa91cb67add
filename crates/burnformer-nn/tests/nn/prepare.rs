//! Prepared modules compute what they did, and are for inference alone.

use crate::support::{all_layer_configs, assert_close, devices, randomised, tensor, values};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Int, Tensor};
use burnformer_nn::{
    DecoderConfig, DecoderInput, EmbeddingConfig, LayerInput, LinearConfig, Lora, LoraConfig, LoraKind, StackConfig,
    is_prepared, prepare,
};
use burnformer_ops::{WeightFormat, is_on_host};

fn f32<M: Module>(module: M) -> M {
    prepare(module, WeightFormat::F32, |_| false).unwrap()
}

#[test]
fn a_stack_is_the_same_but_for_rounding() {
    for device in devices() {
        for config in all_layer_configs() {
            let stack = randomised(StackConfig::new(2, config.with_causal(true)).init(&device));
            let ready = f32(stack.clone());
            assert_eq!((is_prepared(&stack), is_prepared(&ready)), (false, is_on_host(&device)));
            let x = tensor("x", [2, 6, 12], &device);
            let expected = values(stack.forward(LayerInput::new(x.clone())));
            assert_close("stack", &values(ready.forward(LayerInput::new(x.clone()))), &expected, 1e-5);
            let mut cache = ready.cache(None);
            let first = ready.forward_cached(x.clone().narrow(1, 0, 4), &mut cache);
            let last = ready.forward_cached(x.narrow(1, 4, 2), &mut cache);
            assert_close("cached", &values(Tensor::cat(vec![first, last], 1)), &expected, 1e-5);
        }
    }
}

#[test]
fn a_decoder_is_the_same_but_for_rounding() {
    for device in devices() {
        for config in all_layer_configs() {
            let decoder = randomised(DecoderConfig::new(2, config).init(&device));
            let input = || DecoderInput::new(tensor("x", [2, 6, 12], &device), tensor("memory", [2, 5, 12], &device));
            let expected = values(decoder.forward(input()));
            assert_close("decoder", &values(f32(decoder).forward(input())), &expected, 1e-5);
        }
    }
}

/// Weights with an adapter stay, whatever others do.
#[test]
fn adapters_stay_beside_prepared_weights() {
    for device in devices() {
        for config in all_layer_configs() {
            let stack = StackConfig::new(2, config.with_causal(true)).init(&device);
            let is_adapted = |path: &str| ["query.weight", "linear_in.weight"].iter().any(|end| path.ends_with(end));
            let lora = LoraConfig { kind: LoraKind::Linear, rank: 2, scale: 0.7, dropout: 0.0 };
            let stack = randomised(Lora::attach(stack, |path| is_adapted(path).then_some(lora)));
            let x = tensor("x", [2, 6, 12], &device);
            let expected = values(stack.forward(LayerInput::new(x.clone())));
            assert_close("stack", &values(f32(stack).forward(LayerInput::new(x))), &expected, 1e-5);
        }
    }
}

#[test]
fn a_table_gives_logits_and_is_still_looked_up() {
    for device in devices() {
        let table = randomised(EmbeddingConfig::new(11, 5).init(&device));
        let ready = prepare(table.clone(), WeightFormat::F32, |path| path == "weight").unwrap();
        assert_eq!(is_prepared(&ready), is_on_host(&device));
        assert!(!is_prepared(&f32(table.clone())), "no output");
        let (x, bias) = (tensor("x", [2, 3, 5], &device), Some(tensor("bias", [11], &device)));
        let expected = values(table.logits(x.clone(), bias.clone()));
        assert_close("logits", &values(ready.logits(x, bias)), &expected, 1e-5);
        let ids = || Tensor::<2, Int>::from_data([[3, 0, 10], [3, 3, 1]], &device);
        assert_eq!(values(ready.forward(ids())), values(table.forward(ids())));
    }
}

/// Integers in layers: near to what they were rounded from, and every sequence by itself.
#[test]
fn layers_of_integers_are_near_to_those_of_floats() {
    for device in devices().into_iter().filter(is_on_host) {
        for config in all_layer_configs() {
            let stack = randomised(StackConfig::new(2, config.with_causal(true)).init(&device));
            let ready = prepare(stack.clone(), WeightFormat::Int8, |_| false).unwrap();
            assert!(is_prepared(&ready));
            let x = tensor("x", [2, 6, 12], &device);
            let found = values(ready.forward(LayerInput::new(x.clone())));
            let expected = values(f32(stack).forward(LayerInput::new(x.clone())));
            assert_ne!(found, expected, "integers");
            let size = expected.iter().fold(0.0_f64, |size, y| size.max(y.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 0.05 * size, "{found}, {expected} of {size}");
            }
            let alone = values(ready.forward(LayerInput::new(x.narrow(0, 1, 1))));
            // Operators of burn, as those of RMSNorm on ndarray, round by the whole tensor: an integer may become its neighbour.
            for (alone, found) in alone.iter().zip(&found[found.len() / 2..]) {
                assert!((alone - found).abs() <= 0.01 * size, "{alone}, {found} of {size}: a sequence by itself");
            }
        }
    }
}

/// Heads are maps outside of layers.
#[test]
fn maps_outside_of_layers_stay_floats() {
    for device in devices().into_iter().filter(is_on_host) {
        let linear = randomised(LinearConfig::new(7, 5).init(&device));
        let x = tensor("x", [3, 7], &device);
        let ready = prepare(linear.clone(), WeightFormat::Int8, |_| false).unwrap();
        assert_eq!(values(ready.forward(x.clone())), values(f32(linear).forward(x)));
    }
}

#[derive(Default)]
struct InMemory(usize);

impl ModuleVisitor for InMemory {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 += if param.is_initialized() { param.lazy_shape().num_elements() } else { 0 };
    }
}

/// What is saved is the shape alone; preparing again changes nothing.
#[test]
fn the_weights_are_given_up() {
    for device in devices().into_iter().filter(is_on_host) {
        let linear = randomised(LinearConfig::new(7, 5).init(&device));
        let x = tensor("x", [3, 7], &device);
        let ready = f32(linear.clone());
        let again = f32(ready.clone());
        assert_eq!(values(again.forward(x.clone())), values(ready.forward(x.clone())));
        for ready in [&ready, &again] {
            let mut found = InMemory::default();
            ready.visit(&mut found);
            assert_eq!((found.0, ready.weight.lazy_shape().to_vec()), (5, vec![5, 7]));
        }
        // A clone of the unprepared map is not affected.
        assert_close("linear", &values(ready.forward(x.clone())), &values(linear.forward(x)), 1e-5);
    }
}

#[test]
#[should_panic(expected = "`weight` was given up when the model was prepared for inference")]
fn a_weight_that_was_given_up_says_so() {
    let device = devices().into_iter().find(is_on_host).expect("ndarray or flex");
    let _ = f32(randomised(LinearConfig::new(7, 5).init(&device))).weight();
}

#[test]
#[cfg(feature = "wgpu")]
fn a_refusal_names_the_type() {
    for device in devices().into_iter().filter(|device| !is_on_host(device)) {
        let linear = LinearConfig::new(7, 5).init(&device);
        let error = prepare(linear, WeightFormat::Int8, |_| false).unwrap_err();
        assert_eq!(error, burnformer_ops::PrepareError::Device(WeightFormat::Int8));
    }
}
