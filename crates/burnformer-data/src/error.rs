//! What can go wrong between a file and a batch.

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
    /// Texts lack classes, or have others than expected.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// Samples cannot be drawn from a corpus.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file or folder cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Too few things to divide.
    #[error("the {part} part of the split is empty: {found} documents cannot be divided by {by}, choose other shares")]
    EmptyPart {
        /// The part that got nothing.
        part: Subset,
        /// What the split keeps together or balances.
        by: SplitBy,
        /// How many documents there are, duplicates left out.
        found: usize,
    },
    /// Text that was read twice, and was not the same.
    #[error("the input changed while it was read: try again with files that do not change and can be read twice")]
    InputChanged,
    /// The work was asked to stop; what was finished stays.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
}

impl DataError {
    /// `true` if only one row is lost by it, so that `on_bad_row = "skip"` may leave it out: a row that cannot be read, a
    /// file that is torn or may not be opened. What concerns every row alike, such as a column that no row has, is none.
    #[must_use]
    pub fn is_bad_row(&self) -> bool {
        match self {
            Self::Read(error) => error.is_bad_row(),
            Self::RustDocs(error) => error.is_bad_row(),
            _ => false,
        }
    }
}
