//! The loop, on every backend.

mod copy;
mod damage;
mod divergence;
mod ema;
mod exactness;
mod learning;
mod parameters;
mod pipeline;
mod rank_faults;
mod ranks;
mod resume;
mod rule;
mod saving;
mod support;
mod team;
mod tensor_parallel;
mod trouble;
mod troubled;
