//! Devices, numbers, comparisons, and parameters by name.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use burnformer_core::random::{Key, Purpose, Stream};
use burnformer_nn::{Activation, LayerConfig, MlpKind, NormKind, NormOrder, RotaryConfig, init};
use burnformer_ops::DeviceChoice;
use std::collections::BTreeMap;

/// Every compiled backend. A wgpu build needs a driver to be tested: without one this panics with what to install.
pub(crate) fn devices() -> Vec<Device> {
    let open = |name: &&str| name.parse::<DeviceChoice>().and_then(DeviceChoice::open);
    DeviceChoice::compiled().iter().map(|name| open(name).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// Standard normal numbers, a function of `name`.
pub(crate) fn tensor<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut stream = Stream::new(Key::new(0, Purpose::Weights, name), 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Both norm orders of a small layer all of whose sizes differ; dropout everywhere, where there is noise.
pub(crate) fn layer_configs() -> [LayerConfig; 2] {
    [(NormOrder::Post, Activation::Relu), (NormOrder::Pre, Activation::Gelu)].map(|(norm_order, activation)| {
        LayerConfig::new(12, 3, 20)
            .with_norm_order(norm_order)
            .with_activation(activation)
            .with_dropout(0.2)
            .with_attention_dropout(0.3)
            .with_activation_dropout(0.25)
    })
}

/// [`layer_configs`], and one with every option of a modern layer: heads that share keys and values and are as wide
/// together as the model twice, rotary positions, a gate, no bias.
pub(crate) fn all_layer_configs() -> Vec<LayerConfig> {
    let [_, pre] = layer_configs();
    let modern = LayerConfig { n_heads: 6, ..pre }
        .with_activation(Activation::Silu)
        .with_norm(NormKind::RmsNorm)
        .with_mlp(MlpKind::Glu)
        .with_attention_bias(false)
        .with_mlp_bias(false)
        .with_d_head(Some(4))
        .with_n_kv_heads(Some(2))
        .with_rotary(Some(RotaryConfig::new(9).with_theta(100.0)));
    layer_configs().into_iter().chain([modern]).collect()
}

/// Every matrix and bias random, so that nothing is hidden by a zero; norm weights one.
pub(crate) fn randomised<M: Module>(module: M) -> M {
    init::by_name(module, 11, |path: &str, shape: &[usize]| match init::normal(0.3)(path, shape) {
        init::Init::Constant(0.0) => init::Init::Normal { std: 0.5 },
        other => other,
    })
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// `‖found - expected‖ ≤ relative · ‖expected‖ + absolute`; a NaN never passes.
#[track_caller]
pub(crate) fn assert_near(what: &str, found: &[f64], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    let difference = norm(found.iter().zip(expected).map(|(x, y)| x - y));
    let size = norm(expected.iter().copied());
    let is_near = difference <= relative * size + absolute;
    assert!(is_near, "{what}: differs by {difference:e}, expected norm {size:e}");
}

/// A few roundings of `f32`: what an absolute tolerance leaves out of values above 10.
const RELATIVE: f64 = 5e-7;

/// Every element differs by no more than `absolute` and a few roundings; a NaN never passes.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], absolute: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    for (index, (x, y)) in found.iter().zip(expected).enumerate() {
        let tolerance = absolute + RELATIVE * y.abs();
        let is_close = x == y || (x - y).abs() <= tolerance;
        assert!(is_close, "{what}: element {index} is {x}, expected {y} within {tolerance:e}");
    }
}

/// What is found at each parameter of a module, by path.
pub(crate) struct ByPath<F> {
    path: Vec<String>,
    read: F,
    found: BTreeMap<String, Vec<f64>>,
}

pub(crate) trait Read {
    fn read<const D: usize>(&self, path: &str, param: &Param<Tensor<D>>) -> Vec<f64>;
}

impl<F: Read> ModuleVisitor for ByPath<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let values = self.read.read(&path, param);
        self.found.insert(path, values);
    }
}

pub(crate) fn by_path<M: Module>(module: &M, read: impl Read) -> BTreeMap<String, Vec<f64>> {
    let mut visitor = ByPath { path: Vec::new(), read, found: BTreeMap::new() };
    module.visit(&mut visitor);
    visitor.found
}

struct Values;

impl Read for Values {
    fn read<const D: usize>(&self, _path: &str, param: &Param<Tensor<D>>) -> Vec<f64> {
        values(param.val())
    }
}

/// Every parameter's values.
pub(crate) fn parameters<M: Module>(module: &M) -> BTreeMap<String, Vec<f64>> {
    by_path(module, Values)
}

impl Read for &Gradients {
    fn read<const D: usize>(&self, path: &str, param: &Param<Tensor<D>>) -> Vec<f64> {
        values(param.val().grad(self).unwrap_or_else(|| panic!("`{path}` gets no gradient")))
    }
}

/// Every parameter's gradient; panics where there is none.
pub(crate) fn gradients<M: Module>(module: &M, grads: &Gradients) -> BTreeMap<String, Vec<f64>> {
    by_path(module, grads)
}

/// Sets every parameter from `source`, by path and shape.
pub(crate) fn load<M: Module>(module: M, source: impl Fn(&str, &[usize]) -> Vec<f32>) -> M {
    struct Load<F> {
        path: Vec<String>,
        source: F,
    }
    impl<F: Fn(&str, &[usize]) -> Vec<f32>> ModuleMapper for Load<F> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let shape = param.lazy_shape();
            let data = TensorData::new((self.source)(&self.path.join("."), &shape), shape);
            let id = param.id;
            let tensor = Tensor::from_data(data, &param.lazy_device());
            param.transform_for_load(tensor, id)
        }
    }
    module.map(&mut Load { path: Vec::new(), source })
}

/// Gradients by path of those parameters that have one.
pub(crate) fn gradients_there_are<M: Module>(module: &M, grads: &Gradients) -> BTreeMap<String, Vec<f64>> {
    struct Visitor<'a> {
        path: Vec<String>,
        grads: &'a Gradients,
        found: BTreeMap<String, Vec<f64>>,
    }
    impl ModuleVisitor for Visitor<'_> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.grads) {
                self.found.insert(self.path.join("."), values(gradient));
            }
        }
    }
    let mut visitor = Visitor { path: Vec::new(), grads, found: BTreeMap::new() };
    module.visit(&mut visitor);
    visitor.found
}
