//! Text generation: greedy, beam search, sampling, over any model that is a [`StepDecoder`].

mod candidates;
mod config;
mod generate;
mod hypothesis;
mod row;
mod rules;
mod sampling;
mod search;
mod step_decoder;

pub use config::{GenerationConfig, Sampling};
pub use generate::{GenerationInput, generate};
pub use hypothesis::Hypothesis;
pub use step_decoder::{DecoderSpec, StepCache, StepDecoder};
