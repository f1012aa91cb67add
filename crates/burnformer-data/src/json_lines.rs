//! Writing JSON lines.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use burnformer_core::files::FileError;
use serde::Serialize;

/// A file with a JSON object in each line.
#[derive(Debug)]
pub struct JsonLines {
    file: BufWriter<File>,
    path: PathBuf,
}

impl JsonLines {
    /// Creates the file `path`; an existing file is overwritten.
    ///
    /// # Errors
    /// [`FileError::Io`] if it cannot be created.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let file = File::create(path).map_err(|source| cannot("create", path, source))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`FileError::Io`] if it cannot be written.
    pub fn write(&mut self, row: &impl Serialize) -> Result<(), FileError> {
        let written = serde_json::to_writer(&mut self.file, row).map_err(io::Error::from);
        let written = written.and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|source| cannot("write", &self.path, source))
    }

    /// Flushes the last lines.
    ///
    /// # Errors
    /// [`FileError::Io`] if they cannot be written.
    pub fn finish(mut self) -> Result<(), FileError> {
        self.file.flush().map_err(|source| cannot("write", &self.path, source))
    }
}

pub(crate) fn cannot(attempt: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError::Io { attempt, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.jsonl");
        let mut lines = JsonLines::create(&path).unwrap();
        lines.write(&serde_json::json!({"text": "one\ntwo"})).unwrap();
        lines.write(&serde_json::json!({"text": "é"})).unwrap();
        lines.finish().unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"text\":\"one\\ntwo\"}\n{\"text\":\"é\"}\n");
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named() {
        let error = JsonLines::create(Path::new("missing/a.jsonl")).unwrap_err();
        assert_eq!(error.to_string(), "cannot create `missing/a.jsonl`");
    }
}
