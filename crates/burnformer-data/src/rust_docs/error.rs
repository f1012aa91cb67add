//! Errors of collecting documentation.

use std::io;
use std::path::PathBuf;

/// Documentation that cannot be collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RustDocsError {
    /// The file or folder of the settings is not there.
    #[error("`{}` does not exist", path.display())]
    Missing {
        /// The path in the settings.
        path: PathBuf,
    },
    /// A folder cannot be listed.
    #[error("cannot list a folder of `{}`", folder.display())]
    List {
        /// The folder, or one above it.
        folder: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// `cargo` or `rustc` cannot be started.
    #[error("cannot run `{program}`, which lists the dependencies of a project")]
    Toolchain {
        /// The program, as the environment names it.
        program: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// `cargo metadata` or `rustc -vV` ended with an error.
    #[error("`{command}` failed for `{}`:\n{}", manifest.display(), stderr.trim_end())]
    Metadata {
        /// The command line.
        command: String,
        /// The manifest of the project.
        manifest: PathBuf,
        /// Output of the command.
        stderr: String,
    },
    /// The answer of `cargo metadata` or `rustc -vV` is not what this version of Burnformer understands.
    #[error("cannot parse the output of `{command}`")]
    Answer {
        /// The command line.
        command: String,
        /// Description of the problem.
        source: serde_json::Error,
    },
    /// There is no documentation at all.
    #[error("no documentation in `{}`, expected crates with text in English", path.display())]
    NothingFound {
        /// The path in the settings.
        path: PathBuf,
    },
    /// The threads that read cannot be started.
    #[error("cannot start the threads that read documentation")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// One file cannot be read.
    #[error(transparent)]
    File(#[from] BadFile),
}

impl RustDocsError {
    /// Remedy, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            // `--locked` comes first: cargo names both flags when the lock file is missing.
            Self::Metadata { stderr, .. } if stderr.contains("--locked") => {
                Some("run `cargo generate-lockfile` in that project first")
            }
            Self::Metadata { stderr, .. } if stderr.contains("--offline") => {
                Some("run `cargo fetch --locked` in that project first, which needs the network")
            }
            Self::Toolchain { .. } => Some("install Rust, or set the environment variables `CARGO` and `RUSTC`"),
            _ => None,
        }
    }

    pub(crate) fn is_bad_row(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// A file that was skipped because it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read `{}`: {reason}", path.display())]
pub struct BadFile {
    /// The file.
    pub path: PathBuf,
    /// Reason.
    pub reason: BadFileReason,
}

/// Reason why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadFileReason {
    /// Error of the operating system.
    #[error("{0}")]
    Io(String),
    /// The file is not UTF-8.
    #[error("it is not valid UTF-8")]
    NotUtf8,
    /// The file is not valid Rust.
    #[error("line {line}: {message}")]
    Syntax {
        /// The line, counted from one.
        line: u64,
        /// Error of the parser.
        message: String,
    },
    /// Expressions are nested too deeply for the parser's stack.
    #[error("line {line}: an expression of {depth} levels, expected at most {limit}")]
    TooDeep {
        /// The line, counted from one.
        line: u64,
        /// An upper bound of its levels.
        depth: usize,
        /// Largest number of levels.
        limit: usize,
    },
}
