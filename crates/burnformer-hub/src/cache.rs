//! A model in the cache that Hugging Face's programs share: `blobs` by the hash of their content, `snapshots` with a link to the
//! blob of each file, `refs` with the commits of branches and tags.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use burnformer_core::atomic_write_bytes;

use crate::content::ContentId;
use crate::{ModelName, Revision};

/// Looks at a lock that another program holds, and the time between two.
const LOOKS: u32 = 50;
const PERIOD: Duration = Duration::from_millis(100);

/// The folder of a model in the cache.
#[derive(Clone, Debug)]
pub(crate) struct CachedModel {
    folder: PathBuf,
}

impl CachedModel {
    pub(crate) fn new(cache: &Path, name: &ModelName) -> Self {
        Self { folder: cache.join(format!("models--{}", name.as_str().replace('/', "--"))) }
    }

    /// The folder of a commit, of which the hash is checked.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The file with this content, and below it the beginning of one.
    pub(crate) fn blob(&self, id: &ContentId) -> PathBuf {
        self.folder.join("blobs").join(id.as_str())
    }

    pub(crate) fn part(&self, id: &ContentId) -> PathBuf {
        self.blob(id).with_extension("part")
    }

    /// Waits some seconds for other programs that fetch this content, and keeps them away until the value is dropped. `None` if
    /// one is still at work.
    ///
    /// # Errors
    /// If the lock cannot be made.
    pub(crate) fn lock(&self, id: &ContentId) -> io::Result<Option<File>> {
        let path = self.blob(id).with_extension("lock");
        fs::create_dir_all(self.folder.join("blobs"))?;
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        for _ in 0..LOOKS {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => thread::sleep(PERIOD),
                // A file system without locks: hashes are compared in any case.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(Some(file)),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// `true` if the file `path` of a commit is the blob `id`, and has `size` bytes.
    pub(crate) fn has(&self, path: &Path, id: &ContentId, size: u64) -> bool {
        let leads_to = fs::read_link(path).ok();
        let is_linked = leads_to.is_some_and(|target| target.file_name().is_some_and(|name| name == id.as_str()));
        is_linked && fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == size)
    }

    /// Makes the blob `id` the file `path` of a commit, which lies `depth` folders below that of the commit.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(crate) fn link(&self, id: &ContentId, path: &Path, depth: usize) -> io::Result<()> {
        if let Some(around) = path.parent() {
            fs::create_dir_all(around)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let blob = self.blob(id);
        let relative = format!("{}blobs/{}", "../".repeat(depth + 2), id.as_str());
        // Some file systems have no links of one kind, or of any.
        let linked = symlink(&relative, path).or_else(|_| fs::hard_link(&blob, path));
        linked.or_else(|_| fs::copy(&blob, path).map(drop))
    }

    /// Records that `revision` is `commit`.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(crate) fn name_revision(&self, revision: &Revision, commit: &str) -> io::Result<()> {
        let path = self.folder.join("refs").join(revision.as_str());
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        atomic_write_bytes(&path, commit).map_err(io::Error::other)
    }
}

#[cfg(unix)]
fn symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target.replace('/', "\\"), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_commit_is_a_link_to_its_blob() {
        let folder = tempfile::tempdir().unwrap();
        let cached = CachedModel::new(folder.path(), &"harbour/boat".parse().unwrap());
        let [old, new] = ["a", "b"].map(|digit| ContentId::git(&digit.repeat(40)).unwrap());
        let _lock = cached.lock(&old).unwrap().unwrap();
        for (id, content) in [(&old, "old"), (&new, "newer")] {
            fs::write(cached.blob(id), content).unwrap();
            for (name, depth) in [("config.json", 0), ("1_Pooling/x/config.json", 2)] {
                let path = cached.snapshot("c0").join(name);
                assert!(!cached.has(&path, id, content.len() as u64));
                cached.link(id, &path, depth).unwrap();
                assert!(cached.has(&path, id, content.len() as u64));
                assert!(!cached.has(&path, id, 1));
                assert_eq!(fs::read_to_string(&path).unwrap(), content);
            }
        }
    }
}
