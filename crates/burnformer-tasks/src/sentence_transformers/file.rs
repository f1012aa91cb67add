//! Reading and writing of the JSON files.

use std::fs;
use std::path::Path;

use burnformer_core::files::{FileError, SETTINGS_LIMIT, atomic_write_bytes, read_text};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::TaskError;

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TaskError> {
    let text = read_text(path, SETTINGS_LIMIT).map_err(|source| TaskError::Read { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| TaskError::Json { path: path.to_owned(), source })
}

/// The content of a file; `None` if there is no such file.
pub(super) fn read_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TaskError> {
    if path.is_file() { read_json(path).map(Some) } else { Ok(None) }
}

pub(super) fn write_json(path: &Path, json: &Value) -> Result<(), FileError> {
    atomic_write_bytes(path, serde_json::to_string_pretty(json).expect("keys are text") + "\n")
}

pub(super) fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|source| FileError::Io { attempt: "create", path: path.to_owned(), source })
}

/// The error of a setting that is not supported.
pub(super) fn unsupported(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> TaskError {
    TaskError::Embedding { path: path.to_owned(), found: found.into(), expected: expected.into() }
}
