//! Errors of the data pipeline.

use burnformer_core::collective::CollectiveError;
use burnformer_core::config::ConfigError;
use burnformer_core::files::FileError;
use burnformer_core::lock::LockError;
use burnformer_core::progress::Interrupted;

use crate::corpus::CorpusError;
use crate::datasets::SamplesError;
use crate::labelled::LabelError;
use crate::paired::PairError;
use crate::readers::ReadError;
use crate::rust_docs::RustDocsError;
use crate::split::{SplitBy, Subset};
use crate::tag_error::TagError;
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
    /// Words lack tags, or have unexpected ones.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// Texts lack a second one.
    #[error(transparent)]
    Pair(#[from] PairError),
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
    #[error(
        "the {part} part of the split is empty: {found} {} cannot be divided by {by}, choose other shares",
        if *found == 1 { "document" } else { "documents" }
    )]
    EmptyPart {
        /// The part that would be empty.
        part: Subset,
        /// Grouping of the split.
        by: SplitBy,
        /// Number of documents, without duplicates.
        found: usize,
    },
    /// No row is left.
    #[error("no row is left: {rows} were skipped, the first since")]
    AllSkipped {
        /// Number of skipped rows.
        rows: u64,
        /// Error of the first one.
        source: Box<DataError>,
    },
    /// Nothing to split.
    #[error("there is no text to split: the files have no rows, or none that could be read")]
    NoTexts,
    /// The input changed between two readings.
    #[error("the input changed while it was read: try again with files that do not change and can be read twice")]
    InputChanged,
    /// Other processes cannot be waited for any more.
    #[error("the processes cannot work together any more")]
    Collective(#[from] CollectiveError),
    /// The work was asked to stop; what was finished stays.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
}

impl DataError {
    /// Number of rows that are lost if reading goes on behind this error; `None` if it does not go on: how much is lost is
    /// unknown, as behind the end of a truncated file, or the error is one of every row, such as a missing column.
    #[must_use]
    pub fn rows_lost(&self) -> Option<u64> {
        match self {
            Self::Read(error) => error.rows_lost(),
            Self::RustDocs(error) => error.is_bad_row().then_some(1),
            Self::Label(error) => error.is_bad_row().then_some(1),
            Self::Tag(error) => error.is_bad_row().then_some(1),
            _ => None,
        }
    }

    /// `true` if `on_bad_row = "skip"` may skip the error: if it is known how many rows are lost.
    #[must_use]
    pub fn is_bad_row(&self) -> bool {
        self.rows_lost().is_some()
    }
}
