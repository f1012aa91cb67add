//! The documentation of Rust crates as records.

/// Documentation that cannot be collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RustDocsError {}

impl RustDocsError {
    pub(crate) fn is_bad_row(&self) -> bool {
        match *self {}
    }
}
