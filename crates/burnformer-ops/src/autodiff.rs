//! The backward passes.
//!
//! On a CPU every operator has one of its own, made of the kernels of [`cpu`](crate::cpu). On a GPU burn differentiates the
//! composed definitions, primitive by primitive, except for dropout, which draws its numbers again.
#![allow(clippy::redundant_closure_for_method_calls)] // burn's type of a tensor with gradients has no public name.

use crate::cpu::activation::BiasActivation as BiasActivationCall;
use crate::cpu::attention::Inputs;
use crate::cpu::dropout::Multipliers;
use crate::cpu::layer_norm::{self, Normalized};
use crate::cpu::{self, linear::column_sums};
use crate::extension::{FeedForwardBias, MaskPrimitive, MaybeTensor, QkvBias, TransformerOps};
use crate::host::{
    self, Host, HostMask, attend, attention_of, feed_forward_of, has_kernels, map_of, normalize, read_maybe, width,
};
use crate::{
    Activation, AttentionExtra, AttentionOptions, CrossEntropyOptions, Dropout, FeedForwardOptions, LayerNormOptions,
    reference,
};
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, AutodiffBackend, Backend, Shape, TensorMetadata};
use std::sync::{Arc, Mutex, PoisonError};

/// A float tensor of a backend with autodiff.
type Tracked<B, C> = FloatTensor<Autodiff<B, C>>;

/// `out` as the result of `operator` on the inputs of these nodes.
pub(crate) fn record<B: Backend, C: CheckpointStrategy, Op: Backward<B, N>, const N: usize>(
    operator: Op,
    inputs: [NodeGuard; N],
    state: Op::State,
    out: FloatTensor<B>,
) -> Tracked<B, C> {
    match operator.prepare::<C>(inputs).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, out),
        OpsKind::UnTracked(prepared) => prepared.finish(out),
    }
}

/// Adds a gradient to that of a node, if it wants one.
fn register<B: Backend>(grads: &mut Gradients, node: Option<NodeId>, gradient: impl FnOnce() -> FloatTensor<B>) {
    if let Some(node) = node {
        grads.register::<B>(node, gradient());
    }
}

impl<B: Backend, C: CheckpointStrategy> MaybeTensor<Autodiff<B, C>> {
    fn into_parts(self) -> (MaybeTensor<B>, Option<NodeGuard>) {
        match self {
            Self::None => (MaybeTensor::None, None),
            Self::Some(tensor) => {
                let (tensor, node) = tensor.into_parts();
                (MaybeTensor::Some(tensor), Some(node))
            }
        }
    }
}

/// Masks are not differentiated: the tensors are the inner backend's own.
fn inner_mask<B: Backend, C: CheckpointStrategy>(mask: MaskPrimitive<Autodiff<B, C>>) -> MaskPrimitive<B> {
    match mask {
        MaskPrimitive::None => MaskPrimitive::None,
        MaskPrimitive::Keys(keys) => MaskPrimitive::Keys(keys),
        MaskPrimitive::Full(full) => MaskPrimitive::Full(full),
    }
}

/// Several outputs of one operator. burn gives an operator one output: the operator's is a placeholder, and each true output
/// is a [`Part`] of it, which leaves its gradient here for the operator's backward pass.
#[derive(Debug)]
struct Parts<B: Backend, const K: usize>(Arc<Mutex<[Option<FloatTensor<B>>; K]>>);

impl<B: Backend, const K: usize> Clone for Parts<B, K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Host, const K: usize> Parts<B, K> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(std::array::from_fn(|_| None))))
    }

    fn placeholder() -> FloatTensor<B> {
        B::give(vec![0.0], Shape::new([1]))
    }

    /// Output number `index` of the operator that `whole` is the placeholder of.
    fn part<C: CheckpointStrategy>(&self, whole: &Tracked<B, C>, index: usize, out: FloatTensor<B>) -> Tracked<B, C> {
        record::<B, C, _, 1>(Part::<K>, [whole.node()], (self.clone(), index), out)
    }

    /// The gradients; one is missing where an output was not used.
    fn take(&self) -> [Option<FloatTensor<B>>; K] {
        let mut gradients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::array::from_fn(|index| gradients[index].take())
    }
}

