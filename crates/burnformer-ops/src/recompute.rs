//! A part of a model as one operator with a backward pass of its own, such as one that runs the part again instead of keeping
//! its activations.
#![allow(deprecated)] // burn deprecates `NdArray` in the last release that has it.

use crate::autodiff::record;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, CheckpointStrategy, NoCheckpointing};
use burn::backend::autodiff::grads::Gradients as Sums;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, BackendTensor, DispatchKindConversion, DispatchTensor, DispatchTensorKind,
    TensorMetadata,
};
use burn::tensor::{Gradients, Tensor};
use std::fmt;
use std::sync::Arc;

/// Number of inputs of an operator, which burn fixes: enough for a layer of a decoder with a gate. What is missing is filled up
/// with inputs without gradient.
const MOST_INPUTS: usize = 32;

/// Gradients of the inputs of a part for that of its output; `None` for an input that it does not depend on.
type Again = dyn Fn(DispatchTensor) -> Vec<Option<DispatchTensor>> + Send + Sync;

/// `out`, which was computed without gradient tracking, as the output of one operator on `inputs`, which are tracked. Its
/// backward pass calls `again`, which computes `out` once more with tracking, and goes back by [`backward_from`].
///
/// # Panics
/// If there are more than 32 inputs, or they lie on another device than the output.
#[must_use]
pub fn recomputed(
    out: Tensor<3>,
    inputs: Vec<DispatchTensor>,
    again: impl Fn(Tensor<3>) -> Vec<Option<DispatchTensor>> + Send + Sync + 'static,
) -> Tensor<3> {
    let again = Recompute(Arc::new(move |gradient| again(Tensor::from_dispatch(gradient))));
    let out = on_backend(out.into_dispatch(), Recorded { inputs, again });
    Tensor::from_dispatch(out)
}

/// `out`, which was computed without gradient tracking, as the output of one operator on `x`, which is tracked. Its backward
/// pass is `backward`: the gradient of `x` for that of `out`, both without tracking.
///
/// # Panics
/// If `x` is not tracked, or they lie on different devices.
#[must_use]
pub fn with_backward<const X: usize, const OUT: usize>(
    x: Tensor<X>,
    out: Tensor<OUT>,
    backward: impl Fn(Tensor<OUT>) -> Tensor<X> + Send + Sync + 'static,
) -> Tensor<OUT> {
    let again = move |gradient| vec![Some(backward(Tensor::from_dispatch(gradient)).into_dispatch())];
    let recorded = Recorded { inputs: vec![x.into_dispatch()], again: Recompute(Arc::new(again)) };
    Tensor::from_dispatch(on_backend(out.into_dispatch(), recorded))
}

/// `x`, which is tracked, as another tensor, whose gradient is added to that of `x` in a place of its own: burn adds up the
/// gradients of a tensor in the order in which it meets the operators on it.
///
/// # Panics
/// If `x` is not tracked.
#[must_use]
pub fn alias(x: Tensor<3>) -> Tensor<3> {
    let alias = on_backend(x.clone().inner().into_dispatch(), Alias { x: x.into_dispatch() });
    Tensor::from_dispatch(alias)
}

/// Backward pass from `out`, whose gradient is `gradient`, which is not tracked.
///
/// # Panics
/// If `out` is not tracked, or they lie on different devices.
#[must_use]
pub fn backward_from(out: Tensor<3>, gradient: Tensor<3>) -> Gradients {
    backward_from_all(vec![(out.into_dispatch(), gradient.into_dispatch())])
}

/// Backward pass from several tensors, each with its gradient, which is not tracked. To these gradients, which are there first,
/// those are added that come from the graph, in the order of one graph in which the last of these tensors is the last input of
/// an operator.
///
/// # Panics
/// If there are none or more than 32, a tensor is not tracked, or they lie on different devices.
#[must_use]
pub fn backward_from_all(mut outs: Vec<(DispatchTensor, DispatchTensor)>) -> Gradients {
    let (out, gradient) = outs.pop().expect("backward pass: it must begin somewhere");
    let start = on_backend(gradient, Start { outs, out });
    Tensor::<1>::from_dispatch(start).backward()
}

/// Work on the tensors of one backend.
trait OnBackend {
    fn run<B, C>(self, tensor: FloatTensor<B>) -> DispatchTensor
    where
        B: Backend,
        C: CheckpointStrategy,
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, C>>;

    /// A tensor with gradient tracking, whose strategy decides on `C`.
    fn tracked(&self) -> &DispatchTensor;
}

/// Calls `work` with the backend of `tensor`, which is not tracked.
fn on_backend(tensor: DispatchTensor, work: impl OnBackend) -> DispatchTensor {
    match tensor.kind {
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) => with_strategy::<burn::backend::Flex>(tensor, work),
        #[cfg(feature = "ndarray")]
        DispatchTensorKind::NdArray(_) => with_strategy::<burn::backend::NdArray>(tensor, work),
        #[cfg(feature = "wgpu")]
        DispatchTensorKind::Cube(_) => with_strategy::<burn::backend::Cube>(tensor, work),
        _ => panic!("recomputed: the output must not be tracked"),
    }
}

