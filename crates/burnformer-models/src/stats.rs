//! Parameters of a model, counted without allocating them.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Path and shape of every float parameter, in the order of the module's fields. Lazy parameters stay lazy, so this is
/// cheap for models of any size.
#[must_use]
pub fn parameters<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut visitor = Shapes { path: Vec::new(), found: Vec::new() };
    module.visit(&mut visitor);
    visitor.found
}

/// Number of elements of all float parameters, each counted once.
#[must_use]
pub fn n_parameters<M: Module>(module: &M) -> usize {
    parameters(module).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

struct Shapes {
    path: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push((self.path.join("."), param.lazy_shape().to_vec()));
    }
}