#[derive(Debug)]
struct Part<const K: usize>;

impl<B: Host, const K: usize> Backward<B, 1> for Part<K> {
    type State = (Parts<B, K>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parts, index) = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        parts.0.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(gradient);
        let [whole] = ops.parents;
        register::<B>(grads, whole.map(|node| node.id), Parts::<B, K>::placeholder);
    }
}

#[derive(Debug)]
struct Linear;

impl<B: Host, const N: usize> Backward<B, N> for Linear {
    /// Input and weight.
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let dy = B::read(&dy);
        let [x, weight] = ops.state;
        let (shape, values) = (weight.shape(), B::read(&weight));
        let map = map_of(&values, &shape);
        let mut nodes = ops.parents.into_iter().map(|node| node.map(|node| node.id));
        register::<B>(grads, nodes.next().flatten(), || B::give(map.input_gradient(&dy, None), x.shape()));
        register::<B>(grads, nodes.next().flatten(), || B::give(map.weight_gradient(&dy, &B::read(&x)), shape.clone()));
        register::<B>(grads, nodes.next().flatten(), || B::give(column_sums(&dy, map.d_out), Shape::new([map.d_out])));
    }
}

#[derive(Debug)]
struct Qkv;

impl<B: Host, const N: usize> Backward<B, N> for Qkv {
    /// Input, weights, gradients of the outputs.
    type State = (FloatTensor<B>, [FloatTensor<B>; 3], Parts<B, 3>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        drop(grads.consume::<B>(&ops.node));
        let (x, weights, parts) = ops.state;
        let nodes = ops.parents.map(|node| node.map(|node| node.id));
        let mut dx = None;
        let gradients = parts.take();
        for (index, (dy, weight)) in gradients.iter().zip(&weights).enumerate() {
            let Some(dy) = dy else { continue };
            let (dy, shape, values) = (B::read(dy), weight.shape(), B::read(weight));
            let map = map_of(&values, &shape);
            if nodes[0].is_some() {
                dx = Some(map.input_gradient(&dy, dx));
            }
            let (weight, bias) = (nodes[1 + index], nodes.get(4 + index).copied().flatten());
            register::<B>(grads, weight, || B::give(map.weight_gradient(&dy, &B::read(&x)), shape.clone()));
            register::<B>(grads, bias, || B::give(column_sums(&dy, map.d_out), Shape::new([map.d_out])));
        }
        if let Some(dx) = dx {
            register::<B>(grads, nodes[0], || B::give(dx, x.shape()));
        }
    }
}

#[derive(Debug)]
struct Attention;

#[derive(Clone, Debug)]
struct AttentionState<B: Backend> {
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
    mask: HostMask,
    options: AttentionOptions,
}

impl<B: Host> AttentionState<B> {
    fn gradients(
        &self,
        kernel: impl FnOnce(&cpu::attention::Attention, Inputs) -> cpu::attention::Gradients,
    ) -> [FloatTensor<B>; 3] {
        let call = attention_of(&self.q.shape(), &self.v.shape(), &self.mask, &self.options);
        let [q, k, v] = [&self.q, &self.k, &self.v].map(B::read);
        let gradients = kernel(&call, Inputs { q: &q, k: &k, v: &v });
        let give = |values, like: &FloatTensor<B>| B::give(values, like.shape());
        [give(gradients.q, &self.q), give(gradients.k, &self.k), give(gradients.v, &self.v)]
    }
}

fn register_all<B: Backend>(grads: &mut Gradients, nodes: [Option<NodeId>; 3], gradients: [FloatTensor<B>; 3]) {
    for (node, gradient) in nodes.into_iter().zip(gradients) {
        register::<B>(grads, node, || gradient);
    }
}

impl<B: Host> Backward<B, 3> for Attention {
    /// Inputs, output, logarithms.
    type State = (AttentionState<B>, FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dout = grads.consume::<B>(&ops.node);
        let (state, out, logsumexp) = ops.state;
        let gradients = state
            .gradients(|call, inputs| call.backward(inputs, &B::read(&out), &B::read(&logsumexp), &B::read(&dout)));
        register_all::<B>(grads, ops.parents.map(|node| node.map(|node| node.id)), gradients);
    }
}

