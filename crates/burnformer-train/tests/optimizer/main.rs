//! Gradients, optimisers and schedules against PyTorch and transformers, and against what they promise.

mod gradients;
mod schedule;
mod state;
mod support;
mod updates;
