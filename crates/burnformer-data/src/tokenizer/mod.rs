//! Tokenizers: training, loading, saving, and what the rest of the crate needs to know of them.

/// A tokenizer that cannot be trained, loaded or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {}
