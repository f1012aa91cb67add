//! From text on disk to batches: readers, sentences, tokenizers, token shards, samples and batches.
//!
//! ```text
//! files ─ Source ─▶ Record ─ Tokenizer ─▶ shards ─ Corpus ─▶ samples ─ Batches ─▶ batches
//! ```
//!
//! | step | module |
//! | --- | --- |
//! | text, tables, JSON lines, Parquet, compressed or not | [`readers`] |
//! | the documentation of Rust crates | [`rust_docs`] |
//! | where sentences end | [`sentences`] |
//! | tokenizers: train, load, save | [`tokenizer`] |
//! | texts with a class each | [`labelled`], and odd names of classes: [`class_names`] |
//! | texts with any number of labels, and with a score each | [`multi_label`], [`scored`] |
//! | sentences of words with a tag each | [`tagged`], and the schemes of tags: [`tag_scheme`] |
//! | questions about contexts with their answers | [`questions`] |
//! | pairs of texts with scores or negatives, for embeddings | [`paired`] |
//! | tokenised documents in files of any size | [`corpus`] |
//! | training, validation and test | [`split`] |
//! | texts that occur with different labels | [`conflicts`] |
//! | samples as functions of seed and number | [`datasets`] |
//! | batches of similar length, made ahead | [`batches`] |
//! | what is in a corpus | [`statistics`] |
//!
//! ```
//! use std::sync::Arc;
//!
//! use burnformer_core::{Interrupt, Silent};
//! use burnformer_data::batches::{BatchConfig, Batches, Padding, PretrainingCollator};
//! use burnformer_data::corpus::{CorpusBuilder, Tokenization};
//! use burnformer_data::readers::{Format, Input, TextLayout};
//! use burnformer_data::datasets::{PretrainingDataset, PretrainingConfig};
//! use burnformer_data::sentences::{Language, SentenceSplitter};
//! use burnformer_data::source::{OnBadRow, Sides, Source, Texts};
//! use burnformer_data::tokenizer::{TokenizerConfig, train};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! std::fs::write(folder.join("a.txt"), "The kettle sang. Nobody listened.\nThen it boiled over.")?;
//! std::fs::write(folder.join("b.txt"), "Rain fell on the harbour. The boats lay still.")?;
//! let paths = vec![folder.join("*.txt").display().to_string()];
//! let source: Arc<dyn Source> = Arc::new(Input::new(paths, Format::Text { layout: TextLayout::Lines }).open()?);
//!
//! let texts = Texts::new(source.as_ref(), Sides::Both, OnBadRow::Error, &Silent);
//! let config = TokenizerConfig { vocab_size: 200, ..TokenizerConfig::default() };
//! let tokenizer = train(texts, &config, &Silent, &Interrupt::new())?;
//!
//! let sentences = SentenceSplitter::new(Language::ENGLISH);
//! let tokenization = Tokenization { tokenizer: tokenizer.clone(), pair_tokenizer: None, sentences };
//! let builder = CorpusBuilder::new(source, tokenization);
//! let corpus = Arc::new(builder.build(&folder.join("corpus"), &Silent, &Interrupt::new())?.corpus);
//! assert_eq!((corpus.n_documents(), corpus.manifest().counts().sentences), (2, 5));
//!
//! let samples = PretrainingDataset::new(corpus, &[0, 1], &tokenizer, &PretrainingConfig::default(), 42)?;
//! let padding = Padding { pad_id: tokenizer.specials().pad_id.unwrap(), multiple_of: 8 };
//! let collator = PretrainingCollator { padding };
//! let batches = Batches::epoch(Arc::new(samples), &collator, &BatchConfig::default(), 42)?;
//! for batch in batches {
//!     let batch = batch?;
//!     assert_eq!(batch.tokens.batch_size(), batch.is_next.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! `tensor` (default) puts batches on a burn device; without it the crate knows nothing of burn. With it, the program that
//! uses the crate chooses burn's backend.

mod content;
mod error;
mod json_lines;
mod parallel;
mod record;
mod skip_reason;
mod tag_error;
mod target;
#[cfg(test)]
mod testing;

pub mod batches;
pub mod class_names;
pub mod conflicts;
pub mod corpus;
pub mod datasets;
pub mod labelled;
pub mod multi_label;
pub mod paired;
pub mod questions;
pub mod readers;
pub mod rust_docs;
pub mod scored;
pub mod sentences;
pub mod source;
pub mod split;
pub mod statistics;
pub mod tag_scheme;
pub mod tagged;
pub mod tokenizer;

pub use error::DataError;
pub use json_lines::JsonLines;
pub use record::Record;
pub use target::{TaggedWord, Target};
