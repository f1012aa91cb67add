//! Atomic files: the old content or the new one, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Stderr, Stdout, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::leftovers::{claim, sweep};
use super::{FileError, UNFINISHED, follow_links, parent, sync_folder};

/// How often a hidden name is tried that another process takes for a leftover.
const TRIES: usize = 8;

/// A file that is written under a hidden name beside its target and takes its place when it is committed. Dropping it without
/// a commit leaves the target as it was.
///
/// A symbolic link stays, and the file it points to is replaced. A new file gets the permissions of `File::create`, a
/// replaced file keeps its own.
///
/// What is not a regular file is written to directly, as it cannot be replaced: devices, named pipes, and the standard output
/// and error by their names below `/dev` and `/proc`. `-` is the standard output.
#[derive(Debug)]
#[must_use = "nothing is written where it should be before a commit"]
pub struct AtomicFile {
    sink: BufWriter<Sink>,
    path: PathBuf,
}

/// Where the bytes go.
#[derive(Debug)]
enum Sink {
    /// To a hidden file beside the target.
    Beside(NamedTempFile, PathBuf),
    /// To something that cannot be replaced.
    Direct(File),
    Stdout(Stdout),
    Stderr(Stderr),
}

impl AtomicFile {
    /// Begins to write the file `path`: call it before the work, so that a name that cannot be written fails early. Also
    /// removes what killed processes left beside it.
    ///
    /// # Errors
    /// [`FileError::IsFolder`] if `path` is a folder, [`FileError::Io`] if nothing can be written there; its folder must exist.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let file = Self::begin(path)?;
        if let Sink::Beside(_, target) = file.sink.get_ref() {
            // A leftover that cannot be removed may belong to another user.
            let _ = sweep(parent(target));
        }
        Ok(file)
    }

    /// [`Self::create`] without a look at what lies beside the file.
    pub(super) fn begin(path: &Path) -> Result<Self, FileError> {
        let fail = || FileError::io("write", path);
        let sink = match path.to_str() {
            Some("-" | "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => Sink::Stdout(io::stdout()),
            Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => Sink::Stderr(io::stderr()),
            _ => match fs::metadata(path) {
                Ok(there) if there.is_dir() => return Err(FileError::IsFolder { path: path.to_owned() }),
                Ok(there) if !there.is_file() => {
                    Sink::Direct(OpenOptions::new().write(true).open(path).map_err(fail())?)
                }
                _ => {
                    let target = follow_links(path).map_err(fail())?;
                    Sink::Beside(hidden_file(parent(&target)).map_err(fail())?, target)
                }
            },
        };
        Ok(Self { sink: BufWriter::new(sink), path: path.to_owned() })
    }

    /// Flushes everything to disk and gives the file its name.
    ///
    /// # Errors
    /// [`FileError::Io`] on a system error. The old content is then unchanged, unless only the last step failed: flushing the
    /// new name to disk.
    pub fn commit(self) -> Result<(), FileError> {
        let Self { sink, path } = self;
        let fail = || FileError::io("write", &path);
        let mut sink = sink.into_inner().map_err(|error| fail()(error.into_error()))?;
        sink.flush().map_err(fail())?;
        let Sink::Beside(hidden, target) = sink else { return Ok(()) };
        #[cfg(unix)]
        if let Ok(old) = fs::metadata(&target) {
            hidden.as_file().set_permissions(old.permissions()).map_err(fail())?;
        }
        hidden.as_file().sync_all().map_err(fail())?;
        hidden.persist(&target).map_err(|error| fail()(error.error))?;
        sync_folder(parent(&target)).map_err(fail())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Beside(file, _) => file.write(bytes),
            Self::Direct(file) => file.write(bytes),
            Self::Stdout(out) => out.write(bytes),
            Self::Stderr(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Beside(file, _) => file.flush(),
            Self::Direct(file) => file.flush(),
            Self::Stdout(out) => out.flush(),
            Self::Stderr(out) => out.flush(),
        }
    }
}

/// A new file in `folder` with a hidden name, claimed for this process.
fn hidden_file(folder: &Path) -> io::Result<NamedTempFile> {
    for _ in 0..TRIES {
        let mut hidden = tempfile::Builder::new();
        hidden.prefix(UNFINISHED);
        #[cfg(unix)]
        hidden.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let hidden = hidden.tempfile_in(folder)?;
        if claim(hidden.as_file(), hidden.path()) {
            return Ok(hidden);
        }
    }
    Err(io::Error::other("another process removes every new file here"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::names;
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_committed_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        AtomicFile::create(&path).unwrap().write_all(b"lost").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_name_that_cannot_be_written_fails_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let error = AtomicFile::create(folder.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{}` is a folder, expected the name of a file", folder.path().display())
        );
        AtomicFile::create(&folder.path().join("missing/a")).unwrap_err();
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".unfinished-left"), "").unwrap();
        let one = AtomicFile::create(&folder.path().join("one")).unwrap();
        let two = AtomicFile::create(&folder.path().join("two")).unwrap();
        assert!(!folder.path().join(".unfinished-left").exists());
        one.commit().unwrap();
        two.commit().unwrap();
        assert_eq!(names(folder.path()), ["one", "two"]);
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_named_pipes_are_written_to_and_stay() {
        use std::os::unix::fs::{FileTypeExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("/dev/null", at("null")).unwrap();
        for path in [at("null"), "/dev/null".into()] {
            super::super::atomic_write_bytes(&path, "nothing").unwrap();
            assert!(fs::metadata(&path).unwrap().file_type().is_char_device());
        }
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = at("pipe");
            move || fs::read_to_string(pipe).unwrap()
        });
        super::super::atomic_write_bytes(&at("pipe"), "through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(fs::metadata(at("pipe")).unwrap().file_type().is_fifo());
        assert_eq!(names(folder.path()), ["null", "pipe"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error() {
        let error = super::super::atomic_write_bytes(Path::new("/dev/full"), "text").unwrap_err();
        assert_eq!(error.to_string(), "cannot write `/dev/full`");
    }
}
