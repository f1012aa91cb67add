//! Errors of a corpus on disk.

use std::io;
use std::path::PathBuf;

use super::format::VERSION;

/// A corpus that cannot be built or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A text with a list of labels.
    #[error(
        "line {line} of `{}` has a list of labels, and a corpus keeps one class per text: leave out the column of the labels",
        path.display()
    )]
    SeveralLabels {
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
    },
    /// A folder without the description of a corpus.
    #[error("`{}` is not a corpus, it has no `corpus.json`", folder.display())]
    NotACorpus {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder with other files, in which no corpus is built.
    #[error("`{}` holds other files (`{file}`) and no corpus, choose an empty or a new folder", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// One of the files in it.
        file: String,
    },
    /// A folder whose corpus cannot be replaced by another one.
    #[error(
        "`{}` holds another corpus and cannot be replaced, since it is the current folder or a disk of its own: remove its files \
         or choose another folder",
        folder.display()
    )]
    Fixed {
        /// The folder.
        folder: PathBuf,
    },
    /// A description that cannot be understood.
    #[error("`{}` does not describe a corpus", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Description of the problem.
        source: serde_json::Error,
    },
    /// A build that was interrupted.
    #[error("the corpus in `{}` is incomplete: run the same build again to continue", folder.display())]
    Unfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// A file that is not a shard at all.
    #[error("`{}` is not a shard of tokens, build the corpus again", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A shard of another version.
    #[error("`{}` has format version {version}, expected {VERSION}, build the corpus again", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What the file says.
        version: u64,
    },
    /// A damaged shard.
    #[error("`{}` is damaged: {problem}; build the corpus again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: &'static str,
    },
    /// A shard of another build, or in the place of another shard.
    #[error("`{}` does not belong to this corpus, build it again", path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
    },
    /// A description that contradicts the tokenizer beside it.
    #[error(
        "the corpus in `{}` is of {found} tokens, but its tokenizer has {expected}, build the corpus again",
        folder.display()
    )]
    Vocabulary {
        /// The folder.
        folder: PathBuf,
        /// Size of the vocabulary in `corpus.json`.
        found: u64,
        /// Size of the tokenizer's vocabulary, of the larger one if there are two.
        expected: u64,
    },
    /// The system cannot start a thread.
    #[error("cannot start a thread")]
    Thread {
        /// Error of the operating system.
        source: io::Error,
    },
    /// A corpus without any text.
    #[error("the corpus has no text: {found}")]
    Empty {
        /// What was found instead.
        found: String,
    },
    /// More documents than can be numbered.
    #[error("the corpus has {n_documents} documents, at most {} can be numbered, split it", u32::MAX)]
    TooManyDocuments {
        /// Number of documents.
        n_documents: u64,
    },
    /// A tokenizer other than the one the corpus was built with.
    #[error("the corpus was built with another tokenizer ({built} instead of {given}), use the one in its folder")]
    OtherTokenizer {
        /// Fingerprint of the one it was built with.
        built: String,
        /// Fingerprint of the one that was given.
        given: String,
    },
}
