//! The documentation of Rust crates as records: English text that lies on every machine that builds a Rust project.
//!
//! [`RustDocs::collect`] reads READMEs, guides and doc comments. What it finds serves as documents to train a language model
//! on ([`Collection::documents`]), and as paragraphs with the kind of item that they document ([`Collection::items`]).

mod collection;
mod error;
mod graph;
mod items;
mod manifest;
mod markdown;
mod nesting;
mod reduce;
mod tree;
mod write;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::progress::{Progress, Unit};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use collection::{Collection, CrateDocs, Documents, FileDocs, Items, Paragraph};
pub use error::{BadFile, BadFileReason, RustDocsError};
pub use items::ItemKind;
pub use write::WrittenDocs;

use crate::DataError;
use reduce::Reducer;
use tree::CrateFolder;

/// Larger files are generated: 2 MiB.
const MAX_FILE_BYTES: u64 = 2 << 20;

/// How many crates are in memory before duplicates are removed from them.
const CRATES_AT_ONCE: usize = 32;

/// Which documentation to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RustDocs {
    /// Where the crates come from.
    pub crates: Crates,
    /// The most text that one crate contributes, in bytes, so that a giant does not drown the others. The README comes
    /// first, then the source, then the guides.
    #[serde(default = "default_max_bytes_per_crate")]
    pub max_bytes_per_crate: usize,
}

/// Where crates come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Crates {
    /// All that a project depends on, for this machine, without the members of its workspace. Their source must have been
    /// downloaded, as it is after a build.
    Dependencies {
        /// The `Cargo.toml` of the project.
        manifest: PathBuf,
    },
    /// All crates below a folder. Files that belong to none of them count as one more.
    SourceTree {
        /// The folder.
        folder: PathBuf,
    },
}

impl Crates {
    /// What a project depends on, from its folder or its `Cargo.toml`.
    #[must_use]
    pub fn of_project(path: &Path) -> Self {
        let manifest = if path.is_dir() { path.join("Cargo.toml") } else { path.to_owned() };
        Self::Dependencies { manifest }
    }
}

fn default_max_bytes_per_crate() -> usize {
    256 << 10
}

impl RustDocs {
    /// The settings for `crates`, with at most 256 KiB from each.
    #[must_use]
    pub fn new(crates: Crates) -> Self {
        Self { crates, max_bytes_per_crate: default_max_bytes_per_crate() }
    }

    /// Reads everything, on the threads of the current rayon pool. The result does not depend on their number.
    ///
    /// A file that cannot be read or parsed does not end this; see [`CrateDocs::bad_files`].
    ///
    /// # Errors
    /// [`DataError::Config`] for settings that cannot work, [`DataError::RustDocs`] if cargo does not know the dependencies, a
    /// folder cannot be listed, or there is no documentation in it.
    pub fn collect(&self, progress: &dyn Progress) -> Result<Collection, DataError> {
        self.validate()?;
        Ok(self.read(progress)?)
    }

    fn read(&self, progress: &dyn Progress) -> Result<Collection, RustDocsError> {
        let (path, mut crates) = match &self.crates {
            Crates::Dependencies { manifest } => (manifest, graph::crates(manifest)?),
            Crates::SourceTree { folder } => (folder, tree::crates(folder)?),
        };
        crates.sort();
        let stage = progress.stage("read documentation", Some(crates.len() as u64), Unit::Items("crates"));
        let threads =
            rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).stack_size(items::STACK_BYTES);
        let threads = threads.build()?;
        let mut reducer = Reducer::new(self.max_bytes_per_crate);
        for crates in crates.chunks(CRATES_AT_ONCE) {
            let read = |found: &CrateFolder| {
                let docs = read_crate(found);
                stage.advance(1);
                docs
            };
            let read: Result<Vec<_>, _> = threads.install(|| crates.par_iter().map(read).collect());
            read?.into_iter().for_each(|docs| reducer.add(docs));
        }
        let crates = reducer.finish();
        if crates.iter().all(|docs| docs.files.is_empty()) {
            return Err(RustDocsError::NothingFound { path: path.clone() });
        }
        Ok(Collection { crates })
    }
}

impl Validate for RustDocs {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("max_bytes_per_crate", self.max_bytes_per_crate)
    }
}

/// All that a crate says, duplicates included.
fn read_crate(found: &CrateFolder) -> Result<CrateDocs, RustDocsError> {
    let files = tree::files(found)?;
    let read: Vec<_> = files.into_par_iter().map(|path| (read_file(&path), path)).collect();
    let mut docs = CrateDocs::new(found.name.clone(), found.version.clone(), found.repository.clone());
    for (paragraphs, path) in read {
        match paragraphs {
            Ok(Some(paragraphs)) => docs.files.push(FileDocs { path: Arc::from(path), paragraphs }),
            Ok(None) => docs.too_large.push(path),
            Err(reason) => docs.bad_files.push(BadFile { path, reason }),
        }
    }
    Ok(docs)
}

/// The paragraphs of a file, or `None` if it is too large. Needs [`items::STACK_BYTES`] of stack.
fn read_file(path: &Path) -> Result<Option<Vec<Paragraph>>, BadFileReason> {
    let failed = |error: io::Error| BadFileReason::Io(error.to_string());
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)).map_err(failed)?;
    let source = String::from_utf8(bytes).map_err(|_| BadFileReason::NotUtf8)?;
    if tree::is_markdown(path) {
        return Ok(Some(guide(&source)));
    }
    Ok(Some(items::comments(&source)?.iter().flat_map(documentation).collect()))
}

fn guide(markdown: &str) -> Vec<Paragraph> {
    let prose = markdown::prose(markdown).into_iter();
    prose.map(|prose| Paragraph { text: prose.text, line: prose.line as u64 + 1, kind: None }).collect()
}

fn documentation(comment: &items::Comment) -> Vec<Paragraph> {
    let prose = markdown::prose(&comment.text).into_iter();
    let paragraphs = prose.map(|prose| Paragraph {
        text: prose.text,
        line: comment.lines.get(prose.line).copied().unwrap_or_default(),
        kind: comment.kind.filter(|_| prose.leads),
    });
    paragraphs.collect()
}

#[cfg(test)]
mod tests;