#[derive(Debug)]
struct AttentionWithWeights;

impl<B: Host> Backward<B, 3> for AttentionWithWeights {
    /// Inputs, weights, gradients of output and weights.
    type State = (AttentionState<B>, FloatTensor<B>, Parts<B, 2>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        drop(grads.consume::<B>(&ops.node));
        let (state, weights, parts) = ops.state;
        let gradients = parts.take();
        let [dout, dweights] = gradients.each_ref().map(|gradient| gradient.as_ref().map(|gradient| B::read(gradient)));
        let gradients = state.gradients(|call, inputs| {
            call.backward_through_weights(inputs, &B::read(&weights), dout.as_deref(), dweights.as_deref())
        });
        register_all::<B>(grads, ops.parents.map(|node| node.map(|node| node.id)), gradients);
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: Host, const N: usize> Backward<B, N> for LayerNorm {
    /// What the forward pass kept, weight, dropout.
    type State = (Normalized, FloatTensor<B>, Option<Dropout>);

    /// Nodes: x, weight, bias, residual.
    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let shape = dy.shape();
        let (kept, weight, dropout) = ops.state;
        let columns = weight.shape();
        let multipliers = dropout.as_ref().map(|options| Multipliers::new(options, &shape));
        let gradients = layer_norm::backward(B::take(dy), kept, &B::read(&weight), multipliers.as_ref());
        let sum = B::give(gradients.sum, shape.clone());
        let x = gradients.x.map_or_else(|| sum.clone(), |x| B::give(x, shape));
        let mut nodes = ops.parents.into_iter().map(|node| node.map(|node| node.id));
        register::<B>(grads, nodes.next().flatten(), || x);
        register::<B>(grads, nodes.next().flatten(), || B::give(gradients.weight, columns.clone()));
        register::<B>(grads, nodes.next().flatten(), || B::give(gradients.bias, columns));
        register::<B>(grads, nodes.next().flatten(), || sum);
    }
}

#[derive(Debug)]
struct BiasActivation;

impl<B: Host, const N: usize> Backward<B, N> for BiasActivation {
    type State = (FloatTensor<B>, MaybeTensor<B>, Activation);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = B::take(grads.consume::<B>(&ops.node));
        let (x, bias, activation) = ops.state;
        let (columns, shape) = (width(&x), x.shape());
        let bias = read_maybe::<B>(&bias);
        let call = BiasActivationCall { columns, bias: bias.as_deref(), activation, dropout: None };
        let dbias = call.backward(0, &B::read(&x), &mut dy, None);
        let mut nodes = ops.parents.into_iter().map(|node| node.map(|node| node.id));
        register::<B>(grads, nodes.next().flatten(), || B::give(dy, shape));
        register::<B>(grads, nodes.next().flatten(), || B::give(dbias, Shape::new([columns])));
    }
}

#[derive(Debug)]
struct FeedForward;

#[derive(Clone, Debug)]
struct FeedForwardState<B: Backend> {
    x: FloatTensor<B>,
    /// In and out.
    weights: [FloatTensor<B>; 2],
    bias_in: MaybeTensor<B>,
    /// What the forward pass kept.
    kept: Vec<f32>,
    options: FeedForwardOptions,
}

impl<B: Host, const N: usize> Backward<B, N> for FeedForward {
    type State = FeedForwardState<B>;

