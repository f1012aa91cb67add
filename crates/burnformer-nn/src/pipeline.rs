//! One stage of a pipeline: a range of the layers of a model whose other layers other processes run.
//!
//! As precision and activation checkpointing, it is a choice of the thread. Within it, a model's forward pass begins with the
//! hidden states that the stage before has sent, and ends with those for the stage behind, without a head.

use crate::Memory;
use burn::tensor::{Device, Tensor};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;

/// The layers of one stage, numbered through the encoder and then the decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageLayers {
    /// The layers of this stage, at least one.
    pub range: Range<usize>,
    /// Number of layers in front of the first one with a memory: those of the encoder of an encoder–decoder, all layers of any
    /// other model.
    pub n_before_memory: usize,
    /// Number of all layers.
    pub n_layers: usize,
}

impl StageLayers {
    /// `true` for the stage with the last layer, which has the head too.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.range.end == self.n_layers
    }

    /// Number of tensors that the stage in front of layer `first` sends to that behind it: the memory, where it is complete,
    /// and the states between two layers of one stack.
    #[must_use]
    pub fn n_sent_before(&self, first: usize) -> usize {
        if first == 0 || first == self.n_layers {
            return 0;
        }
        if first > self.n_before_memory { 2 } else { 1 }
    }
}

/// What a forward pass takes in and hands on.
struct Pass {
    layers: StageLayers,
    incoming: VecDeque<Tensor<3>>,
    outgoing: Vec<Tensor<3>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Pass>> = const { RefCell::new(None) };
}

/// Calls `body`, in which models on this thread run these layers alone. `incoming` has the states that the stage before has
/// handed on in its forward pass of the same batch. Returns those for the stage behind too; none from the last stage.
///
/// # Panics
/// If `body` asks for more than is incoming.
pub fn run_stage<R>(layers: StageLayers, incoming: Vec<Tensor<3>>, body: impl FnOnce() -> R) -> (R, Vec<Tensor<3>>) {
    /// Restores what was there before when dropped, also during a panic.
    struct Restore(Option<Pass>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let pass = Pass { layers, incoming: incoming.into(), outgoing: Vec::new() };
    let before = Restore(CURRENT.replace(Some(pass)));
    let result = body();
    let outgoing = CURRENT.with_borrow_mut(Option::take).map_or_else(Vec::new, |pass| pass.outgoing);
    drop(before);
    (result, outgoing)
}

/// `embed()`, the input of the encoder, where this process runs its first layer; elsewhere something in its place that no layer
/// sees.
pub fn embedded(device: &Device, embed: impl FnOnce() -> Tensor<3>) -> Tensor<3> {
    if runs(|_| 0) { embed() } else { nothing(device) }
}

/// `embed()`, the input of the decoder of an encoder–decoder, where this process runs its first layer; elsewhere something in its
/// place that no layer sees.
pub fn embedded_target(device: &Device, embed: impl FnOnce() -> Tensor<3>) -> Tensor<3> {
    if runs(|layers| layers.n_before_memory) { embed() } else { nothing(device) }
}

/// `true` if this process runs the layer that `which` names.
fn runs(which: impl FnOnce(&StageLayers) -> usize) -> bool {
    CURRENT.with_borrow(|pass| pass.as_ref().is_none_or(|Pass { layers, .. }| layers.range.contains(&which(layers))))
}

fn nothing(device: &Device) -> Tensor<3> {
    Tensor::zeros([1, 1, 1], device)
}

/// What this process does of a stack.
pub(crate) struct Share {
    /// The stack's own numbers of its layers here.
    pub(crate) layers: Range<usize>,
    /// `true` if its final norm is here.
    pub(crate) ends: bool,
    /// Where it lies in the stage.
    place: Place,
}

enum Place {
    /// Here as a whole, without a pipeline or in one stage.
    Whole,
    /// In earlier stages.
    Before,
    /// At least in part here.
    Here {
        /// `true` if the layers in front of it are in an earlier stage.
        continues: bool,
        /// `true` if what comes out of it goes to the stage behind.
        goes_on: bool,
    },
    /// In later stages.
    Behind,
}

/// The share of this process in a stack of `n_layers`, which has a memory or not.
pub(crate) fn share(n_layers: usize, has_memory: bool) -> Share {
    CURRENT.with_borrow(|pass| {
        let Some(Pass { layers: StageLayers { range, n_before_memory, n_layers: of_all }, .. }) = pass else {
            return Share { layers: 0..n_layers, ends: true, place: Place::Whole };
        };
        let first = if has_memory { *n_before_memory } else { 0 };
        let end = first + n_layers;
        let layers = range.start.clamp(first, end) - first..range.end.clamp(first, end) - first;
        let place = if range.start >= end {
            Place::Before
        } else if range.end <= first {
            Place::Behind
        } else {
            // The states of an encoder whose end is here are the memory of a decoder that begins here.
            let stays = range.end > end || range.end == *of_all;
            Place::Here { continues: range.start > first, goes_on: !stays }
        };
        Share { ends: !layers.is_empty() && range.end >= end, layers, place }
    })
}

impl Share {
    /// The input of the first layer here, `x` where that is the first one of the stack. The result of the stack, if it has run
    /// in an earlier stage.
    pub(crate) fn input(&self, x: Tensor<3>) -> Tensor<3> {
        match self.place {
            Place::Before | Place::Here { continues: true, .. } => receive(),
            Place::Whole | Place::Here { .. } | Place::Behind => x,
        }
    }

    /// What comes out of the stack here, which goes to the stage behind where that goes on with it, and then with its memory.
    pub(crate) fn output(&self, x: Tensor<3>, memory: Option<Memory>) -> Tensor<3> {
        if matches!(self.place, Place::Here { goes_on: true, .. }) {
            let states = memory.map(|memory| memory.states).into_iter().chain([x.clone()]);
            CURRENT.with_borrow_mut(|pass| pass.iter_mut().for_each(|pass| pass.outgoing.extend(states.clone())));
        }
        x
    }
}

#[track_caller]
fn receive() -> Tensor<3> {
    let state = CURRENT.with_borrow_mut(|pass| pass.as_mut().and_then(|pass| pass.incoming.pop_front()));
    state.expect("pipeline: the stage before has sent fewer states than this one needs")
}
