//! The loop, on every backend.

mod copy;
mod exactness;
mod learning;
mod ranks;
mod resume;
mod rule;
mod support;
mod trouble;
