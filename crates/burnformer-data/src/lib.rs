//! From text on disk to batches: readers, sentences, tokenizers, memory-mapped token shards, samples and batches.
//!
//! ```text
//! files ─ Source ─▶ Record ─ Tokenizer ─▶ shards ─ Corpus ─▶ samples ─ Batches ─▶ batches
//! ```
//!
//! Everything before the last arrow works without burn; the feature `tensor` (on by default) puts batches on a device.

mod error;
mod parallel;
mod record;
#[cfg(test)]
mod testing;

pub mod batches;
pub mod corpus;
pub mod readers;
pub mod rust_docs;
pub mod samples;
pub mod sentences;
pub mod source;
pub mod split;
pub mod statistics;
pub mod tokenizer;

pub use error::DataError;
pub use record::Record;
