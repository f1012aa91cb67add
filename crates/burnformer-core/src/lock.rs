//! A lock on a folder, so that two processes do not write into the same run.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Name of the lock file inside the folder.
const LOCK_FILE: &str = ".lock";

/// Why a folder cannot be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process holds the lock.
    #[error(
        "`{}` is in use by {}, wait until it ends or choose another folder",
        folder.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The folder.
        folder: PathBuf,
        /// Identifier of the process that holds the lock, if known.
        pid: Option<u32>,
    },
    /// The lock file cannot be opened, locked or written.
    #[error("cannot lock the folder `{}`", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Exclusive lock on a folder. Released on drop, and when the process ends.
///
/// The lock is advisory: it stops only those who take it too. It is a lock on the hidden file `.lock`, which is not deleted
/// on release: a process that had the file open could then lock the deleted file while another one locks a new file of
/// that name, and both would believe that they hold the lock.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Locks `folder`, which must exist, without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] if the folder is locked already, also by this process.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { folder: folder.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(folder.join(LOCK_FILE)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { folder: folder.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // A process that died left its number.
        file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { file })
    }
}

impl FolderLock {
    /// The process on this machine that has locked `folder`, as far as that can be told without taking the lock. Where the
    /// system does not list its locks (it is asked on Linux only), the process that was the last to lock the folder and did
    /// not end by itself.
    #[must_use]
    pub fn holder(folder: &Path) -> Option<u32> {
        let mut file = File::open(folder.join(LOCK_FILE)).ok()?;
        let pid = read_pid(&mut file)?;
        #[cfg(target_os = "linux")]
        if let Ok(locks) = std::fs::read_to_string("/proc/locks") {
            use std::os::unix::fs::MetadataExt;
            let inode = file.metadata().ok()?.ino();
            return is_listed(&locks, inode).then_some(pid);
        }
        Some(pid)
    }
}

/// Whether a lock on the file `inode` is in this list of the kernel, with lines such as
/// `1: FLOCK  ADVISORY  WRITE 4910 fe:00:5909211 0 EOF`.
#[cfg(target_os = "linux")]
fn is_listed(locks: &str, inode: u64) -> bool {
    let inode = inode.to_string();
    locks.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1) == Some(&"FLOCK") && fields.get(5).and_then(|place| place.rsplit(':').next()) == Some(&inode)
    })
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file releases the lock; a number that stays behind could only make a message wrong.
        let _ = self.file.set_len(0);
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_is_seen_without_taking_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(FolderLock::holder(folder.path()), None);
        let lock = FolderLock::acquire(folder.path()).unwrap();
        assert_eq!(FolderLock::holder(folder.path()), Some(std::process::id()));
        drop(lock);
        assert_eq!(FolderLock::holder(folder.path()), None);
        assert_eq!(std::fs::read(folder.path().join(LOCK_FILE)).unwrap(), b"");
    }

    /// A process that was killed leaves its number, and no lock.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_number_that_was_left_behind_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LOCK_FILE), std::process::id().to_string()).unwrap();
        assert_eq!(FolderLock::holder(folder.path()), None);
        assert!(is_listed("1: POSIX  ADVISORY  READ 9 fe:00:7 0 EOF\n2: FLOCK  ADVISORY  WRITE 4 fe:00:7 0 EOF\n", 7));
        assert!(!is_listed(
            "1: POSIX  ADVISORY  READ 9 fe:00:7 0 EOF\n2: FLOCK  ADVISORY  WRITE 4 fe:00:17 0 EOF\n",
            7
        ));
    }

    #[test]
    fn a_locked_folder_is_refused_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::acquire(folder.path()).unwrap();
        let error = FolderLock::acquire(folder.path()).unwrap_err();
        let (path, pid) = (folder.path().display(), std::process::id());
        assert_eq!(
            error.to_string(),
            format!("`{path}` is in use by process {pid}, wait until it ends or choose another folder")
        );
        drop(lock);
        let _again = FolderLock::acquire(folder.path()).unwrap();
    }

    #[test]
    fn the_number_of_a_dead_process_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LOCK_FILE), "4000000000").unwrap();
        let _lock = FolderLock::acquire(folder.path()).unwrap();
        let error = FolderLock::acquire(folder.path()).unwrap_err();
        let LockError::Held { pid, .. } = error else { panic!("{error}") };
        assert_eq!(pid, Some(std::process::id()));
    }

    #[test]
    fn two_folders_have_two_locks() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let _a = FolderLock::acquire(a.path()).unwrap();
        let _b = FolderLock::acquire(b.path()).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = FolderLock::acquire(Path::new("no/such/folder")).unwrap_err();
        assert_eq!(error.to_string(), "cannot lock the folder `no/such/folder`");
    }
}
