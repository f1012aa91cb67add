//! What killed processes left behind, told from what living ones write.
//!
//! A process holds a lock on each of its unfinished files and folders. The system drops it when the process ends, however it
//! does. So what is not locked is a leftover.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::folder::{AtomicFolder, REPLACED};
use super::{FileError, UNFINISHED};

/// Removes the hidden files and folders that killed processes left in `folder`, and puts back the folders that a killed process
/// had set aside to replace them.
///
/// Call it only while no other process replaces folders in `folder`, for instance under a
/// [`FolderLock`](crate::lock::FolderLock).
///
/// # Errors
/// [`FileError::Io`] if something cannot be removed.
pub fn remove_leftovers(folder: &Path) -> Result<(), FileError> {
    sweep(folder)?;
    for name in names(folder)? {
        if let Some(name) = set_aside(&name) {
            AtomicFolder::recover(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Removes the hidden files and folders in `folder` that belong to no living process.
pub(super) fn sweep(folder: &Path) -> Result<(), FileError> {
    for name in names(folder)? {
        if !name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            continue;
        }
        let path = folder.join(name);
        // Opening a pipe would wait; a link is none of ours.
        let Ok(kind) = fs::symlink_metadata(&path).map(|there| there.file_type()) else { continue };
        if !kind.is_dir() && !kind.is_file() {
            continue;
        }
        let Ok(item) = File::open(&path) else { continue };
        if !claim(&item, &path) {
            continue;
        }
        let removed = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(FileError::io("remove", &path))?;
    }
    Ok(())
}

/// Locks the unfinished `item` at `path` for as long as it is open. `false` if it belongs to another process, or is no longer
/// there. Where the system has no such locks, every claim is granted.
pub(super) fn claim(item: &File, path: &Path) -> bool {
    match item.try_lock() {
        Err(TryLockError::WouldBlock) => false,
        Ok(()) | Err(TryLockError::Error(_)) => fs::symlink_metadata(path).is_ok(),
    }
}

fn names(folder: &Path) -> Result<Vec<OsString>, FileError> {
    let fail = || FileError::io("list", folder);
    let entries = fs::read_dir(folder).map_err(fail())?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(fail())).collect()
}

/// The name of the folder that was set aside under `hidden`.
fn set_aside(hidden: &OsStr) -> Option<PathBuf> {
    let name = hidden.to_str()?.strip_prefix('.')?.strip_suffix(REPLACED)?;
    (!name.is_empty()).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::names;
    use super::*;

    #[test]
    fn leftovers_of_killed_processes_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at(".unfinished-a"), "").unwrap();
        fs::create_dir(at(".unfinished-b")).unwrap();
        fs::write(at(".unfinished-b/c"), "").unwrap();
        fs::write(at("kept"), "").unwrap();
        let living = AtomicFolder::create(&at("living")).unwrap();
        remove_leftovers(folder.path()).unwrap();
        let hidden = living.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(names(folder.path()), [hidden.as_str(), "kept"]);
        living.commit().unwrap();
        assert_eq!(names(folder.path()), ["kept", "living"]);
    }

    #[test]
    fn a_folder_that_was_set_aside_comes_back_unless_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".lost.replaced", ".new.replaced", "new"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["lost", "new"]);
    }
}