fn with_strategy<B: Backend>(tensor: DispatchTensor, work: impl OnBackend) -> DispatchTensor
where
    DispatchTensor: DispatchKindConversion<B>
        + DispatchKindConversion<Autodiff<B, NoCheckpointing>>
        + DispatchKindConversion<Autodiff<B, BalancedCheckpointing>>,
{
    let tensor = backend_tensor::<B>(tensor);
    let balanced = <DispatchTensor as DispatchKindConversion<Autodiff<B, BalancedCheckpointing>>>::try_into_backend(
        work.tracked().clone(),
    );
    match balanced {
        Ok(_) => work.run::<B, BalancedCheckpointing>(tensor),
        Err(_) => work.run::<B, NoCheckpointing>(tensor),
    }
}

#[track_caller]
fn backend_tensor<B: Backend>(tensor: DispatchTensor) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    match <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(tensor) {
        Ok(tensor) => tensor.float(),
        Err(problem) => panic!("recomputed: {problem}"),
    }
}

struct Recorded {
    inputs: Vec<DispatchTensor>,
    again: Recompute,
}

#[derive(Clone)]
struct Recompute(Arc<Again>);

impl fmt::Debug for Recompute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recompute")
    }
}

impl OnBackend for Recorded {
    fn run<B, C>(self, out: FloatTensor<B>) -> DispatchTensor
    where
        B: Backend,
        C: CheckpointStrategy,
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, C>>,
    {
        let n = self.inputs.len();
        assert!(n <= MOST_INPUTS, "recomputed: {n} inputs, at most {MOST_INPUTS} are possible");
        let mut nodes: Vec<_> =
            self.inputs.into_iter().map(|input| backend_tensor::<Autodiff<B, C>>(input).node()).collect();
        nodes.resize_with(MOST_INPUTS, || Autodiff::<B, C>::from_inner(out.clone()).node());
        let nodes = nodes.try_into().expect("there are as many");
        let out = record::<B, C, _, MOST_INPUTS>(Recomputed, nodes, self.again, out);
        <DispatchTensor as DispatchKindConversion<Autodiff<B, C>>>::from_backend(BackendTensor::Float(out))
    }

    fn tracked(&self) -> &DispatchTensor {
        self.inputs.first().expect("recomputed: there must be an input")
    }
}

#[derive(Debug)]
struct Recomputed;

impl<B: Backend> Backward<B, MOST_INPUTS> for Recomputed
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = Recompute;

    fn backward(self, ops: Ops<Self::State, MOST_INPUTS>, grads: &mut Sums, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let gradient = <DispatchTensor as DispatchKindConversion<B>>::from_backend(BackendTensor::Float(gradient));
        let found = (ops.state.0)(gradient);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, backend_tensor::<B>(gradient));
            }
        }
    }
}

struct Alias {
    x: DispatchTensor,
}

impl OnBackend for Alias {
    fn run<B, C>(self, values: FloatTensor<B>) -> DispatchTensor
    where
        B: Backend,
        C: CheckpointStrategy,
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, C>>,
    {
        let node = backend_tensor::<Autodiff<B, C>>(self.x).node();
        let alias = record::<B, C, _, 1>(Aliased, [node], (), values);
        <DispatchTensor as DispatchKindConversion<Autodiff<B, C>>>::from_backend(BackendTensor::Float(alias))
    }

    fn tracked(&self) -> &DispatchTensor {
        &self.x
    }
}

#[derive(Debug)]
struct Aliased;

impl<B: Backend> Backward<B, 1> for Aliased {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Sums, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [x] = ops.parents;
        if let Some(x) = x {
            grads.register::<B>(x.id, gradient);
        }
    }
}

struct Start {
    /// All but the last, with their gradients.
    outs: Vec<(DispatchTensor, DispatchTensor)>,
    /// The last.
    out: DispatchTensor,
}

impl OnBackend for Start {
    fn run<B, C>(self, gradient: FloatTensor<B>) -> DispatchTensor
    where
        B: Backend,
        C: CheckpointStrategy,
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, C>>,
    {
        let n = self.outs.len() + 1;
        assert!(n <= MOST_INPUTS, "backward pass: from {n} tensors, at most {MOST_INPUTS} are possible");
        let node = |tensor| backend_tensor::<Autodiff<B, C>>(tensor).node();
        let placeholder = B::float_zeros([1].into(), &gradient.device(), gradient.dtype().into());
        let (outs, gradients): (Vec<_>, Vec<_>) = self.outs.into_iter().unzip();
        // What is missing stands in front: the last one stays the last.
        let mut nodes: Vec<_> =
            (n..MOST_INPUTS).map(|_| Autodiff::<B, C>::from_inner(placeholder.clone()).node()).collect();
        nodes.extend(outs.into_iter().chain([self.out]).map(node));
        let nodes = nodes.try_into().expect("there are as many");
        let gradients = gradients.into_iter().map(backend_tensor::<B>).chain([gradient]).collect();
        let start = record::<B, C, _, MOST_INPUTS>(Started, nodes, gradients, placeholder);
        <DispatchTensor as DispatchKindConversion<Autodiff<B, C>>>::from_backend(BackendTensor::Float(start))
    }

    fn tracked(&self) -> &DispatchTensor {
        &self.out
    }
}

/// An operator whose backward pass ignores the gradient of its output, and gives its state to its last inputs.
#[derive(Debug)]
struct Started;

impl<B: Backend> Backward<B, MOST_INPUTS> for Started {
    type State = Vec<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, MOST_INPUTS>, grads: &mut Sums, _: &mut Checkpointer) {
        drop(grads.consume::<B>(&ops.node));
        let given = ops.parents.into_iter().skip(MOST_INPUTS - ops.state.len());
        for (out, gradient) in given.zip(ops.state) {
            if let Some(out) = out {
                grads.register::<B>(out.id, gradient);
            }
        }
    }
}