    /// Nodes: x, weights in and out, biases in and out.
    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let FeedForwardState { x, weights, bias_in, kept, options } = ops.state;
        let shapes = weights.each_ref().map(|weight| weight.shape());
        let values = weights.each_ref().map(B::read);
        let bias_in = read_maybe::<B>(&bias_in);
        let call = feed_forward_of(
            &x.shape(),
            [(&values[0], &shapes[0]), (&values[1], &shapes[1])],
            [bias_in.as_deref(), None],
            &options,
        );
        let wants = [ops.parents[0].is_some(), ops.parents[1].is_some() || ops.parents[2].is_some()];
        let mut nodes = ops.parents.into_iter().map(|node| node.map(|node| node.id));
        let x_node = nodes.next().flatten();
        let gradients = call.backward(&B::read(&dy), &B::read(&x), &kept, wants);
        if let Some(dx) = gradients.x {
            register::<B>(grads, x_node, || B::give(dx, x.shape()));
        }
        let (d_ff, d_out) = (Shape::new([call.input.d_out]), Shape::new([call.output.d_out]));
        register::<B>(grads, nodes.next().flatten(), || B::give(gradients.weights.weight_in, shapes[0].clone()));
        register::<B>(grads, nodes.next().flatten(), || B::give(gradients.weights.weight_out, shapes[1].clone()));
        register::<B>(grads, nodes.next().flatten(), || B::give(gradients.weights.bias_in, d_ff));
        register::<B>(grads, nodes.next().flatten(), || B::give(gradients.bias_out, d_out));
    }
}

#[derive(Debug)]
struct DropoutSite;

impl<B: TransformerOps, const N: usize> Backward<B, N> for DropoutSite {
    type State = Dropout;

    /// Nodes: x, residual.
    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let mut nodes = ops.parents.into_iter().map(|node| node.map(|node| node.id));
        register::<B>(grads, nodes.next().flatten(), || {
            <B as TransformerOps>::dropout(dy.clone(), MaybeTensor::None, ops.state)
        });
        register::<B>(grads, nodes.next().flatten(), || dy);
    }
}

fn dropout<B: TransformerOps, C: CheckpointStrategy>(
    x: Tracked<B, C>,
    residual: MaybeTensor<Autodiff<B, C>>,
    options: Dropout,
) -> Tracked<B, C> {
    let (x, x_node) = x.into_parts();
    let (residual, residual_node) = residual.into_parts();
    let out = <B as TransformerOps>::dropout(x, residual, options.clone());
    match residual_node {
        None => record::<B, C, _, 1>(DropoutSite, [x_node], options, out),
        Some(residual) => record::<B, C, _, 2>(DropoutSite, [x_node, residual], options, out),
    }
}

#[derive(Debug)]
struct Embedding;

impl<B: Host> Backward<B, 1> for Embedding {
    /// Shape of the table, and the ids.
    type State = (Shape, Arc<[i64]>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (shape, ids) = ops.state;
        let [weight] = ops.parents;
        register::<B>(grads, weight.map(|node| node.id), || {
            let gradient = cpu::embedding::backward(&B::read(&dy), shape[0], shape[1], &ids);
            B::give(gradient, shape.clone())
        });
    }
}

#[derive(Debug)]
struct CrossEntropy;

impl<B: Host> Backward<B, 1> for CrossEntropy {
    /// Logits, logarithms of the denominators, targets.
    type State = (FloatTensor<B>, Arc<[f32]>, Arc<[i64]>, CrossEntropyOptions);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let scale = B::read(&dy)[0];
        let (logits, logsumexp, targets, options) = ops.state;
        let shape = logits.shape();
        let values = B::take(logits);
        let gradient = cpu::cross_entropy::backward(values, shape[1], &logsumexp, &targets, scale, &options);
        let [node] = ops.parents;
        register::<B>(grads, node.map(|node| node.id), || B::give(gradient, shape));
    }
}

impl<B: Host, C: CheckpointStrategy> TransformerOps for Autodiff<B, C> {
    fn linear(x: Tracked<B, C>, weight: Tracked<B, C>, bias: MaybeTensor<Self>) -> Tracked<B, C> {
        if !has_kernels(&x) {
            return reference::linear::<Self>(x, weight, bias);
        }
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let out = <B as TransformerOps>::linear(x.clone(), weight.clone(), bias);
        match bias_node {
            None => record::<B, C, _, 2>(Linear, [x_node, weight_node], [x, weight], out),
            Some(bias) => record::<B, C, _, 3>(Linear, [x_node, weight_node, bias], [x, weight], out),
        }
    }

