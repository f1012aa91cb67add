//! Bytes as files, for readers of files.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Where files lie in memory, if the system has such a place.
const MEMORY: &str = "/dev/shm";

/// Hands `read` a folder of this thread that has a file `name` with these bytes, and files of earlier calls.
pub(crate) fn beside(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            let place = [PathBuf::from(MEMORY), std::env::temp_dir()].into_iter().find(|place| place.is_dir());
            TempDir::new_in(place.unwrap_or_default()).expect("a folder for the files of the targets")
        });
        fs::write(folder.path().join(name), bytes).expect("a file for the target");
        read(folder.path());
    });
}

/// Hands `read` a file `name` with these bytes.
pub(crate) fn file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    beside(name, bytes, |folder| read(&folder.join(name)));
}
