//! Atomic folders: a folder appears under its name only when it is complete.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::leftovers::{claim, sweep};
use super::{FileError, UNFINISHED, follow_links, parent, sync_folder};

/// How the hidden name of a folder ends that was set aside.
pub(super) const REPLACED: &str = ".replaced";
/// How often a hidden name is tried that another process takes for a leftover.
const TRIES: usize = 8;

/// A folder that is filled under a hidden name beside its target and renamed as a whole.
///
/// Dropping it without a commit removes it and its content.
#[derive(Debug)]
#[must_use = "the folder is removed when this is dropped without a commit"]
pub struct AtomicFolder {
    unfinished: TempDir,
    /// Open, and so locked, as long as the process lives, so that others do not take it for a leftover.
    _claim: Option<File>,
    target: PathBuf,
}

impl AtomicFolder {
    /// Creates the empty hidden folder, and removes what killed processes left beside it. An existing `target` stays unchanged
    /// until the commit; a symbolic link is followed.
    ///
    /// # Errors
    /// [`FileError::Io`] if the folder cannot be created; the parent of `target` must exist.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        let fail = || FileError::io("create a folder beside", target);
        let target = follow_links(target).map_err(fail())?;
        // A leftover that cannot be removed may belong to another user.
        let _ = sweep(parent(&target));
        for _ in 0..TRIES {
            let mut unfinished = tempfile::Builder::new();
            unfinished.prefix(UNFINISHED);
            #[cfg(unix)]
            unfinished.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
            let unfinished = unfinished.tempdir_in(parent(&target)).map_err(fail())?;
            // Not every system can open a folder.
            let opened = File::open(unfinished.path()).ok();
            if opened.as_ref().is_none_or(|folder| claim(folder, unfinished.path())) {
                return Ok(Self { unfinished, _claim: opened, target });
            }
        }
        Err(fail()(io::Error::other("another process removes every new folder here")))
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
        sync_tree(self.path()).map_err(FileError::io("write", &self.target))?;
        fs::rename(self.path(), &self.target).map_err(FileError::io("create", &self.target))?;
        // Nothing is left to remove under the hidden name.
        let _ = self.unfinished.keep();
        sync_folder(parent(&self.target)).map_err(FileError::io("create", &self.target))
    }

    /// Flushes everything to disk and puts the folder in the place of its target, as [`replace_folder`] does.
    ///
    /// # Errors
    /// As [`replace_folder`]; the new folder is then removed.
    pub fn commit_replacing(self) -> Result<(), FileError> {
        replace_folder(self.path(), &self.target)
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
}

/// Flushes the folder `new` to disk, renames it to `target`, and removes the folder that was there. Both lie beside each other.
///
/// Where the system can, the two folders change places in one step, and there is a complete folder under the name at any time.
/// Elsewhere the old one is first renamed to `.NAME.replaced`. If the process is killed in between, the complete old folder is
/// still there under that name: [`AtomicFolder::recover`] puts it back.
///
/// # Errors
/// [`FileError::NotAFolder`] if `target` is something else, [`FileError::Io`] on a system error; what was there is then in its
/// place.
pub fn replace_folder(new: &Path, target: &Path) -> Result<(), FileError> {
    let fail = || FileError::io("replace", target);
    sync_tree(new).map_err(FileError::io("write", target))?;
    AtomicFolder::recover(target)?;
    match fs::symlink_metadata(target) {
        Ok(there) if !there.is_dir() => return Err(FileError::NotAFolder { path: target.to_owned() }),
        Ok(_) => match exchange(new, target) {
            Ok(()) => {
                sync_folder(parent(target)).map_err(fail())?;
                // The new folder is in place; of the old one, the next commit removes what cannot be removed now.
                let _ = fs::remove_dir_all(new);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return set_aside(new, target),
            Err(error) => return Err(fail()(error)),
        },
        Err(_) => fs::rename(new, target).map_err(FileError::io("create", target))?,
    }
    sync_folder(parent(target)).map_err(fail())
}

/// Lets two folders change places, or fails as unsupported.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;

        match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            // Some file systems and old systems cannot.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Err(io::ErrorKind::Unsupported.into()),
            result => Ok(result?),
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    {
        let _ = (one, other);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Replaces the folder `target` by `new` in two steps.
fn set_aside(new: &Path, target: &Path) -> Result<(), FileError> {
    let aside = aside(target);
    fs::rename(target, &aside).map_err(FileError::io("replace", target))?;
    if let Err(error) = fs::rename(new, target) {
        fs::rename(&aside, target).map_err(FileError::io("restore", target))?;
        return Err(FileError::io("create", target)(error));
    }
    sync_folder(parent(target)).map_err(FileError::io("create", target))?;
    // The new folder is in place; what cannot be removed now, the next commit removes.
    let _ = fs::remove_dir_all(&aside);
    Ok(())
}

/// Where the old folder waits while the new one takes its place.
fn aside(target: &Path) -> PathBuf {
    hidden_beside(target, REPLACED)
}

/// The hidden path `.NAME` and `ending` beside `target`, whose name is NAME.
pub fn hidden_beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(ending);
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
        folder.commit_replacing().unwrap_err();
        assert_eq!(content(&target), "old");
        assert_eq!(names(place.path()), ["target"]);
    }

    #[test]
    fn a_folder_is_replaced_where_two_cannot_change_places() {
        let (place, target) = place();
        filled(&target, "old").commit().unwrap();
        let new = filled(&target, "new");
        set_aside(new.path(), &target).unwrap();
        assert_eq!(content(&target), "new");
        let missing = place.path().join("missing");
        set_aside(&missing, &target).unwrap_err();
        assert_eq!(content(&target), "new");
        assert_eq!(names(place.path()), ["target"]);
    }

    #[test]
    fn a_folder_replaces_nothing_but_a_folder() {
        let (place, target) = place();
        fs::write(&target, "years of work").unwrap();
        let error = filled(&target, "new").commit_replacing().unwrap_err();
        assert!(matches!(error, FileError::NotAFolder { .. }), "{error}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "years of work");
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
