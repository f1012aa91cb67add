//! Atomic files and folders: complete or absent, also after a crash or a loss of power.
//!
//! Both are written under a hidden name beside the target, flushed to disk and renamed. A process that is killed leaves its
//! hidden file or folder behind; the next one that creates an [`AtomicFile`] or [`AtomicFolder`] beside it removes it.

mod file;
mod folder;
mod leftovers;
mod new_folder;
mod read;
mod removal;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use file::AtomicFile;
pub use folder::{AtomicFolder, hidden_beside, replace_folder};
pub use leftovers::remove_leftovers;
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
    /// A file is to be written where a folder is.
    #[error("`{}` is a folder, expected the name of a file", path.display())]
    IsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is to be replaced where something else is.
    #[error("`{}` is not a folder, and is not replaced by one: remove it or choose another name", path.display())]
    NotAFolder {
        /// What is there.
        path: PathBuf,
    },
}

impl FileError {
    fn io(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { attempt, path: path.to_owned(), source }
    }
}

/// Replaces the content of the file `path` with what `write` writes, or leaves the file unchanged. See [`AtomicFile`].
///
/// # Errors
/// As [`AtomicFile::commit`]; also for an error of `write`, which leaves the old content unchanged.
pub fn atomic_write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), FileError> {
    let mut file = AtomicFile::begin(path)?;
    write(&mut file).map_err(FileError::io("write", path))?;
    file.commit()
}

/// Replaces the content of the file `path` with `bytes`, or leaves the file unchanged. See [`atomic_write`].
///
/// # Errors
/// As [`atomic_write`].
pub fn atomic_write_bytes(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), FileError> {
    atomic_write(path, |file| file.write_all(bytes.as_ref()))
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
