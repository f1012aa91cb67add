//! Space on the disk.

use std::io;
use std::path::{Path, absolute};

/// Bytes that can still be written where `path` lies, by users without special rights. Nothing need exist at `path` yet: then
/// it is the disk of the nearest folder above.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let space = burnformer_core::available_space(&folder.path().join("runs/new")).unwrap();
/// assert!(space > 0);
/// ```
///
/// # Errors
/// If the system does not say.
pub fn available_space(path: &Path) -> io::Result<u64> {
    let path = absolute(path)?;
    let existing = path.ancestors().find(|above| above.exists()).unwrap_or(&path);
    fs4::available_space(existing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_of_the_nearest_folder_answers() {
        let folder = tempfile::tempdir().unwrap();
        assert!(available_space(&folder.path().join("a/b/c")).unwrap() > 0);
        assert!(available_space(Path::new("")).is_err());
        assert!(available_space(Path::new("no-such-folder")).unwrap() > 0);
    }
}
