//! Atomic folders: a folder appears under its name only when it is complete.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{FileError, UNFINISHED, follow_links, parent, sync_folder};

/// A folder that is filled under a hidden name beside its target and renamed as a whole.
///
/// Dropping it without a commit removes it and its content.
#[derive(Debug)]
#[must_use = "the folder is removed when this is dropped without a commit"]
pub struct AtomicFolder {
    unfinished: TempDir,
    target: PathBuf,
}

impl AtomicFolder {
    /// Creates the empty hidden folder. An existing `target` stays unchanged until the commit; a symbolic link is followed.
    ///
    /// # Errors
    /// [`FileError::Io`] if the folder cannot be created; the parent of `target` must exist.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        let fail = || FileError::io("create a folder beside", target);
        let target = follow_links(target).map_err(fail())?;
        let mut unfinished = tempfile::Builder::new();
        unfinished.prefix(UNFINISHED);
        #[cfg(unix)]
        unfinished.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let unfinished = unfinished.tempdir_in(parent(&target)).map_err(fail())?;
        Ok(Self { unfinished, target })
    }

    /// Path of the hidden folder; write the files here.
    pub fn path(&self) -> &Path {
        self.unfinished.path()
    }

    /// Flushes everything to disk and renames the folder to its target, which must not exist.
    ///
    /// # Errors
    /// [`FileError::Exists`] if the target exists, [`FileError::Io`] on a system error; the hidden folder is then removed.
    pub fn commit(self) -> Result<(), FileError> {
        if fs::symlink_metadata(&self.target).is_ok() {
            return Err(FileError::Exists { path: self.target });
        }
        self.sync()?;
        self.rename()
    }

    /// Flushes everything to disk and renames the folder to its target, replacing an existing one.
    ///
    /// A folder that is not empty cannot be renamed over. So the old one is first renamed to `.NAME.replaced`, and removed
    /// when the new one is in place. If the process is killed in between, the complete old folder is still there under that
    /// name: [`AtomicFolder::recover`] puts it back.
    ///
    /// # Errors
    /// [`FileError::Io`] on a system error; the old folder is then back in its place and the new one removed.
    pub fn commit_replacing(self) -> Result<(), FileError> {
        self.sync()?;
        self.replace()
    }

    /// Cleans up after a process that was killed inside [`AtomicFolder::commit_replacing`]: puts the old folder back if
    /// `target` does not exist, else removes it. Does nothing if there is no old folder.
    ///
    /// Call it before reading such a folder, while no other process writes it.
    ///
    /// # Errors
    /// [`FileError::Io`] on a system error.
    pub fn recover(target: &Path) -> Result<(), FileError> {
        let fail = || FileError::io("recover", target);
        let target = follow_links(target).map_err(fail())?;
        let aside = aside(&target);
        if fs::symlink_metadata(&aside).is_err() {
            return Ok(());
        }
        if fs::symlink_metadata(&target).is_ok() {
            return fs::remove_dir_all(&aside).map_err(fail());
        }
        fs::rename(&aside, &target).and_then(|()| sync_folder(parent(&target))).map_err(fail())
    }

    fn replace(self) -> Result<(), FileError> {
        Self::recover(&self.target)?;
        let (target, aside) = (self.target.clone(), aside(&self.target));
        match fs::rename(&target, &aside) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.rename(),
            Err(error) => return Err(FileError::io("replace", &target)(error)),
        }
        let renamed = self.rename();
        // A rename that worked, and only could not be synced, is not taken back.
        if renamed.is_err() && fs::symlink_metadata(&target).is_err() {
            fs::rename(&aside, &target).map_err(FileError::io("restore", &target))?;
        }
        renamed?;
        // The commit has succeeded; what cannot be removed now, the next one removes.
        let _ = fs::remove_dir_all(&aside);
        Ok(())
    }

    fn sync(&self) -> Result<(), FileError> {
        sync_tree(self.path()).map_err(FileError::io("write", &self.target))
    }

    fn rename(self) -> Result<(), FileError> {
        let fail = || FileError::io("create", &self.target);
        fs::rename(self.unfinished.path(), &self.target).map_err(fail())?;
        // Nothing is left to remove under the hidden name.
        let _ = self.unfinished.keep();
        sync_folder(parent(&self.target)).map_err(fail())
    }
}

