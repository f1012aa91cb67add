//! Text generation: greedy, beam search, sampling, over any model that is a [`StepDecoder`].

mod candidates;
mod config;
mod file;
mod generate;
mod hypothesis;
mod keys;
mod row;
mod rules;
mod sampling;
mod search;
mod step_decoder;
mod token_rules;

pub use config::{Convention, GenerationConfig, Sampling};
pub use file::GenerationFile;
pub use generate::{GenerationInput, generate};
pub use hypothesis::Hypothesis;
pub(crate) use keys::is_generation_key;
pub use step_decoder::{DecoderSpec, StepCache, StepDecoder};
pub use token_rules::TokenRules;
