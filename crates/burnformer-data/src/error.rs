//! Errors of the data pipeline.

use burnformer_core::config::ConfigError;
use burnformer_core::files::FileError;
use burnformer_core::lock::LockError;
use burnformer_core::progress::Interrupted;

use crate::corpus::CorpusError;
use crate::datasets::SamplesError;
use crate::labelled::LabelError;
use crate::readers::ReadError;
use crate::rust_docs::RustDocsError;
use crate::split::{SplitBy, Subset};
use crate::tokenizer::TokenizerError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file, or a row of it, cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The documentation of a source tree or of a project's dependencies cannot be collected.
    #[error(transparent)]
    RustDocs(#[from] RustDocsError),
    /// A tokenizer cannot be trained, loaded or saved.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A corpus cannot be built or read.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// Texts lack labels, or have unexpected ones.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// Samples cannot be drawn from a corpus.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file or folder cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Too few documents for a split.
    #[error("the {part} part of the split is empty: {found} documents cannot be divided by {by}, choose other shares")]
    EmptyPart {
        /// The part that would be empty.
        part: Subset,
        /// Grouping of the split.
        by: SplitBy,
        /// Number of documents, without duplicates.
        found: usize,
    },
    /// The input changed between two readings.
    #[error("the input changed while it was read: try again with files that do not change and can be read twice")]
    InputChanged,
    /// The work was asked to stop; what was finished stays.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
}

impl DataError {
    /// `true` if the error concerns only one row or file, so that `on_bad_row = "skip"` may skip it: a row that cannot
    /// be read, a truncated file, one that may not be opened. An error of every row, such as a missing column, is not a
    /// bad row.
    #[must_use]
    pub fn is_bad_row(&self) -> bool {
        match self {
            Self::Read(error) => error.is_bad_row(),
            Self::RustDocs(error) => error.is_bad_row(),
            _ => false,
        }
    }
}
