//! Which parameters are trained, and at which learning rate.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burnformer_nn::parts::is_left_out;

/// Which parameters are trained, and at which learning rate. A parameter that is not trained is not tracked in the steps: it has
/// no gradient and takes part in no norm, and it has no moments in memory and in checkpoints.
///
/// A rule is a function of the parameter's path (`bert.encoder.layers.0.norm_ff.weight`) and of the step alone, so that a
/// resumed run trains what an uninterrupted one does.
pub trait ParameterRule: Send + Sync {
    /// `true` if the parameter at `path` is trained in the step `step`; the first one is 1. The moments of a parameter start
    /// at zero with the first step that trains it, and again when it was not trained in between.
    fn is_trained(&self, path: &str, step: u64) -> bool;

    /// What the learning rate of the schedule is multiplied by for the parameter at `path`: finite, 0 or more.
    fn learning_rate_factor(&self, path: &str) -> f64;
}

/// Every parameter is trained, at the learning rate of the schedule.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllParameters;

impl ParameterRule for AllParameters {
    fn is_trained(&self, _path: &str, _step: u64) -> bool {
        true
    }

    fn learning_rate_factor(&self, _path: &str) -> f64 {
        1.0
    }
}

/// `model` with gradient tracking for what `rule` trains in the step `step` and for nothing else, and whether that changes it.
pub(crate) fn track<M: Module>(rule: &dyn ParameterRule, model: M, step: u64) -> (M, bool) {
    let mut visitor = Differs { rule, step, path: Vec::new(), differs: false };
    model.visit(&mut visitor);
    if !visitor.differs {
        return (model, false);
    }
    (model.map(&mut Track { rule, step, path: Vec::new() }), true)
}

/// Whether a parameter is trained here; one that other ranks hold is not.
fn is_trained<const D: usize>(rule: &dyn ParameterRule, path: &[String], step: u64, param: &Param<Tensor<D>>) -> bool {
    !is_left_out(param) && rule.is_trained(&path.join("."), step)
}

struct Differs<'a> {
    rule: &'a dyn ParameterRule,
    step: u64,
    path: Vec<String>,
    differs: bool,
}

impl ModuleVisitor for Differs<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.differs |= is_trained(self.rule, &self.path, self.step, param) != param.is_require_grad();
    }
}

struct Track<'a> {
    rule: &'a dyn ParameterRule,
    step: u64,
    path: Vec<String>,
}

impl ModuleMapper for Track<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_trained = is_trained(self.rule, &self.path, self.step, &param);
        if param.is_require_grad() == is_trained { param } else { param.set_require_grad(is_trained) }
    }
}
