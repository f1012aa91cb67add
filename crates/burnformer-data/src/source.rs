//! Where records come from, part by part, and what happens to rows that are no good.

use serde::{Deserialize, Serialize};

use crate::{DataError, Record};

/// Text that is read part by part.
pub trait Source: Send + Sync {
    /// The parts, in the order in which they are read.
    fn parts(&self) -> &[Part];

    /// The records of part number `part`, read while they are asked for.
    ///
    /// After an error that is a bad row ([`DataError::is_bad_row`]) the iterator goes on behind it, or ends where there is
    /// nothing to go on with; after any other error it ends.
    ///
    /// # Panics
    /// If there is no such part.
    fn read(&self, part: usize) -> RecordReader;
}

/// Records as they are read.
pub type RecordReader = Box<dyn Iterator<Item = Result<Record, DataError>> + Send>;

/// One part of a source: a file, or a crate with its documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What the user knows it by: the path of a file, the name and version of a crate.
    pub name: String,
    /// Its size on the disk in bytes, as far as progress is concerned.
    pub bytes: u64,
    /// Changes when the content does: a hash of size and time of modification, or of the content itself.
    pub fingerprint: u64,
}

/// What to do with a row that cannot be used: invalid UTF-8, a missing column, a torn file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnBadRow {
    /// End with the error.
    #[default]
    Error,
    /// Leave the row out and count it.
    Skip,
}

/// How many rows were left out, and why.
#[derive(Debug, Default)]
pub struct Skipped {
    /// How many.
    pub rows: u64,
    /// The first of them, as examples.
    pub examples: Vec<DataError>,
}

/// How many examples [`Skipped`] keeps.
const EXAMPLES: usize = 5;

impl Skipped {
    /// Passes on what `item` holds, or nothing if it is a bad row that `policy` says to skip, which is counted.
    ///
    /// # Errors
    /// The error in `item`, unless it is skipped.
    pub fn filter<T>(&mut self, policy: OnBadRow, item: Result<T, DataError>) -> Result<Option<T>, DataError> {
        match item {
            Err(error) if policy == OnBadRow::Skip && error.is_bad_row() => {
                self.rows += 1;
                if self.examples.len() < EXAMPLES {
                    self.examples.push(error);
                }
                Ok(None)
            }
            item => item.map(Some),
        }
    }
}
