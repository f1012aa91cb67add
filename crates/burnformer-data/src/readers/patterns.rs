//! Patterns of paths, such as `data/**/*.txt`.
//!
//! The crate `glob` knows the patterns; the folders are listed here, since it panics on a file name that is not UTF-8.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use walkdir::WalkDir;

use super::ReadError;

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The files and folders that match `pattern`. `*`, `?` and `[` stand for characters of a name, but for a leading dot, and
/// `**` for any folders within one another. A name that is not UTF-8 is matched as it is shown.
pub(super) fn matching(pattern: &str) -> Result<Vec<PathBuf>, ReadError> {
    let invalid = |source| ReadError::Pattern { pattern: pattern.to_owned(), source };
    Pattern::new(pattern).map_err(invalid)?;
    let mut found = vec![PathBuf::new()];
    for component in Path::new(pattern).components() {
        let name = component.as_os_str().to_string_lossy();
        found = match component {
            Component::Normal(_) if name == "**" => each(found, folders_below)?,
            Component::Normal(_) if name.contains(['*', '?', '[']) => {
                let pattern = Pattern::new(&name).map_err(invalid)?;
                each(found, |folder| entries(folder, &pattern))?
            }
            _ => found.into_iter().map(|path| path.join(component)).filter(|path| path.exists()).collect(),
        };
    }
    // `a/**` matches `a` too, and below `**` several ways lead to a file.
    found.retain(|path| !path.as_os_str().is_empty());
    found.sort();
    found.dedup();
    Ok(found)
}

fn each(
    paths: Vec<PathBuf>,
    within: impl Fn(&Path) -> Result<Vec<PathBuf>, ReadError>,
) -> Result<Vec<PathBuf>, ReadError> {
    let mut found = Vec::new();
    for path in paths {
        found.extend(within(&path)?);
    }
    Ok(found)
}

/// What is in `folder` and matches `pattern`.
fn entries(folder: &Path, pattern: &Pattern) -> Result<Vec<PathBuf>, ReadError> {
    let list = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !list.is_dir() {
        return Ok(Vec::new());
    }
    let fail = |source: io::Error| ReadError::List { path: list.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(list).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        if pattern.matches_with(&name.to_string_lossy(), OPTIONS) {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

/// `folder` and all folders below it, except for hidden ones.
fn folders_below(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let list = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !list.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = vec![folder.to_owned()];
    let entries = WalkDir::new(list).follow_links(true).min_depth(1).into_iter();
    for entry in entries.filter_entry(|entry| entry.file_type().is_dir() && !is_hidden(entry.file_name())) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(list).to_owned();
            ReadError::List { path, source: error.into() }
        })?;
        let below = entry.path().strip_prefix(list).unwrap_or(entry.path());
        found.push(folder.join(below));
    }
    Ok(found)
}

/// Whether patterns and folders stand for other files than this.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::super::testing::write;
    use super::*;

    fn found(folder: &Path, pattern: &str) -> Vec<String> {
        let found = matching(&folder.join(pattern).display().to_string()).unwrap();
        found.iter().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect()
    }

    #[test]
    fn patterns_match_as_a_shell_does() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.txt", "b.txt", ".c.txt", "x/a.txt", "x/y/a.txt", "x/.z/a.txt", "x/y/b"] {
            write(folder.path(), name, "");
        }
        let cases: [(&str, &[&str]); 9] = [
            ("*.txt", &["a.txt", "b.txt"]),
            ("[b-z].txt", &["b.txt"]),
            ("?", &["x"]),
            (".*", &[".c.txt"]),
            ("*/*.txt", &["x/a.txt"]),
            ("**/a.txt", &["a.txt", "x/a.txt", "x/y/a.txt"]),
            ("x/**/*", &["x/a.txt", "x/y", "x/y/a.txt", "x/y/b"]),
            ("**/y/*", &["x/y/a.txt", "x/y/b"]),
            ("no/*", &[]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(found(folder.path(), pattern), expected, "{pattern}");
        }
        assert!(matches!(matching("a/***"), Err(ReadError::Pattern { .. })));
    }

    /// The crate `glob` panics here.
    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf_8_does_no_harm() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "good1.txt", "");
        fs::write(folder.path().join(OsStr::from_bytes(b"bad\xff.txt")), "").unwrap();
        assert_eq!(found(folder.path(), "good*.txt"), ["good1.txt"]);
        assert_eq!(found(folder.path(), "*.txt").len(), 2);
        assert_eq!(found(folder.path(), "**/good1.txt"), ["good1.txt"]);
    }
}