/// Where the old folder waits while the new one takes its place.
fn aside(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".replaced");
    target.with_file_name(name)
}

/// Writes all files and folders under `folder`, and itself, through to the disk.
fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            // Windows flushes only what is open for writing; on Unix a file may be read-only by now.
            OpenOptions::new().read(true).write(cfg!(windows)).open(&path)?.sync_all()?;
        }
    }
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::super::tests::names;
    use super::*;

    /// A folder to work in, and the path `target` in it.
    fn place() -> (TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        (place, target)
    }

    fn filled(target: &Path, content: &str) -> AtomicFolder {
        let folder = AtomicFolder::create(target).unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/file"), content).unwrap();
        folder
    }

    fn content(target: &Path) -> String {
        fs::read_to_string(target.join("sub/file")).unwrap()
    }

    #[test]
    fn a_folder_appears_when_it_is_committed() {
        let (place, target) = place();
        let folder = filled(&target, "new");
        assert!(!target.exists());
        folder.commit().unwrap();
        assert_eq!(content(&target), "new");
        assert_eq!(names(place.path()), ["target"]);
    }

    #[test]
    fn a_folder_that_is_not_committed_is_removed() {
        let (place, target) = place();
        drop(filled(&target, "new"));
        assert!(names(place.path()).is_empty());
    }

    #[test]
    fn a_commit_replaces_only_when_asked_to() {
        let (place, target) = place();
        filled(&target, "old").commit().unwrap();
        let error = filled(&target, "new").commit().unwrap_err();
        assert!(matches!(error, FileError::Exists { .. }), "{error}");
        assert_eq!(content(&target), "old");
        filled(&target, "new").commit_replacing().unwrap();
        assert_eq!(content(&target), "new");
        assert_eq!(names(place.path()), ["target"]);
    }

    #[test]
    fn a_replacing_commit_needs_nothing_to_replace() {
        let (place, target) = place();
        filled(&target, "new").commit_replacing().unwrap();
        assert_eq!(content(&target), "new");
        assert_eq!(names(place.path()), ["target"]);
    }

    #[test]
    fn a_replacing_commit_that_fails_puts_the_old_folder_back() {
        let (place, target) = place();
        filled(&target, "old").commit().unwrap();
        let folder = filled(&target, "new");
        fs::remove_dir_all(folder.path()).unwrap();
        folder.replace().unwrap_err();
        assert_eq!(content(&target), "old");
        assert_eq!(names(place.path()), ["target"]);
    }

    #[test]
    fn a_crash_between_the_two_renames_loses_nothing() {
        let (place, target) = place();
        filled(&target, "old").commit().unwrap();
        fs::rename(&target, aside(&target)).unwrap();
        AtomicFolder::recover(&target).unwrap();
        assert_eq!(content(&target), "old");
        assert_eq!(names(place.path()), ["target"]);
    }

    #[test]
    fn a_crash_before_the_old_folder_is_removed_keeps_the_new_one() {
        let (place, target) = place();
        filled(&aside(&target), "old").commit().unwrap();
        filled(&target, "new").commit().unwrap();
        AtomicFolder::recover(&target).unwrap();
        AtomicFolder::recover(&target).unwrap();
        assert_eq!(content(&target), "new");
        assert_eq!(names(place.path()), ["target"]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_an_ordinary_folder() {
        use std::os::unix::fs::PermissionsExt;

        let (place, target) = place();
        let ordinary = place.path().join("ordinary");
        fs::create_dir(&ordinary).unwrap();
        filled(&target, "new").commit().unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&target), mode(&ordinary));
    }
}
