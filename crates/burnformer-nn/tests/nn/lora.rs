//! Adapters: in every layer they are what they make of the weights, and weights that are not trained cost nothing.

use crate::support::{
    all_layer_configs, assert_close, assert_near, devices, gradients_there_are as gradients, randomised, tensor, values,
};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Int, Tensor};
use burnformer_nn::{
    DecoderConfig, DecoderInput, DropoutRng, EmbeddingConfig, LayerInput, Lora, LoraConfig, LoraKind, Mask,
    StackConfig, with_activation_checkpointing,
};

/// Adapters of every map and table, whose weights are not trained, with random matrices.
fn adapted<M: Module>(module: M, dropout: f64) -> M {
    let weights = Lora::weights(&module);
    let module = Lora::attach(module, |path| {
        let kind = *weights.get(path)?;
        let dropout = if kind == LoraKind::Linear { dropout } else { 0.0 };
        Some(LoraConfig { kind, rank: 2, scale: 0.7, dropout })
    });
    randomised(module.map(&mut OnlyAdapters { path: Vec::new() }))
}

struct OnlyAdapters {
    path: Vec<String>,
}

impl ModuleMapper for OnlyAdapters {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_adapter = self.path.contains(&"lora".to_owned());
        param.set_require_grad(is_adapter)
    }
}

#[test]
fn an_adapter_is_what_it_makes_of_the_weights() {
    for device in devices() {
        for config in all_layer_configs() {
            let stack = adapted(StackConfig::new(2, config.with_causal(true)).init(&device), 0.0);
            let x = tensor("x", [2, 6, 12], &device);
            let expected = values(stack.clone().materialize().forward(LayerInput::new(x.clone())));
            assert_close("stack", &values(stack.forward(LayerInput::new(x))), &expected, 1e-5);
        }
        let table = adapted(EmbeddingConfig::new(11, 5).init(&device), 0.0);
        let ids = || Tensor::<2, Int>::from_data([[3, 0, 10], [3, 3, 1]], &device);
        assert_close("table", &values(table.forward(ids())), &values(table.clone().materialize().forward(ids())), 1e-6);
    }
}

#[test]
fn cached_decoding_has_the_adapters_too() {
    for device in devices() {
        for config in all_layer_configs() {
            let decoder = adapted(DecoderConfig::new(2, config).init(&device), 0.0);
            let (x, memory) = (tensor("x", [2, 6, 12], &device), tensor("memory", [2, 5, 12], &device));
            let full = decoder.forward(DecoderInput::new(x.clone(), memory.clone()));
            let mut cache = decoder.cache(memory, Mask::None);
            for start in 0..6 {
                let out = decoder.forward_cached(x.clone().slice([0..2, start..start + 1]), &mut cache);
                assert_close("position", &values(out), &values(full.clone().slice([0..2, start..start + 1])), 1e-5);
            }
        }
    }
}

/// Gradients of the adapters equal those of weights that hold what an adapter makes of them, and nothing else has any, with
/// checkpointing and without.
#[test]
fn nothing_but_adapters_has_gradients() {
    for device in devices() {
        let device = device.autodiff();
        for config in all_layer_configs() {
            let stack = adapted(StackConfig::new(2, config).init(&device), 0.0);
            // Of a leaf that is tracked, and of one that is not, as behind tables that are not trained.
            for is_tracked in [true, false] {
                let run = |on: bool| {
                    let x = tensor("x", [2, 6, 12], &device).set_require_grad(is_tracked);
                    let out = with_activation_checkpointing(on, || stack.forward(LayerInput::new(x.clone())));
                    let grads = (out * tensor("cotangent", [2, 6, 12], &device)).sum().backward();
                    (x.grad(&grads).map(values), gradients(&stack, &grads))
                };
                let (dx, found) = run(false);
                assert!(found.keys().all(|path| path.contains(".lora.")), "{:?}", found.keys());
                assert_eq!(found.len(), 2 * Lora::weights(&stack).len());
                assert_eq!(dx.is_some(), is_tracked);
                assert_eq!(run(true), (dx.clone(), found.clone()));
                let Some(dx) = dx else { continue };
                let whole = stack.clone().valid().materialize().train().no_grad();
                let x = tensor("x", [2, 6, 12], &device).require_grad();
                let loss = (whole.forward(LayerInput::new(x.clone())) * tensor("cotangent", [2, 6, 12], &device)).sum();
                assert_near("gradient of the input", &dx, &values(x.grad(&loss.backward()).unwrap()), 1e-4, 1e-5);
            }
        }
    }
}

/// Every adapter has a mask of its own, which checkpointing draws again.
#[test]
fn adapters_have_dropout() {
    for device in devices() {
        let device = device.autodiff();
        for config in all_layer_configs() {
            let stack = adapted(StackConfig::new(2, config).init(&device), 0.4);
            let run = |on: bool, rng: DropoutRng| {
                let x = tensor("x", [2, 6, 12], &device);
                let input = LayerInput { rng, ..LayerInput::new(x) };
                let out = with_activation_checkpointing(on, || stack.forward(input));
                let grads = out.clone().powi_scalar(2).sum().backward();
                (values(out.inner()), gradients(&stack, &grads))
            };
            let found = run(false, DropoutRng::training(7, [3, 4]));
            assert_eq!(run(true, DropoutRng::training(7, [3, 4])), found);
            assert_ne!(run(false, DropoutRng::training(7, [3, 5])).0, found.0);
            assert_ne!(run(false, DropoutRng::off()).0, found.0);
        }
    }
}
