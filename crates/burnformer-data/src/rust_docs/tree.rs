//! The crates of a source tree, and the files of a crate that have documentation.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::error::RustDocsError;
use super::manifest::{self, Manifest};

/// Folders of a crate that are read, apart from the files in its own folder.
const FOLDERS: [&str; 5] = ["book", "doc", "docs", "guide", "src"];

/// Folders that are no documentation, or not the crate's own.
const FOREIGN_FOLDERS: [&str; 7] =
    ["benches", "node_modules", "tests", "third-party", "third_party", "vendor", "vendored"];

/// What the names of Markdown files begin with that are about the project rather than the code, with `_` for `-`.
const FOREIGN_FILES: [&str; 22] = [
    "authors",
    "bors",
    "changelog",
    "changes",
    "code_of_conduct",
    "contribut",
    "copying",
    "copyright",
    "credits",
    "governance",
    "history",
    "issue_template",
    "licence",
    "license",
    "maintainers",
    "news",
    "notice",
    "pull_request_template",
    "release",
    "security",
    "third_party",
    "unlicense",
];

/// A crate and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CrateFolder {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) folder: PathBuf,
    pub(super) repository: String,
    /// `false` for the rest of a source tree, where every folder is read and not only those that a crate has.
    pub(super) is_crate: bool,
}

/// The crates below `root`, in no particular order: every folder whose manifest has a package, and what lies in none of them.
pub(super) fn crates(root: &Path) -> Result<Vec<CrateFolder>, RustDocsError> {
    if !root.is_dir() {
        return Err(RustDocsError::Missing { path: root.to_owned() });
    }
    let mut manifests = BTreeMap::new();
    for entry in walk(root, |entry| is_own(entry) && entry.file_name() != "target") {
        let entry = entry.map_err(list_error(root))?;
        if entry.file_type().is_file()
            && entry.file_name() == "Cargo.toml"
            && let Some(folder) = entry.path().parent()
            && let Some(manifest) = Manifest::read(folder)
        {
            manifests.insert(folder.to_owned(), manifest);
        }
    }
    let found = manifests.iter().filter_map(|(folder, manifest)| {
        let package = manifest.package.as_ref()?;
        let around = || folder.ancestors().filter_map(|folder| manifests.get(folder));
        let repository = manifest::repository(package.repository(around()), &package.name);
        let version = package.version(around()).map(str::to_owned);
        Some(CrateFolder { name: package.name.clone(), version, folder: folder.clone(), repository, is_crate: true })
    });
    let mut crates: Vec<_> = found.collect();
    if !crates.iter().any(|found| found.folder == root) {
        let name = std::path::absolute(root).unwrap_or_default();
        let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (folder, repository) = (root.to_owned(), name.clone());
        crates.push(CrateFolder { name, version: None, folder, repository, is_crate: false });
    }
    Ok(crates)
}

/// The files of a crate that have documentation: its README, its source, its guides, each in the order of their names.
pub(super) fn files(found: &CrateFolder) -> Result<Vec<PathBuf>, RustDocsError> {
    let root = &found.folder;
    let entries = walk(root, |entry| match entry.depth() {
        0 => true,
        _ if entry.file_type().is_dir() && is_package(entry.path()) => false,
        1 if entry.file_type().is_dir() && found.is_crate => FOLDERS.iter().any(|name| entry.file_name() == *name),
        _ => is_own(entry) && (found.is_crate || entry.file_name() != "target"),
    });
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(list_error(root))?;
        let path = entry.path();
        let is_source = path.extension() == Some(OsStr::new("rs"))
            && (!found.is_crate || path.strip_prefix(root).is_ok_and(|path| path.starts_with("src")));
        if entry.file_type().is_file() && (is_source || is_guide(path)) {
            files.push((Reverse(is_readme(path) && entry.depth() == 1), Reverse(is_source), entry.into_path()));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(.., path)| path).collect())
}

/// `true` for Markdown, as opposed to Rust.
pub(super) fn is_markdown(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["md", "markdown"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn is_guide(path: &Path) -> bool {
    let stem = stem(path).replace(['-', ' '], "_");
    is_markdown(path) && !FOREIGN_FILES.iter().any(|begin| stem.starts_with(begin))
}

fn is_readme(path: &Path) -> bool {
    stem(path) == "readme"
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Everything below `root` that `enters` lets through, in the order of the names.
fn walk(root: &Path, enters: impl FnMut(&DirEntry) -> bool) -> impl Iterator<Item = walkdir::Result<DirEntry>> {
    WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(enters)
}

/// `false` for folders that are hidden or not the project's own, and for hidden files.
fn is_own(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0 || !(name.starts_with('.') || FOREIGN_FOLDERS.contains(&name.as_ref()))
}

fn is_package(folder: &Path) -> bool {
    Manifest::read(folder).is_some_and(|manifest| manifest.package.is_some())
}

fn list_error(folder: &Path) -> impl Fn(walkdir::Error) -> RustDocsError {
    move |error| RustDocsError::List { folder: folder.to_owned(), source: error.into() }
}
