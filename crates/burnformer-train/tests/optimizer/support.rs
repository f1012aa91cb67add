//! Devices, a small model, gradients of our choice, and golden values.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use burnformer_nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burnformer_ops::DeviceChoice;
use burnformer_train::OptimizerConfig;
use safetensors::SafeTensors;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Every compiled backend. A wgpu build needs a driver to be tested: without one this panics with what to install.
pub(crate) fn devices() -> Vec<Device> {
    let open = |name: &&str| name.parse::<DeviceChoice>().and_then(DeviceChoice::open);
    DeviceChoice::compiled().iter().map(|name| open(name).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// Parameters of one and of two axes, with the shapes of the fixtures.
#[derive(Module, Debug)]
pub(crate) struct Model {
    pub(crate) linear_in: Linear,
    pub(crate) norm: LayerNorm,
    pub(crate) linear_out: Linear,
}

impl Model {
    /// The model with the parameters of the fixture, on `device` with gradients.
    pub(crate) fn new(fixture: &Fixture, device: &Device) -> Self {
        let device = device.clone().autodiff();
        let model = Self {
            linear_in: LinearConfig::new(3, 5).init(&device),
            norm: LayerNormConfig::new(5).init(&device),
            linear_out: LinearConfig::new(5, 2).init(&device),
        };
        model.map(&mut Load { fixture, path: Vec::new() })
    }
}

struct Load<'a> {
    fixture: &'a Fixture,
    path: Vec<String>,
}

impl ModuleMapper for Load<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let data = self.fixture.data(&format!("param.{}", self.path.join(".")));
        let (id, device) = (param.id, param.lazy_device());
        param.transform_for_load(Tensor::from_data(data, &device), id)
    }
}

/// A backward pass that gives each parameter the gradient `gradient(path)`; none where that is `None`.
pub(crate) fn backward<M: Module>(model: &M, gradient: impl Fn(&str) -> Option<TensorData>) -> Gradients {
    struct Loss<F> {
        gradient: F,
        loss: Option<Tensor<1>>,
        path: Vec<String>,
    }
    impl<F: Fn(&str) -> Option<TensorData>> ModuleVisitor for Loss<F> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(gradient) = (self.gradient)(&self.path.join(".")) else { return };
            // A linear loss, whose gradient is the factor exactly.
            let term = (param.val() * Tensor::from_data(gradient, &param.device())).sum();
            self.loss = Some(match self.loss.take() {
                Some(loss) => loss + term,
                None => term,
            });
        }
    }
    let mut visitor = Loss { gradient, loss: None, path: Vec::new() };
    model.visit(&mut visitor);
    visitor.loss.expect("a parameter has a gradient").backward()
}

/// Every parameter's values, by path.
pub(crate) fn parameters<M: Module>(model: &M) -> BTreeMap<String, Vec<f64>> {
    struct Values {
        found: BTreeMap<String, Vec<f64>>,
        path: Vec<String>,
    }
    impl ModuleVisitor for Values {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.insert(self.path.join("."), values(param.val()));
        }
    }
    let mut visitor = Values { found: BTreeMap::new(), path: Vec::new() };
    model.visit(&mut visitor);
    visitor.found
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// `‖found - expected‖ ≤ relative · ‖expected‖`; a NaN never passes.
#[track_caller]
pub(crate) fn assert_near(what: &str, found: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(x, y)| x - y));
    let size = norm(&mut expected.iter().copied());
    assert!(difference <= relative * size, "{what}: differs by {difference:e}, expected norm {size:e}");
}

/// Golden values, made by `fixtures/make_fixtures.py`.
pub(crate) struct Fixture {
    bytes: Vec<u8>,
    pub(crate) config: RunConfig,
}

/// What a fixture was made with.
#[derive(Deserialize)]
pub(crate) struct RunConfig {
    pub(crate) optimizer: OptimizerConfig,
    /// Of each update.
    pub(crate) learning_rates: Vec<f64>,
    pub(crate) n_micro: usize,
    pub(crate) max_norm: Option<f64>,
}

impl Fixture {
    pub(crate) fn open(name: &str) -> Self {
        let path = format!("{}/tests/fixtures/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let config = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["config"]).unwrap();
        Self { bytes, config }
    }

    pub(crate) fn data(&self, name: &str) -> TensorData {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap_or_else(|error| panic!("`{name}`: {error}"));
        let values: Vec<f32> = tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        TensorData::new(values, tensor.shape().to_vec())
    }

    pub(crate) fn expected(&self, name: &str) -> Vec<f64> {
        self.data(name).iter::<f64>().collect()
    }

    /// Gradients of the micro-batch `micro` of the update `step`.
    pub(crate) fn gradients<M: Module>(&self, model: &M, step: usize, micro: usize) -> Gradients {
        backward(model, |path| Some(self.data(&format!("grad.{step}.{micro}.{path}"))))
    }
}
