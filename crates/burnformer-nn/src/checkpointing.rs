//! Activation checkpointing: a layer keeps its input alone, and runs once more in the backward pass.
//!
//! Source: Chen et al. 2016, with a layer as the segment. Dropout masks are functions of their place, so both runs draw the
//! same ones.

use crate::layer::{Context, ProjectedMemory};
use crate::{DropoutRng, Layer, Mask, Memory};
use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{GradientCheckpointingStrategy, Gradients, Tensor};
use burnformer_ops as ops;
use std::cell::Cell;
use std::slice;

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
}

/// Calls `body`, in which stacks on this thread use activation checkpointing if `on` is true: their layers keep their inputs
/// alone, and the backward pass runs each of them once more. Outputs and gradients have the same bits on a CPU, and are equal but for
/// rounding on a GPU.
pub fn with_activation_checkpointing<R>(on: bool, body: impl FnOnce() -> R) -> R {
    /// Restores the former choice when dropped, also during a panic.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ON.set(self.0);
        }
    }
    let _before = Restore(ON.replace(on));
    body()
}

/// How the gradients of `x` are tracked, if a layer is to run on it with checkpointing.
pub(crate) fn strategy(x: &Tensor<3>) -> Option<GradientCheckpointingStrategy> {
    if ON.get() { x.gradient_checkpointing_strategy() } else { None }
}

/// [`Layer::forward`] on `x`, which is tracked by `strategy`.
pub(crate) fn run(
    layer: &Layer,
    x: Tensor<3>,
    mask: &Mask,
    memory: Option<&Memory>,
    rng: DropoutRng,
    strategy: GradientCheckpointingStrategy,
) -> Tensor<3> {
    // Only parameters that are trained are inputs, and leaves of the second run.
    let Parameters { mut inputs, trained } = Parameters::of(layer);
    if let Some(memory) = memory {
        let states = || match memory.states.gradient_checkpointing_strategy() {
            Some(_) => memory.states.clone(),
            None => Tensor::from_inner(memory.states.clone()).with_gradient_checkpointing_strategy(strategy),
        };
        inputs.extend([states(), states()].map(Tensor::into_dispatch));
    }
    inputs.push(x.clone().into_dispatch());
    let memory = memory.map(|memory| Memory { states: memory.states.clone().inner(), mask: inner(&memory.mask) });
    let segment = Segment { layer: layer.valid(), trained, x: x.inner(), mask: inner(mask), memory, rng, strategy };
    let states = segment.memory.as_ref().map(|memory| [memory.states.clone(), memory.states.clone()]);
    let out = segment.forward(&segment.layer, segment.x.clone(), states);
    ops::recomputed(out, inputs, move |gradient| segment.gradients(gradient))
}

fn inner(mask: &Mask) -> Mask {
    match mask {
        Mask::None => Mask::None,
        Mask::Keys(keys) => Mask::Keys(keys.clone().inner()),
        Mask::Full(full) => Mask::Full(full.clone().inner()),
    }
}

/// A layer with its inputs, all without gradient tracking.
struct Segment {
    layer: Layer,
    /// Whether each parameter of the layer is trained, in the order of a visit.
    trained: Vec<bool>,
    x: Tensor<3>,
    mask: Mask,
    memory: Option<Memory>,
    rng: DropoutRng,
    strategy: GradientCheckpointingStrategy,
}

impl Segment {
    /// The output; `states` are the sources of keys and values of the memory.
    fn forward(&self, layer: &Layer, x: Tensor<3>, states: Option<[Tensor<3>; 2]>) -> Tensor<3> {
        let mask = self.memory.as_ref().map_or(Mask::None, |memory| memory.mask.clone());
        let memory =
            states.map(|[keys, values]| ProjectedMemory::Whole(layer.project_memory(&keys, &values, &self.rng), mask));
        layer.run(x, Context { mask: self.mask.clone(), memory, past: None, rng: self.rng.again(), weights: None })
    }

    /// Gradients of the inputs for that of the output: of every parameter, of the sources of keys and values, of `x`.
    fn gradients(&self, gradient: Tensor<3>) -> Vec<Option<DispatchTensor>> {
        let leaf = |tensor: &Tensor<3>| leaf(tensor.clone(), self.strategy);
        let x = leaf(&self.x);
        let states = self.memory.as_ref().map(|memory| [leaf(&memory.states), leaf(&memory.states)]);
        let layer = self.layer.clone().map(&mut Leaves { strategy: self.strategy, trained: self.trained.iter() });
        let out = self.forward(&layer, x.clone(), states.clone());
        let gradients = ops::backward_from(out, gradient);
        let mut found = Found { gradients, trained: self.trained.iter(), found: Vec::new() };
        layer.visit(&mut found);
        states.iter().flatten().chain([&x]).for_each(|leaf| found.take(leaf));
        found.found
    }
}

/// A new leaf of these values, tracked by `strategy`.
fn leaf<const D: usize>(tensor: Tensor<D>, strategy: GradientCheckpointingStrategy) -> Tensor<D> {
    Tensor::from_inner(tensor).with_gradient_checkpointing_strategy(strategy).require_grad()
}

/// The parameters of a layer that are trained, and which ones these are.
#[derive(Default)]
struct Parameters {
    inputs: Vec<DispatchTensor>,
    trained: Vec<bool>,
}

impl Parameters {
    fn of(layer: &Layer) -> Self {
        let mut parameters = Self::default();
        layer.visit(&mut parameters);
        parameters
    }
}

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.trained.push(value.is_require_grad());
        if value.is_require_grad() {
            self.inputs.push(value.into_dispatch());
        }
    }
}

/// Makes a new leaf of every parameter that is trained, which belongs to no other graph.
struct Leaves<'a> {
    strategy: GradientCheckpointingStrategy,
    trained: slice::Iter<'a, bool>,
}

impl ModuleMapper for Leaves<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match self.trained.next() {
            Some(true) => leaf(tensor, self.strategy),
            _ => Tensor::from_inner(tensor).with_gradient_checkpointing_strategy(self.strategy),
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Takes the gradients of leaves, in the order of [`Parameters`].
struct Found<'a> {
    gradients: Gradients,
    trained: slice::Iter<'a, bool>,
    found: Vec<Option<DispatchTensor>>,
}

impl Found<'_> {
    fn take<const D: usize>(&mut self, leaf: &Tensor<D>) {
        self.found.push(leaf.grad_remove(&mut self.gradients).map(Tensor::into_dispatch));
    }
}

impl ModuleVisitor for Found<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.trained.next() == Some(&true) {
            self.take(&param.val());
        }
    }
}
