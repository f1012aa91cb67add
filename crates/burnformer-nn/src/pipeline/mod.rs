//! One stage of a pipeline: a range of the layers of a model whose other layers other processes run.
//!
//! As precision and activation checkpointing, it is a choice of the thread. Within it, a model's forward pass begins with the
//! hidden states that the stage before has sent, and ends with those for the stage behind, without a head.

mod live;
mod share;

pub use live::with_stage;
pub(crate) use share::share;

use burn::tensor::{Device, Tensor};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

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
}

/// The stages in front of this one and behind it.
trait Neighbours {
    /// The next states of the stage before; `like` has their shape.
    fn receive(&mut self, like: Tensor<3>) -> Tensor<3>;

    /// Hands states on to the stage behind.
    fn send(&mut self, x: Tensor<3>);

    /// What the last stage has, of `shape`; `here` is that in the last stage.
    fn of_last(&mut self, here: Option<Tensor<1>>, n: usize, device: &Device) -> Tensor<1>;
}

#[derive(Clone)]
struct Stage {
    layers: StageLayers,
    neighbours: Rc<RefCell<dyn Neighbours>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// The stage of this thread, if it runs one.
fn current() -> Option<Stage> {
    CURRENT.with_borrow(Clone::clone)
}

/// Calls `body`, in which models on this thread are whole. A thread of a pool may call it while it waits in the middle of a stage of
/// another run of this program.
pub fn without_stage<R>(body: impl FnOnce() -> R) -> R {
    within(None, body)
}

/// Calls `body` within `stage`.
fn within<R>(stage: Option<Stage>, body: impl FnOnce() -> R) -> R {
    /// Restores the former stage when dropped, also during a panic.
    struct Restore(Option<Stage>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _before = Restore(CURRENT.replace(stage));
    body()
}

/// Calls `body`, in which models on this thread run these layers alone, with gradients if they are tracked. `incoming` has the
/// states that the stage before has handed on in its forward pass of the same batch. Returns those for the stage behind too;
/// none from the last stage.
///
/// # Panics
/// If `body` asks for more than is incoming.
pub fn run_stage<R>(layers: StageLayers, incoming: Vec<Tensor<3>>, body: impl FnOnce() -> R) -> (R, Vec<Tensor<3>>) {
    let queues = Rc::new(RefCell::new(Queues { incoming: incoming.into(), outgoing: Vec::new() }));
    let result = within(Some(Stage { layers, neighbours: Rc::clone(&queues) as _ }), body);
    let outgoing = std::mem::take(&mut queues.borrow_mut().outgoing);
    (result, outgoing)
}

/// What a forward pass takes in and hands on.
struct Queues {
    incoming: VecDeque<Tensor<3>>,
    outgoing: Vec<Tensor<3>>,
}

impl Neighbours for Queues {
    fn receive(&mut self, _like: Tensor<3>) -> Tensor<3> {
        self.incoming.pop_front().expect("pipeline: the stage before has sent fewer states than this one needs")
    }

    fn send(&mut self, x: Tensor<3>) {
        self.outgoing.push(x);
    }

    fn of_last(&mut self, here: Option<Tensor<1>>, _n: usize, _device: &Device) -> Tensor<1> {
        here.expect("pipeline: a stage that is not the last one has no head")
    }
}

/// `embed()`, the input of the encoder or of the only stack, `[batch_size, seq_length, d_model]`, where this process runs its
/// first layer; elsewhere something of that shape in its place, which no layer sees.
pub fn embedded(shape: [usize; 3], device: &Device, embed: impl FnOnce() -> Tensor<3>) -> Tensor<3> {
    if runs(|_| 0) { embed() } else { Tensor::zeros(shape, device) }
}

/// [`embedded`] of the input of the decoder of an encoder–decoder.
pub fn embedded_target(shape: [usize; 3], device: &Device, embed: impl FnOnce() -> Tensor<3>) -> Tensor<3> {
    if runs(|layers| layers.n_before_memory) { embed() } else { Tensor::zeros(shape, device) }
}

/// `head()`, of `shape`, which only the last stage can compute: its values in all stages.
pub fn of_last<const D: usize>(shape: [usize; D], device: &Device, head: impl FnOnce() -> Tensor<D>) -> Tensor<D> {
    let Some(Stage { layers, neighbours }) = current() else { return head() };
    let here = layers.is_last().then(|| head().flatten(0, D - 1));
    neighbours.borrow_mut().of_last(here, shape.iter().product(), device).reshape(shape)
}

/// `true` if this process runs the layer that `which` names.
fn runs(which: impl FnOnce(&StageLayers) -> usize) -> bool {
    current().is_none_or(|Stage { layers, .. }| layers.range.contains(&which(&layers)))
}