    fn qkv(
        x: Tracked<B, C>,
        weight_q: Tracked<B, C>,
        weight_k: Tracked<B, C>,
        weight_v: Tracked<B, C>,
        bias: QkvBias<Self>,
    ) -> (Tracked<B, C>, Tracked<B, C>, Tracked<B, C>) {
        if !has_kernels(&x) {
            return reference::qkv::<Self>(x, weight_q, weight_k, weight_v, bias);
        }
        let (x, x_node) = x.into_parts();
        let [(q, q_node), (k, k_node), (v, v_node)] = [weight_q, weight_k, weight_v].map(|tensor| tensor.into_parts());
        let [(bias_q, q_bias), (bias_k, k_bias), (bias_v, v_bias)] = bias.into_parts().map(MaybeTensor::into_parts);
        let outs = [
            <B as TransformerOps>::linear(x.clone(), q.clone(), bias_q),
            <B as TransformerOps>::linear(x.clone(), k.clone(), bias_k),
            <B as TransformerOps>::linear(x.clone(), v.clone(), bias_v),
        ];
        let parts = Parts::<B, 3>::new();
        let state = (x, [q, k, v], parts.clone());
        let placeholder = Parts::<B, 3>::placeholder();
        let whole: Tracked<B, C> = match (q_bias, k_bias, v_bias) {
            (Some(q_bias), Some(k_bias), Some(v_bias)) => {
                let nodes = [x_node, q_node, k_node, v_node, q_bias, k_bias, v_bias];
                record::<B, C, _, 7>(Qkv, nodes, state, placeholder)
            }
            _ => record::<B, C, _, 4>(Qkv, [x_node, q_node, k_node, v_node], state, placeholder),
        };
        let [q, k, v] = outs;
        (parts.part::<C>(&whole, 0, q), parts.part::<C>(&whole, 1, k), parts.part::<C>(&whole, 2, v))
    }

    fn attention(
        q: Tracked<B, C>,
        k: Tracked<B, C>,
        v: Tracked<B, C>,
        mask: MaskPrimitive<Self>,
        options: AttentionOptions,
        extra: AttentionExtra,
    ) -> (Tracked<B, C>, Tracked<B, C>) {
        if ![&q, &k, &v].into_iter().all(has_kernels) {
            return reference::attention_and::<Self>(q, k, v, mask, options, extra);
        }
        let [(q, q_node), (k, k_node), (v, v_node)] = [q, k, v].map(|tensor| tensor.into_parts());
        let nodes = [q_node, k_node, v_node];
        let mask = HostMask::read::<B>(inner_mask(mask));
        let (out, kept) = attend::<B>([&q, &k, &v], &mask, &options, extra);
        let state = AttentionState { q, k, v, mask, options };
        match extra {
            AttentionExtra::LogSumExp => {
                let state = (state, out.clone(), kept.clone());
                (record::<B, C, _, 3>(Attention, nodes, state, out), Self::from_inner(kept))
            }
            AttentionExtra::Weights => {
                let parts = Parts::<B, 2>::new();
                let state = (state, kept.clone(), parts.clone());
                let whole: Tracked<B, C> =
                    record::<B, C, _, 3>(AttentionWithWeights, nodes, state, Parts::<B, 2>::placeholder());
                (parts.part::<C>(&whole, 0, out), parts.part::<C>(&whole, 1, kept))
            }
        }
    }

    fn layer_norm(
        x: Tracked<B, C>,
        residual: MaybeTensor<Self>,
        weight: Tracked<B, C>,
        bias: Tracked<B, C>,
        options: LayerNormOptions,
    ) -> Tracked<B, C> {
        if !has_kernels(&x) {
            return reference::layer_norm::<Self>(x, residual, weight, bias, options);
        }
        let [(x, x_node), (weight, weight_node), (bias, bias_node)] =
            [x, weight, bias].map(|tensor| tensor.into_parts());
        let (residual, residual_node) = residual.into_parts();
        let (out, kept) = normalize::<B>(&x, &residual, [&weight, &bias], &options, true);
        let state = (kept, weight, options.dropout);
        match residual_node {
            None => record::<B, C, _, 3>(LayerNorm, [x_node, weight_node, bias_node], state, out),
            Some(residual) => record::<B, C, _, 4>(LayerNorm, [x_node, weight_node, bias_node, residual], state, out),
        }
    }

