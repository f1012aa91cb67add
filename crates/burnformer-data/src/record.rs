//! One text of a source.

use std::path::Path;
use std::sync::Arc;

use crate::Target;

/// One text of a source, or one pair of texts, with what is known about it.
///
/// A text may consist of paragraphs, separated by `\n`; a sentence never crosses from one into the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The text, or the first one of a pair.
    pub text: String,
    /// The second text of a pair: a hypothesis, an answer, a translation.
    pub pair: Option<String>,
    /// What a model is to be trained to give for it: its class, or the tags of its words.
    pub target: Option<Target>,
    /// What it has in common with other records, so that a split keeps them together: a repository, an author.
    pub group: Option<String>,
    /// `true` if this goes on with the document of the record before it. Readers hand out long documents in pieces, so
    /// that memory does not depend on their length.
    pub continues: bool,
    /// The file it stands in.
    pub path: Arc<Path>,
    /// Where it begins: the line, counted from one; in a Parquet file the row, counted from one.
    pub line: u64,
}

impl Record {
    /// A text of its own, without pair, target or group.
    #[must_use]
    pub fn new(text: String, path: Arc<Path>, line: u64) -> Self {
        Self { text, pair: None, target: None, group: None, continues: false, path, line }
    }

    /// Its class, if that is what a model is to be trained on.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        match &self.target {
            Some(Target::Class(class)) => Some(class),
            _ => None,
        }
    }
}
