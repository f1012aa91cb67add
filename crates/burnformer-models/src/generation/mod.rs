//! From a source to target texts: greedy, beam search, sampling.

mod candidates;
mod config;
mod generate;
mod hypothesis;
mod row;
mod rules;
mod sampling;
mod search;

pub use config::{GenerationConfig, Sampling};
pub use generate::GenerationInput;
pub use hypothesis::Hypothesis;
