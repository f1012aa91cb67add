//! Whole models against transformers, their files, and what they promise.

mod adapters;
mod causal_generation;
mod errors;
mod export;
mod files;
mod formats;
mod generation;
mod generation_rules;
mod golden;
mod gpt;
mod hostile;
mod initial_weights;
mod invariants;
mod parts;
mod prepare;
mod registry;
mod seq2seq;
mod stages;
mod support;
mod weights;
