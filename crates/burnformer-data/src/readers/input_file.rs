//! A file of an input: one of the file system, or the standard input, put aside.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::{NamedTempFile, TempPath};

use super::ReadError;

/// The path that stands for the standard input; a file of that name is `./-`.
pub(super) const STDIN: &str = "-";

/// A file. The standard input is copied to a temporary file at once, since most work reads its input more than once; the copy
/// goes with the last clone.
#[derive(Clone, Debug)]
pub(super) struct InputFile {
    /// The path, for messages.
    path: Arc<Path>,
    copy: Option<Arc<TempPath>>,
}

impl InputFile {
    /// The file `path`, or the standard input if it is `-`.
    pub(super) fn of(path: &Path) -> Result<Self, ReadError> {
        if path == Path::new(STDIN) { Self::of_stdin(&mut io::stdin().lock()) } else { Ok(Self::from(path)) }
    }

    fn of_stdin(stdin: &mut impl io::Read) -> Result<Self, ReadError> {
        static COPY: Mutex<Option<Weak<TempPath>>> = Mutex::new(None);
        Self::copied(stdin, &mut COPY.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The copy that was made `before`, or a new one, which can be made once.
    fn copied(stdin: &mut impl io::Read, before: &mut Option<Weak<TempPath>>) -> Result<Self, ReadError> {
        let path: Arc<Path> = Path::new("standard input").into();
        let copy = match before {
            Some(copy) => copy.upgrade().ok_or(ReadError::StdinGone)?,
            None => {
                let mut copy = || -> io::Result<TempPath> {
                    let mut file = NamedTempFile::new()?;
                    io::copy(stdin, &mut file)?;
                    Ok(file.into_temp_path())
                };
                let copy = copy().map_err(|source| ReadError::Io { path: path.clone(), source })?;
                Arc::new(copy)
            }
        };
        *before = Some(Arc::downgrade(&copy));
        Ok(Self { path, copy: Some(copy) })
    }

    /// The path, or what stands for it in messages.
    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Where the content is.
    pub(super) fn content(&self) -> &Path {
        self.copy.as_ref().map_or(&self.path, |copy| copy)
    }
}

impl<P: AsRef<Path>> From<P> for InputFile {
    fn from(path: P) -> Self {
        Self { path: path.as_ref().into(), copy: None }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn the_standard_input_is_copied_once_and_gone_with_the_copy() {
        let (mut stdin, mut before) = (Cursor::new("rain"), None);
        let first = InputFile::copied(&mut stdin, &mut before).unwrap();
        let second = InputFile::copied(&mut stdin, &mut before).unwrap();
        assert_eq!(std::fs::read_to_string(second.content()).unwrap(), "rain");
        assert_eq!(
            (first.content(), first.path().display().to_string()),
            (second.content(), "standard input".to_owned())
        );
        let content = first.content().to_owned();
        drop((first, second));
        assert!(!content.exists());
        assert!(matches!(InputFile::copied(&mut stdin, &mut before), Err(ReadError::StdinGone)));
    }
}
