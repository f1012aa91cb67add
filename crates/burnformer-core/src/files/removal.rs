//! Removal of folders: one that is half removed is not taken for a whole one.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use super::{FileError, UNFINISHED};

/// Removes a folder with its content. It gets a hidden name first: if the process is killed in between, what is left is not
/// under its name any more, and [`remove_leftovers`](super::remove_leftovers) removes it.
///
/// # Errors
/// [`FileError::Io`] if the folder does not exist or cannot be removed.
pub fn remove_folder(folder: &Path) -> Result<(), FileError> {
    let fail = || FileError::io("remove", folder);
    let mut name = OsString::from(UNFINISHED);
    name.push(folder.file_name().unwrap_or_default());
    // A new name, and no new folder: this works on a full disk.
    let hidden = folder.with_file_name(name);
    match fs::remove_dir_all(&hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail()(error)),
        _ => {}
    }
    fs::rename(folder, &hidden).and_then(|()| fs::remove_dir_all(&hidden)).map_err(fail())
}

#[cfg(test)]
mod tests {
    use super::super::tests::names;
    use super::*;

    #[test]
    fn a_folder_goes_and_so_does_what_an_earlier_removal_left() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in ["step-1/sub", ".unfinished-step-1/sub", "step-2"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("step-1/sub/file"), "").unwrap();
        remove_folder(&at("step-1")).unwrap();
        assert_eq!(names(place.path()), ["step-2"]);
        let error = remove_folder(&at("step-1")).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot remove `{}`", at("step-1").display()));
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_removed_is_not_under_its_name_any_more() {
        use std::os::unix::fs::PermissionsExt;

        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("step-1");
        fs::create_dir_all(folder.join("sub/deep")).unwrap();
        let mode = |folder: &Path, mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        mode(&folder.join("sub"), 0o500);
        let removed = remove_folder(&folder);
        if removed.is_err() {
            // Whoever may remove everything, such as root, has removed it.
            mode(&place.path().join(".unfinished-step-1/sub"), 0o700);
        }
        assert!(!folder.exists());
    }
}
