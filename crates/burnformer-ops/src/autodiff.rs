//! The backward passes.
//!
//! burn differentiates the composed definitions, primitive by primitive: the default bodies run on [`Autodiff`] as they run
//! on any backend. An operator gets a backward pass of its own by overriding its method here.

use crate::TransformerOps;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, Backend};

impl<B: Backend + TransformerOps, C: CheckpointStrategy> TransformerOps for Autodiff<B, C> {}
