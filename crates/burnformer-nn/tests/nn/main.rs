//! The blocks against PyTorch's golden values, and against what they promise.

mod checkpointing;
mod config;
mod decoding;
mod embedding_losses;
mod golden;
mod gradients;
mod initialisation;
mod invariants;
mod lora;
mod options;
mod pipeline;
mod prepare;
mod support;
mod tensor_parallel;
