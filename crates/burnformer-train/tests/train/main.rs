//! The loop, on every backend.

mod copy;
mod damage;
mod exactness;
mod learning;
mod ranks;
mod resume;
mod rule;
mod support;
mod trouble;
