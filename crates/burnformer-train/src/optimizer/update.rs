//! One update of every parameter.

use super::Optimizer;
use super::config::{AdamConfig, OptimizerConfig, SgdConfig, decay};
use crate::gradients::GradientSums;
use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burnformer_ops::{self as ops, AdamVariant};

/// Maps a model to the updated one.
pub(super) struct Update<'a> {
    pub(super) optimizer: &'a mut Optimizer,
    pub(super) gradients: GradientSums,
    /// By path.
    pub(super) learning_rate: &'a dyn Fn(&str) -> f64,
    pub(super) scale: Option<Tensor<1>>,
    pub(super) path: Vec<String>,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let path = self.path.join(".");
        let (id, tensor, mapper) = param.consume();
        let checkpointing = tensor.gradient_checkpointing_strategy();
        let mut value = tensor.inner();
        let n_before = self.optimizer.n_steps - 1;
        self.optimizer.start_moments(&path, &value, n_before);
        if let Some(gradient) = self.gradients.take(&path) {
            value = self.update(&path, value, gradient);
        }
        // A new leaf has the default strategy, which autodiff refuses to mix with the one of the model's device.
        let mut leaf = Tensor::from_inner(value);
        if let Some(strategy) = checkpointing {
            leaf = leaf.with_gradient_checkpointing_strategy(strategy);
        }
        Param::from_mapped_value(id, leaf.require_grad(), mapper)
    }
}

impl Update<'_> {
    fn update<const D: usize>(&mut self, path: &str, param: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
        match self.optimizer.config {
            OptimizerConfig::Sgd(config) => self.sgd(path, param, gradient, &config),
            OptimizerConfig::Adam(config) => self.adam(path, param, gradient, &config, AdamVariant::Adam),
            OptimizerConfig::AdamW(config) => self.adam(path, param, gradient, &config, AdamVariant::AdamW),
            OptimizerConfig::Lamb(config) => {
                self.adam(path, param, gradient, &config, AdamVariant::Lamb { trust_ratio: D > 1 })
            }
        }
    }

    /// Source: PyTorch's `SGD` without dampening and Nesterov momentum; the learning rate is no part of the momentum, as it
    /// is in Sutskever et al. 2013.
    fn sgd<const D: usize>(
        &mut self,
        path: &str,
        param: Tensor<D>,
        mut gradient: Tensor<D>,
        config: &SgdConfig,
    ) -> Tensor<D> {
        if let Some(scale) = &self.scale {
            gradient = gradient * scale.clone().reshape([1; D]);
        }
        let weight_decay = decay(config.weight_decay, D);
        if weight_decay != 0.0 {
            gradient = gradient + param.clone() * weight_decay;
        }
        if config.momentum != 0.0 {
            gradient = self.take(path, "momentum") * config.momentum + gradient;
            self.put(path, "momentum", gradient.clone());
        }
        param - gradient * (self.learning_rate)(path)
    }

    fn adam<const D: usize>(
        &mut self,
        path: &str,
        param: Tensor<D>,
        gradient: Tensor<D>,
        config: &AdamConfig,
        variant: AdamVariant,
    ) -> Tensor<D> {
        let options = config.options(variant, (self.learning_rate)(path), self.optimizer.n_steps_of(path), D);
        let moments = ["first", "second"].map(|name| self.take(path, name));
        let (param, [first, second]) = ops::adam(param, gradient, moments, self.scale.clone(), options);
        self.put(path, "first", first);
        self.put(path, "second", second);
        param
    }

    /// Takes a moment out of the state, so that the operator has the only handle to it.
    fn take<const D: usize>(&mut self, path: &str, name: &str) -> Tensor<D> {
        let moment = self.optimizer.moments.remove(&format!("{path}.{name}"));
        Tensor::from_dispatch(moment.expect("moments are made before the update"))
    }

    fn put<const D: usize>(&mut self, path: &str, name: &str, moment: Tensor<D>) {
        self.optimizer.moments.insert(format!("{path}.{name}"), moment.into_dispatch());
    }
}

/// Starts the moments of every parameter that is trained.
pub(super) struct Start<'a> {
    pub(super) optimizer: &'a mut Optimizer,
    pub(super) path: Vec<String>,
}

impl ModuleVisitor for Start<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let n_steps = self.optimizer.n_steps;
            self.optimizer.start_moments(&self.path.join("."), &param.val().inner(), n_steps);
        }
    }
}
