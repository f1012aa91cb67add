//! What commands write: JSON lines, and the lines of a report.

use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use burnformer::core::files::{FileError, NewFolder};
use serde::Serialize;

/// A file with a JSON object in each line.
pub(crate) struct JsonLines {
    file: BufWriter<File>,
    path: PathBuf,
}

impl JsonLines {
    /// An empty file `name` in `folder`.
    ///
    /// # Errors
    /// [`FileError::Io`] if it cannot be made.
    pub(crate) fn create(folder: &NewFolder, name: &str) -> Result<Self, FileError> {
        let path = folder.path().join(name);
        let file = File::create(&path).map_err(|source| cannot("create", &path, source))?;
        Ok(Self { file: BufWriter::new(file), path })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`FileError::Io`] if it cannot be written.
    pub(crate) fn write(&mut self, row: &impl Serialize) -> Result<(), FileError> {
        let written = serde_json::to_writer(&mut self.file, row).map_err(io::Error::from);
        let written = written.and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|source| cannot("write", &self.path, source))
    }

    /// Hands the last lines to the system.
    ///
    /// # Errors
    /// [`FileError::Io`] if they cannot be written.
    pub(crate) fn finish(mut self) -> Result<(), FileError> {
        self.file.flush().map_err(|source| cannot("write", &self.path, source))
    }
}

fn cannot(attempt: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError::Io { attempt, path: path.to_owned(), source }
}

/// A line of a report for people: what it is, and how much.
pub(crate) fn fact(f: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "{name:<20} {value}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_row_is_a_line() {
        let base = tempfile::tempdir().unwrap();
        let folder = NewFolder::create(&base.path().join("a")).unwrap();
        let mut lines = JsonLines::create(&folder, "c.jsonl").unwrap();
        lines.write(&serde_json::json!({"text": "one\ntwo"})).unwrap();
        lines.finish().unwrap();
        let text = fs::read_to_string(folder.path().join("c.jsonl")).unwrap();
        assert_eq!(text, "{\"text\":\"one\\ntwo\"}\n");
    }
}
