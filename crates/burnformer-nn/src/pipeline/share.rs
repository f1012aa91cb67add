//! The share of a process in a stack of layers.

use super::{Stage, StageLayers, current};
use crate::Memory;
use burn::tensor::Tensor;
use std::ops::Range;

/// What this process does of a stack.
pub(crate) struct Share {
    /// The stack's own numbers of its layers here.
    pub(crate) layers: Range<usize>,
    /// `true` if its final norm is here.
    pub(crate) ends: bool,
    /// Where it lies in the stage.
    place: Place,
    /// The stage; `None` without a pipeline.
    stage: Option<Stage>,
}

enum Place {
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
    let Some(stage) = current() else {
        let place = Place::Here { continues: false, goes_on: false };
        return Share { layers: 0..n_layers, ends: true, place, stage: None };
    };
    let StageLayers { range, n_before_memory, n_layers: of_all } = &stage.layers;
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
    Share { ends: !layers.is_empty() && range.end >= end, layers, place, stage: Some(stage) }
}

impl Share {
    /// The input of the first layer here, `x` where that is the first one of the stack. The result of the stack, if it has run
    /// in an earlier stage.
    pub(crate) fn input(&self, x: Tensor<3>) -> Tensor<3> {
        match (&self.stage, &self.place) {
            (Some(stage), Place::Before | Place::Here { continues: true, .. }) => {
                stage.neighbours.borrow_mut().receive(x)
            }
            _ => x,
        }
    }

    /// Hands the memory on to the stage behind, if the stack goes on there.
    pub(crate) fn hand_on(&self, memory: &Memory) {
        self.send(&memory.states);
    }

    /// What comes out of the stack here, which goes to the stage behind if the stack goes on there or is its memory.
    pub(crate) fn output(&self, x: Tensor<3>) -> Tensor<3> {
        self.send(&x);
        x
    }

    fn send(&self, x: &Tensor<3>) {
        if let (Some(stage), Place::Here { goes_on: true, .. }) = (&self.stage, &self.place) {
            stage.neighbours.borrow_mut().send(x.clone());
        }
    }
}
