//! Atomic files and folders: complete or absent, also after a crash or a loss of power.
//!
//! Both are written under a hidden name beside the target, flushed to disk and renamed. A process that is killed leaves its
//! hidden file or folder behind; [`remove_leftovers`] removes them.

mod folder;
mod new_folder;
mod read;
mod removal;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

pub use folder::AtomicFolder;
pub use new_folder::NewFolder;
pub use read::{SETTINGS_LIMIT, Unreadable, open_regular, read_limited, read_text};
pub use removal::remove_folder;

/// How the names of unfinished files and folders begin.
const UNFINISHED: &str = ".unfinished-";

/// A file or folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system reported an error.
    #[error("cannot {attempt} `{}`", path.display())]
    Io {
        /// The attempted operation, as a verb.
        attempt: &'static str,
        /// The file or folder it was attempted on.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The target exists and must not be replaced.
    #[error("`{}` already exists: remove it or choose another name", path.display())]
    Exists {
        /// The existing file or folder.
        path: PathBuf,
    },
}

impl FileError {
    fn io(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { attempt, path: path.to_owned(), source }
    }
}

/// Replaces the content of the file `path` with what `write` writes, or leaves the file unchanged.
///
/// A symbolic link stays, and the file it points to is replaced. A new file gets the permissions of `File::create`, a
/// replaced file keeps its own.
///
/// # Errors
/// [`FileError::Io`], also for an error of `write`. The old content is then unchanged, unless only the last step failed:
/// flushing the rename to disk.
pub fn atomic_write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), FileError> {
    let fail = || FileError::io("write", path);
    let target = follow_links(path).map_err(fail())?;
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(UNFINISHED);
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = temporary.tempfile_in(parent(&target)).map_err(fail())?;

    let mut writer = BufWriter::new(temporary.as_file_mut());
    write(&mut writer).and_then(|()| writer.flush()).map_err(fail())?;
    drop(writer);
    #[cfg(unix)]
    if let Ok(old) = fs::metadata(&target) {
        temporary.as_file().set_permissions(old.permissions()).map_err(fail())?;
    }
    temporary.as_file().sync_all().map_err(fail())?;
    temporary.persist(&target).map_err(|error| fail()(error.error))?;
    sync_folder(parent(&target)).map_err(fail())
}

/// Replaces the content of the file `path` with `bytes`, or leaves the file unchanged. See [`atomic_write`].
///
/// # Errors
/// As [`atomic_write`].
pub fn atomic_write_bytes(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), FileError> {
    atomic_write(path, |file| file.write_all(bytes.as_ref()))
}

/// Removes the hidden files and folders that killed processes left in `folder`.
///
/// It cannot tell them from writes in progress: call it only while no other process writes into `folder`, for instance
/// under a [`FolderLock`](crate::lock::FolderLock).
///
/// # Errors
/// [`FileError::Io`] if something cannot be removed.
pub fn remove_leftovers(folder: &Path) -> Result<(), FileError> {
    let fail = || FileError::io("list", folder);
    for entry in fs::read_dir(folder).map_err(fail())? {
        let entry = entry.map_err(fail())?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            let (path, kind) = (entry.path(), entry.file_type().map_err(fail())?);
            let removed = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(FileError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// The path behind `path` if that is a symbolic link, whether or not anything is there.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(link) => path = parent(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// The folder that `path` lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != OsStr::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in `folder` survive a loss of power. Outside Unix there is no such call.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in `folder`, sorted.
    pub(super) fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_creates_or_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for content in ["first", "second, longer", ""] {
            atomic_write_bytes(&path, content).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_write_that_fails_half_way_leaves_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        atomic_write_bytes(&path, "old").unwrap();
        let error = atomic_write(&path, |file| {
            file.write_all(&[b'n'; 100_000])?;
            Err(io::Error::other("disk full"))
        })
        .unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write `{}`", path.display()));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk full");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_target_that_cannot_be_replaced_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        atomic_write_bytes(&path, "new").unwrap_err();
        assert_eq!(names(folder.path()), ["a"]);
        atomic_write_bytes(&folder.path().join("missing/a"), "new").unwrap_err();
    }

    #[test]
    fn leftovers_of_killed_processes_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at(".unfinished-a"), "").unwrap();
        fs::create_dir(at(".unfinished-b")).unwrap();
        fs::write(at(".unfinished-b/c"), "").unwrap();
        fs::write(at("kept"), "").unwrap();
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["kept"]);
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::fs::{PermissionsExt, symlink};

        use super::*;

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o777
        }

        #[test]
        fn permissions_are_those_of_an_ordinary_file_or_of_the_replaced_one() {
            let folder = tempfile::tempdir().unwrap();
            let (ordinary, path) = (folder.path().join("ordinary"), folder.path().join("a"));
            fs::write(&ordinary, "").unwrap();
            atomic_write_bytes(&path, "").unwrap();
            assert_eq!(mode(&path), mode(&ordinary));
            fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            atomic_write_bytes(&path, "secret").unwrap();
            assert_eq!(mode(&path), 0o600);
        }

        #[test]
        fn a_link_stays_and_its_target_is_written() {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            fs::create_dir(at("store")).unwrap();
            symlink("store/file", at("link")).unwrap();
            for content in ["created", "replaced"] {
                atomic_write_bytes(&at("link"), content).unwrap();
                assert_eq!(fs::read_to_string(at("store/file")).unwrap(), content);
            }
            assert_eq!(fs::read_link(at("link")).unwrap(), Path::new("store/file"));
            assert_eq!(names(&at("store")), ["file"]);
        }

        #[test]
        fn a_circle_of_links_is_an_error() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("link");
            symlink("link", &path).unwrap();
            atomic_write_bytes(&path, "").unwrap_err();
        }
    }
}
