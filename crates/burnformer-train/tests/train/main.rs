//! The loop, on every backend.

mod copy;
mod exactness;
mod learning;
mod resume;
mod support;
mod trouble;
