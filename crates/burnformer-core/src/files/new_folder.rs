//! A new folder, with the folders around it.

use std::fs;
use std::path::{Path, PathBuf};

use super::{AtomicFolder, FileError};

/// A folder that appears when it is committed. Until then nothing is left of it when it is dropped, nor of the folders that
/// were made around it.
#[derive(Debug)]
pub struct NewFolder {
    // The order matters: the one inside is removed first.
    folder: AtomicFolder,
    around: Around,
}

/// Folders that were made, the innermost first; those that are still empty are removed.
#[derive(Debug)]
struct Around(Vec<PathBuf>);

impl NewFolder {
    /// Begins the folder `out`, and the folders around it, before the work does.
    ///
    /// # Errors
    /// [`FileError::Exists`] if anything is there, [`FileError::Io`] if it cannot be made.
    pub fn create(out: &Path) -> Result<Self, FileError> {
        if fs::symlink_metadata(out).is_ok() {
            return Err(FileError::Exists { path: out.to_owned() });
        }
        let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let around = Around(out.ancestors().skip(1).take_while(missing).map(Path::to_owned).collect());
        if let Some(folder) = around.0.first() {
            fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
        }
        Ok(Self { folder: AtomicFolder::create(out)?, around })
    }

    /// Where its files go until it is committed.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes it appear under its name.
    ///
    /// # Errors
    /// As [`AtomicFolder::commit`].
    pub fn commit(mut self) -> Result<(), FileError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_with_those_around_it_when_it_is_committed() {
        let base = tempfile::tempdir().unwrap();
        let out = base.path().join("a/b");
        let fill = || {
            let folder = NewFolder::create(&out).unwrap();
            fs::write(folder.path().join("c"), "text").unwrap();
            folder
        };
        let folder = fill();
        assert!(!out.exists());
        drop(folder);
        assert!(!base.path().join("a").exists());
        fill().commit().unwrap();
        assert_eq!(fs::read_to_string(out.join("c")).unwrap(), "text");
    }

    #[test]
    fn nothing_that_is_there_is_written_over() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("file"), "").unwrap();
        for out in [base.path().to_owned(), base.path().join("file")] {
            let error = NewFolder::create(&out).unwrap_err();
            let wanted = format!("`{}` already exists: remove it or choose another name", out.display());
            assert_eq!(error.to_string(), wanted);
        }
    }
}
