//! Gradients of a model by parameter path: summed over micro-batches, measured, clipped.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, ExecutionError, Gradients, Shape, Tensor, TensorData, read_sync};
use burnformer_ops::TransformerOps;
use std::collections::{BTreeMap, BTreeSet};

/// Sums of gradients over the backward passes of one update, by parameter path (`bert.encoder.layers.0.norm_ff.weight`).
#[derive(Debug, Default)]
pub struct GradientSums {
    /// In the order of paths, which is the order of summation in [`Self::norm`].
    sums: BTreeMap<String, DispatchTensor>,
}

impl GradientSums {
    /// No gradients yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `true` if there is no gradient.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// Paths of the parameters with a gradient, in order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.sums.keys().map(String::as_str)
    }

    /// Path and number of elements of every gradient.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.sums.iter().map(|(path, gradient)| (path.as_str(), gradient.shape().num_elements()))
    }

    /// The gradients at the paths for which `is_own` holds, and the others.
    pub(crate) fn partition(mut self, is_own: impl Fn(&str) -> bool) -> (Self, Self) {
        let others = self.sums.extract_if(.., |path, _| !is_own(path)).collect();
        (self, Self { sums: others })
    }

    /// Paths of the gradients that are not finite. Waits for the device.
    pub(crate) fn not_finite(&self) -> Result<BTreeSet<String>, ExecutionError> {
        if self.sums.is_empty() {
            return Ok(BTreeSet::new());
        }
        // Zero times what is not finite is NaN. One transfer for all.
        let zero = |gradient: &DispatchTensor| {
            let n = gradient.shape().num_elements();
            (Tensor::<1>::from_dispatch(Dispatch::float_reshape(gradient.clone(), Shape::from(vec![n]))) * 0.0).sum()
        };
        let zeros = Tensor::cat(self.sums.values().map(zero).collect(), 0).try_into_data()?;
        let paths = self.sums.keys().zip(zeros.iter::<f32>());
        Ok(paths.filter(|(_, zero)| !zero.is_finite()).map(|(path, _)| path.clone()).collect())
    }

    /// Adds the gradients of a backward pass for the parameters of `model`. A parameter without a gradient adds nothing.
    ///
    /// # Panics
    /// If a parameter has another shape than in the passes before.
    pub fn add<M: Module>(&mut self, model: &M, gradients: Gradients) {
        model.visit(&mut Add { sums: &mut self.sums, gradients, path: Vec::new() });
    }

    /// Adds other sums, path by path.
    ///
    /// # Panics
    /// If a parameter has another shape there.
    pub fn merge(&mut self, other: Self) {
        for (path, gradient) in other.sums {
            let sum = match self.sums.remove(&path) {
                Some(sum) => {
                    assert!(sum.shape() == gradient.shape(), "the gradients of `{path}` have different shapes");
                    Dispatch::float_add(sum, gradient)
                }
                None => gradient,
            };
            self.sums.insert(path, sum);
        }
    }

    /// Every gradient multiplied by `factor`, `[1]`.
    #[must_use]
    pub fn scaled(self, factor: &Tensor<1>) -> Self {
        let scaled = |(path, gradient): (String, DispatchTensor)| {
            let ones = Shape::from(vec![1; gradient.shape().num_dims()]);
            let factor = Dispatch::float_reshape(factor.clone().into_dispatch(), ones);
            (path, Dispatch::float_mul(gradient, factor))
        };
        Self { sums: self.sums.into_iter().map(scaled).collect() }
    }

    /// Every gradient as `f32` data by path in order, such as to be sent to another process. Waits for the device.
    ///
    /// # Errors
    /// If the device fails.
    pub fn into_data(self) -> Result<Vec<(String, TensorData)>, ExecutionError> {
        let read = |(path, gradient)| Ok((path, read_sync(Dispatch::float_into_data(gradient))?.convert::<f32>()));
        self.sums.into_iter().map(read).collect()
    }

    /// The gradients of [`Self::into_data`], on `device`.
    #[must_use]
    pub fn from_data(gradients: Vec<(String, TensorData)>, device: &Device) -> Self {
        let device = device.clone().inner();
        let load = |(path, data)| (path, Dispatch::float_from_data(data, device.as_dispatch()));
        Self { sums: gradients.into_iter().map(load).collect() }
    }

    /// Paths of the trainable parameters of `model` without a gradient, in order.
    #[must_use]
    pub fn missing<M: Module>(&self, model: &M) -> Vec<String> {
        trained_parameters(model).into_keys().filter(|path| !self.sums.contains_key(path)).collect()
    }

    /// Euclidean norm of all gradients as one vector, `[1]`, on their device. The order of summation is fixed.
    ///
    /// # Panics
    /// If there is no gradient.
    #[must_use]
    pub fn norm(&self) -> Tensor<1> {
        self.norm_if_any().expect("the norm needs at least one gradient")
    }

    /// [`Self::norm`]; `None` if there is no gradient.
    pub(crate) fn norm_if_any(&self) -> Option<Tensor<1>> {
        Self::norm_of(self.sums.values().map(sum_of_squares))
    }

    /// The norm of gradients with these sums of squares, `[1]` each, in the order of paths.
    pub(crate) fn norm_of(squares: impl Iterator<Item = Tensor<1>>) -> Option<Tensor<1>> {
        Some(squares.reduce(|sum, squares| sum + squares)?.sqrt())
    }

    /// The sum of squares of every gradient, by path in order. Waits for the device.
    pub(crate) fn squares(&self) -> Result<Vec<(String, f32)>, ExecutionError> {
        if self.sums.is_empty() {
            return Ok(Vec::new());
        }
        // One transfer for all.
        let squares = Tensor::cat(self.sums.values().map(sum_of_squares).collect(), 0).try_into_data()?;
        Ok(self.sums.keys().cloned().zip(squares.iter::<f32>()).collect())
    }

    /// Factor of clipping by the global norm: `min(1, max_norm / (norm + 1e-6))`, `[1]`. Nothing is
    /// read back from the device.
    ///
    /// An infinite or undefined norm gives NaN, and an update with it makes every parameter NaN: training that has diverged
    /// shows in the next loss.
    ///
    /// Source: Pascanu et al. 2013, section 3.2; PyTorch's `clip_grad_norm_`, which makes 0 of an infinite norm and goes on.
    #[must_use]
    pub fn clip_factor(norm: Tensor<1>, max_norm: f64) -> Tensor<1> {
        // Zero, but NaN for what is not finite: a quotient by infinity is 0, and not every device keeps NaN in a minimum.
        let poison = norm.clone() * 0.0;
        ((norm + 1e-6).recip() * max_norm).clamp_max(1.0) + poison
    }

    /// Takes the gradient of one parameter out.
    pub(crate) fn take<const D: usize>(&mut self, path: &str) -> Option<Tensor<D>> {
        self.sums.remove(path).map(Tensor::from_dispatch)
    }

    /// The first path whose gradient was not taken out.
    pub(crate) fn first_path(&self) -> Option<&str> {
        self.sums.keys().next().map(String::as_str)
    }
}

fn sum_of_squares(gradient: &DispatchTensor) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::sum_of_squares(gradient.clone()))
}

/// Path and shape of every parameter that is to be trained.
pub(crate) fn trained_parameters<M: Module>(model: &M) -> BTreeMap<String, Shape> {
    let mut visitor = Trained { shapes: BTreeMap::new(), path: Vec::new() };
    model.visit(&mut visitor);
    visitor.shapes
}

struct Add<'a> {
    sums: &'a mut BTreeMap<String, DispatchTensor>,
    gradients: Gradients,
    path: Vec<String>,
}

impl ModuleVisitor for Add<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = param.val().grad_remove(&mut self.gradients) else { return };
        let path = self.path.join(".");
        let sum = match self.sums.remove(&path) {
            Some(sum) => Tensor::<D>::from_dispatch(sum) + gradient,
            None => gradient,
        };
        self.sums.insert(path, sum.into_dispatch());
    }
}

struct Trained {
    shapes: BTreeMap<String, Shape>,
    path: Vec<String>,
}

impl ModuleVisitor for Trained {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.shapes.insert(self.path.join("."), param.shape());
        }
    }
}