    fn bias_activation(x: Tracked<B, C>, bias: MaybeTensor<Self>, activation: Activation) -> Tracked<B, C> {
        if !has_kernels(&x) {
            return reference::bias_activation::<Self>(x, bias, activation);
        }
        let (x, x_node) = x.into_parts();
        let (bias, bias_node) = bias.into_parts();
        let out = <B as TransformerOps>::bias_activation(x.clone(), bias.clone(), activation);
        let state = (x, bias, activation);
        match bias_node {
            None => record::<B, C, _, 1>(BiasActivation, [x_node], state, out),
            Some(bias) => record::<B, C, _, 2>(BiasActivation, [x_node, bias], state, out),
        }
    }

    fn feed_forward(
        x: Tracked<B, C>,
        weight_in: Tracked<B, C>,
        weight_out: Tracked<B, C>,
        bias: FeedForwardBias<Self>,
        options: FeedForwardOptions,
    ) -> Tracked<B, C> {
        if !(has_kernels(&x) && has_kernels(&weight_in)) {
            return reference::feed_forward::<Self>(x, weight_in, weight_out, bias, options);
        }
        let [(x, x_node), (weight_in, in_node), (weight_out, out_node)] =
            [x, weight_in, weight_out].map(|tensor| tensor.into_parts());
        let [(bias_in, bias_in_node), (bias_out, bias_out_node)] = bias.into_parts().map(MaybeTensor::into_parts);
        let (out, kept) = host::feed_forward::<B>(&x, [&weight_in, &weight_out], [&bias_in, &bias_out], &options, true);
        let state = FeedForwardState { x, weights: [weight_in, weight_out], bias_in, kept, options };
        match (bias_in_node, bias_out_node) {
            (Some(bias_in), Some(bias_out)) => {
                record::<B, C, _, 5>(FeedForward, [x_node, in_node, out_node, bias_in, bias_out], state, out)
            }
            _ => record::<B, C, _, 3>(FeedForward, [x_node, in_node, out_node], state, out),
        }
    }

    fn dropout(x: Tracked<B, C>, residual: MaybeTensor<Self>, options: Dropout) -> Tracked<B, C> {
        dropout::<B, C>(x, residual, options)
    }

    fn embedding(weight: Tracked<B, C>, ids: IntTensor<Self>) -> Tracked<B, C> {
        if !has_kernels(&weight) {
            return reference::embedding::<Self>(weight, ids);
        }
        let (weight, node) = weight.into_parts();
        let shape = weight.shape();
        let [batch_size, seq_length] = ids.shape().dims();
        let ids: Arc<[i64]> = B::read_ints(ids).into();
        let out = cpu::embedding::forward(&B::read(&weight), shape[1], &ids);
        let out = B::give(out, Shape::new([batch_size, seq_length, shape[1]]));
        record::<B, C, _, 1>(Embedding, [node], (shape, ids), out)
    }

    fn cross_entropy(
        logits: Tracked<B, C>,
        targets: IntTensor<Self>,
        options: CrossEntropyOptions,
    ) -> (Tracked<B, C>, Tracked<B, C>) {
        if !has_kernels(&logits) {
            return reference::cross_entropy::<Self>(logits, targets, options);
        }
        let (logits, node) = logits.into_parts();
        let targets: Arc<[i64]> = B::read_ints(targets).into();
        let (sum, count, logsumexp) =
            cpu::cross_entropy::forward(&B::read(&logits), width(&logits), &targets, &options);
        let one = |x| B::give(vec![x], Shape::new([1]));
        let state = (logits, logsumexp.into(), targets, options);
        (record::<B, C, _, 1>(CrossEntropy, [node], state, one(sum)), Self::from_inner(one(count)))
    }
}

#[cfg(feature = "wgpu")]
impl<C: CheckpointStrategy> TransformerOps for Autodiff<burn_wgpu::Wgpu, C> {
    fn dropout(x: Tracked<burn_wgpu::Wgpu, C>, residual: MaybeTensor<Self>, options: Dropout) -> FloatTensor<Self> {
        dropout::<burn_wgpu::Wgpu, C>(x, residual, options)
    }
}
