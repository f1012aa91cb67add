//! The beginning of a file, which gets its name in the cache when it is complete and has the expected content.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use crate::content::Hasher;
use crate::listing::RemoteFile;

/// The beginning of a file, and the hash of it.
pub(crate) struct Part<'a> {
    remote: &'a RemoteFile,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    length: u64,
}

impl<'a> Part<'a> {
    /// Opens what an earlier call has left at `path`, or begins anew. What is there must be read before anything is added.
    ///
    /// # Errors
    /// If it cannot be opened or written.
    pub(crate) fn open(remote: &'a RemoteFile, path: PathBuf) -> io::Result<Self> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        let mut part = Self { remote, path, file, hasher: remote.id.hasher(remote.size), length: 0 };
        if part.file.metadata()?.len() > remote.size {
            part.restart()?;
        }
        Ok(part)
    }

    /// Hashes the next piece of what is there, and returns its length; 0 at the end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(&mut self) -> io::Result<u64> {
        let count = self.hasher.read(&mut self.file)?;
        self.length += count;
        Ok(count)
    }

    /// Bytes that are there.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that are missing.
    pub(crate) fn missing(&self) -> u64 {
        self.remote.size.saturating_sub(self.length)
    }

    /// `true` if the content is complete and the expected one.
    pub(crate) fn is_right(&self) -> bool {
        self.missing() == 0 && self.hasher.clone().finish() == self.remote.id.as_str()
    }

    /// Forgets what is there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        (self.hasher, self.length) = (self.remote.id.hasher(self.remote.size), 0);
        self.file.set_len(0)?;
        self.file.rewind()
    }

    /// Adds `bytes` at the end.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file, which is right, the name `blob`.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(crate) fn keep(self, blob: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        drop(self.file);
        fs::rename(self.path, blob)
    }

    /// Removes the file.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn discard(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}
