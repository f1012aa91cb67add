//! Small files as a whole: regular ones up to a limit, so that neither a pipe nor an endless device nor a file of gigabytes
//! can stop or fill the program that expects settings.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;

/// Largest file of settings, in bytes, in TOML or JSON: the labels of 200,000 classes or the names of 100,000 files fit in.
pub const SETTINGS_LIMIT: u64 = 16 << 20;

/// First lines of the files that Git LFS leaves in the place of large ones; the second is from before its first release.
const LFS_POINTERS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/v1\n", b"version https://hawser.github.com/spec/v1\n"];
/// A pointer is shorter than this, in bytes.
const LFS_LIMIT: u64 = 1024;

/// Why a file is not read, as the source of an [`io::Error`] of kind [`InvalidInput`](io::ErrorKind::InvalidInput) or
/// [`FileTooLarge`](io::ErrorKind::FileTooLarge).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// A folder, pipe, socket or device.
    #[error("it is a {kind}, expected a regular file: write the content to a file and name that")]
    NotRegular {
        /// What it is, as a noun.
        kind: &'static str,
    },
    /// A file that is longer than anything that is expected there.
    #[error("it has more than {limit} bytes, the most that is expected of a file of this kind: is it another file?")]
    TooLarge {
        /// Limit in bytes.
        limit: u64,
    },
    /// What a clone without Git LFS has in the place of a large file.
    #[error(
        "it is a Git LFS pointer, not the file itself: run `git lfs pull` in its repository, or download the file again"
    )]
    LfsPointer,
}

/// Opens a regular file for reading. A pipe without a writer is refused where [`File::open`] would wait for one.
///
/// # Errors
/// An error of the system, [`Unreadable::NotRegular`] or [`Unreadable::LfsPointer`].
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Before it is opened, since that may wait; and after it, since another file may stand there by then.
    check_regular(&fs::metadata(path)?)?;
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    check_regular(&found)?;
    if found.len() < LFS_LIMIT {
        check_lfs(&mut file)?;
    }
    Ok(file)
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
/// An error of the system, or [`Unreadable`].
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, Unreadable::TooLarge { limit });
    let length = file.metadata()?.len();
    if length > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length as usize)?;
    // The length is not believed: the files of `/proc` have none, and others grow.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// The text of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`read_limited`], or [`io::ErrorKind::InvalidData`] if the file is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_limited(path, limit)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

fn check_regular(found: &fs::Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let kind = kind(found.file_type());
    Err(io::Error::new(io::ErrorKind::InvalidInput, Unreadable::NotRegular { kind }))
}

/// Refuses a pointer of Git LFS; any other file is at its start again.
fn check_lfs(file: &mut File) -> io::Result<()> {
    let mut start = Vec::new();
    file.by_ref().take(LFS_LIMIT).read_to_end(&mut start)?;
    if LFS_POINTERS.iter().any(|pointer| start.starts_with(pointer)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, Unreadable::LfsPointer));
    }
    file.rewind()
}

fn kind(found: fs::FileType) -> &'static str {
    if found.is_dir() {
        return "folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if found.is_fifo() {
            return "pipe";
        }
        if found.is_socket() {
            return "socket";
        }
    }
    "device"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "twelve bytes").unwrap();
        assert_eq!(read_limited(&path, 12).unwrap(), b"twelve bytes");
        assert_eq!(read_text(&path, u64::MAX).unwrap(), "twelve bytes");
        let error = read_limited(&path, 11).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().starts_with("it has more than 11 bytes"), "{error}");

        fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path, 12).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let missing = read_text(&folder.path().join("b"), 12).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_no_regular_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_limited(folder.path(), 9).unwrap_err();
        assert!(error.to_string().starts_with("it is a folder, expected a regular file"), "{error}");
    }

    #[test]
    fn a_pointer_of_git_lfs_is_called_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
        for text in [pointer.to_owned(), pointer.replace("git-lfs", "hawser")] {
            fs::write(&path, text).unwrap();
            for error in [open_regular(&path).unwrap_err(), read_limited(&path, 9999).unwrap_err()] {
                assert!(error.to_string().starts_with("it is a Git LFS pointer"), "{error}");
            }
        }
        // A text on such files is no such file.
        let text = format!("A pointer:\n{pointer}");
        fs::write(&path, &text).unwrap();
        assert_eq!(read_text(&path, 9999).unwrap(), text);
    }

    /// A pipe without a writer would wait for one for ever.
    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_not_waited_for() {
        use std::os::unix::net::UnixListener;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _listener = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
        for kind in ["pipe", "socket", "device"] {
            let error = open_regular(&at(kind)).unwrap_err();
            assert!(error.to_string().starts_with(&format!("it is a {kind}, expected")), "{error}");
        }
    }

    /// The files of `/proc` say that they are empty.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_without_a_length_is_read_to_its_limit() {
        let path = Path::new("/proc/self/stat");
        assert!(read_limited(path, 1 << 16).unwrap().len() > 10);
        assert_eq!(read_limited(path, 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
