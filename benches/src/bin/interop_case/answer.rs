//! Models of any class, and what they answer: what comes out, gradients, and its weights after some steps of training.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Int, Tensor, TensorData};
use burnformer_models::weights;
use burnformer_nn::{CrossEntropyLossConfig, init};
use burnformer_train::{AdamConfig, GradientSums, Optimizer, OptimizerConfig};

use crate::material::Material;

/// How often the batch is trained on.
const N_STEPS: usize = 3;
const ADAMW: AdamConfig = AdamConfig { learning_rate: 1e-3, beta_1: 0.9, beta_2: 0.999, eps: 1e-8, weight_decay: 0.01 };

/// Makes the folder of a model.
pub(crate) fn folder(models: &Path, name: &str) -> Result<PathBuf> {
    let folder = models.join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Draws biases and norms too, so that none of them can be taken for another. Norm weights lie around 1: with smaller ones
/// gradients of attention are lost in rounding, and by larger ones GELU is driven to where it is flat.
pub(crate) fn random<M: Module>(model: M) -> M {
    let Material { seed, init_std, .. } = Material::read();
    let model = init::by_name(model, seed, |_, _| init::Init::Normal { std: init_std });
    model.map(&mut AddOneToNormWeights { path: Vec::new() })
}

struct AddOneToNormWeights {
    path: Vec<String>,
}

impl ModuleMapper for AddOneToNormWeights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_norm_weight =
            matches!(self.path.as_slice(), [.., norm, weight] if norm.starts_with("norm") && weight == "weight");
        if is_norm_weight { param.map(|weight| weight + 1.0) } else { param }
    }
}

pub(crate) fn loss(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new().init().forward(logits, targets).mean()
}

/// What comes out of a model.
pub(crate) struct Outputs {
    named: Vec<(String, TensorData)>,
    loss: Tensor<1>,
}

impl Outputs {
    pub(crate) fn new(loss: Tensor<1>) -> Self {
        Self { named: vec![("loss".into(), loss.to_data())], loss }
    }

    pub(crate) fn with<const D: usize>(mut self, name: &str, tensor: &Tensor<D>) -> Self {
        self.named.push((name.into(), tensor.to_data()));
        self
    }

    /// With a tensor of every layer.
    pub(crate) fn with_layers<const D: usize>(self, name: &str, layers: &[Tensor<D>]) -> Self {
        let add = |outputs: Self, (layer, tensor)| outputs.with(&format!("{name}.{layer}"), tensor);
        layers.iter().enumerate().fold(self, add)
    }
}

/// Writes outputs, `grad.NAME`, and the weights after training, `step.NAME`, where `name_of` gives the names that
/// transformers has for the paths of parameters.
pub(crate) fn write<M: Module>(
    mut model: M,
    name_of: impl Fn(&str) -> String,
    forward: impl Fn(&M) -> Outputs,
    file: &Path,
) -> Result<()> {
    let Outputs { mut named, loss } = forward(&model);
    let mut gradients = NamedGradients { found: Vec::new(), gradients: &loss.backward(), path: Vec::new() };
    model.visit(&mut gradients);
    named.extend(gradients.found.into_iter().map(|(path, gradient)| (format!("grad.{}", name_of(&path)), gradient)));

    let mut optimizer = Optimizer::new(OptimizerConfig::AdamW(ADAMW));
    for _ in 0..N_STEPS {
        let mut gradients = GradientSums::new();
        gradients.add(&model, forward(&model).loss.backward());
        model = optimizer.step(model, gradients, ADAMW.learning_rate, None);
    }
    Ok(weights::save(&model, |path| format!("step.{}", name_of(path)), named, file)?)
}

/// The gradient of every parameter that has one, by its path.
struct NamedGradients<'a> {
    found: Vec<(String, TensorData)>,
    gradients: &'a Gradients,
    path: Vec<String>,
}

impl ModuleVisitor for NamedGradients<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            self.found.push((self.path.join("."), gradient.into_data()));
        }
    }
}
