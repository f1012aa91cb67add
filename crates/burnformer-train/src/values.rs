//! Values of a model's parameters by path.

use std::collections::BTreeMap;

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The parameters of `model` whose paths are wanted, without gradient tracking.
pub(crate) fn values<M: Module>(model: &M, is_wanted: &dyn Fn(&str) -> bool) -> BTreeMap<String, DispatchTensor> {
    collect(model, is_wanted, false)
}

/// The parameters of `model` whose paths are wanted and that are trained, tracked as there.
pub(crate) fn tracked<M: Module>(model: &M, is_wanted: &dyn Fn(&str) -> bool) -> BTreeMap<String, DispatchTensor> {
    collect(model, is_wanted, true)
}

fn collect<M: Module>(
    model: &M,
    is_wanted: &dyn Fn(&str) -> bool,
    is_tracked: bool,
) -> BTreeMap<String, DispatchTensor> {
    let mut visitor = Collect { is_wanted, is_tracked, values: BTreeMap::new(), path: Vec::new() };
    model.visit(&mut visitor);
    visitor.values
}

/// `model` with other values for the parameters for which `values` has one by path. What was tracked stays tracked.
pub(crate) fn replace<M: Module>(model: M, values: &mut dyn FnMut(&str) -> Option<DispatchTensor>) -> M {
    model.map(&mut Replace { values, path: Vec::new() })
}

struct Collect<'a> {
    is_wanted: &'a dyn Fn(&str) -> bool,
    /// Only those that are trained, with their tracking.
    is_tracked: bool,
    values: BTreeMap<String, DispatchTensor>,
    path: Vec<String>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if !(self.is_wanted)(&path) || (self.is_tracked && !param.is_require_grad()) {
            return;
        }
        let value = if self.is_tracked { param.val() } else { param.val().inner() };
        self.values.insert(path, value.into_dispatch());
    }
}

struct Replace<'a> {
    values: &'a mut dyn FnMut(&str) -> Option<DispatchTensor>,
    path: Vec<String>,
}

impl ModuleMapper for Replace<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = (self.values)(&self.path.join(".")) else { return param };
        let (id, tensor, mapper) = param.consume();
        let (is_tracked, strategy) = (tensor.is_require_grad(), tensor.gradient_checkpointing_strategy());
        let mut value = Tensor::<D>::from_dispatch(value);
        // A new leaf has the default strategy, which autodiff refuses to mix with the one of the model's device.
        if let Some(strategy) = strategy {
            value = Tensor::from_inner(value).with_gradient_checkpointing_strategy(strategy);
        }
        Param::from_mapped_value(id, if is_tracked { value.require_grad() } else { value }, mapper)
    }
}
