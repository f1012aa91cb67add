//! What commands write: folders that were not there before, JSON lines, and the lines of a report.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use burnformer::core::files::{AtomicFolder, FileError};
use serde::Serialize;

/// A folder that appears when it is committed. Until then nothing is left of it when it is dropped, nor of the folders that
/// were made around it.
#[derive(Debug)]
pub(crate) struct NewFolder {
    // The order matters: the one inside is removed first.
    folder: AtomicFolder,
    around: Around,
}

/// Folders that were made, the innermost first; those that are still empty are removed.
#[derive(Debug)]
struct Around(Vec<PathBuf>);

/// Begins the folder `out`, and the folders around it, before the work does.
///
/// # Errors
/// [`FileError::Exists`] if anything is there, [`FileError::Io`] if it cannot be made.
pub(crate) fn new_folder(out: &Path) -> Result<NewFolder, FileError> {
    if fs::symlink_metadata(out).is_ok() {
        return Err(FileError::Exists { path: out.to_owned() });
    }
    let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let around = Around(out.ancestors().skip(1).take_while(missing).map(Path::to_owned).collect());
    if let Some(folder) = around.0.first() {
        fs::create_dir_all(folder).map_err(|source| cannot("create", folder, source))?;
    }
    Ok(NewFolder { folder: AtomicFolder::create(out)?, around })
}

impl NewFolder {
    /// Where its files go until it is committed.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes it appear under its name.
    ///
    /// # Errors
    /// As [`AtomicFolder::commit`].
    pub(crate) fn commit(mut self) -> Result<(), FileError> {
        self.folder.commit()?;
        self.around.0.clear();
        Ok(())
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Others may have put something there.
            let _ = fs::remove_dir(folder);
        }
    }
}

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
    use super::*;

    #[test]
    fn a_folder_appears_with_those_around_it_when_it_is_committed() {
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("a/b");
        let folder = new_folder(&out).unwrap();
        let mut lines = JsonLines::create(&folder, "c.jsonl").unwrap();
        lines.write(&serde_json::json!({"text": "one\ntwo"})).unwrap();
        lines.finish().unwrap();
        assert!(!out.exists());
        drop(folder);
        assert!(!base.path().join("a").exists());
        let folder = new_folder(&out).unwrap();
        let mut lines = JsonLines::create(&folder, "c.jsonl").unwrap();
        lines.write(&serde_json::json!({"text": "one\ntwo"})).unwrap();
        lines.finish().unwrap();
        folder.commit().unwrap();
        assert_eq!(fs::read_to_string(out.join("c.jsonl")).unwrap(), "{\"text\":\"one\\ntwo\"}\n");
    }

    #[test]
    fn nothing_that_is_there_is_written_over() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("file"), "").unwrap();
        for out in [base.path().to_owned(), base.path().join("file")] {
            let error = new_folder(&out).unwrap_err();
            let wanted = format!("`{}` already exists: remove it or choose another name", out.display());
            assert_eq!(error.to_string(), wanted);
        }
    }
}
