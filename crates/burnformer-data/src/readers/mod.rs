//! Files of text, tables and JSON lines as records.

/// A file or a row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {}

impl ReadError {
    pub(crate) fn is_bad_row(&self) -> bool {
        match *self {}
    }
}
