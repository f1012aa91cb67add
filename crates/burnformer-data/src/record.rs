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
    /// Texts that do not go together with the first one: hard negatives of its pair.
    pub negatives: Vec<String>,
    /// Training target: the class of the text, the tags of its words, or the answers in it to the question in `pair`.
    pub target: Option<Target>,
    /// Group of the record, which a split keeps together: a repository, an author.
    pub group: Option<String>,
    /// `true` if this continues the document of the previous record. Readers return long documents in pieces, so
    /// that memory does not depend on their length.
    pub continues: bool,
    /// File of the record.
    pub path: Arc<Path>,
    /// First line of the record, counted from one; in a Parquet file the row, counted from one.
    pub line: u64,
}

impl Record {
    /// A text of its own, without pair, negatives, target or group.
    #[must_use]
    pub fn new(text: String, path: Arc<Path>, line: u64) -> Self {
        Self { text, pair: None, negatives: Vec::new(), target: None, group: None, continues: false, path, line }
    }

    /// The class, if the target is a class.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        match &self.target {
            Some(Target::Class(class)) => Some(class),
            _ => None,
        }
    }
}
