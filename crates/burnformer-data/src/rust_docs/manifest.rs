//! What a `Cargo.toml` in a source tree says about its crate.

use std::path::Path;

use burnformer_core::files::{SETTINGS_LIMIT, read_text};
use serde::Deserialize;

/// The part of a manifest that is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Manifest {
    pub(super) package: Option<Package>,
    pub(super) workspace: Workspace,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Workspace {
    package: Package,
}

/// Everything but the name may be absent, or inherited from the workspace.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Package {
    pub(super) name: String,
    version: Option<Setting>,
    repository: Option<Setting>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Setting {
    Value(String),
    Inherited { workspace: bool },
}

impl Manifest {
    /// The manifest in `folder`, if there is one that can be read.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        toml::from_str(&read_text(&folder.join("Cargo.toml"), SETTINGS_LIMIT).ok()?).ok()
    }
}

impl Package {
    /// The version, with the manifests of the folders around the crate, the innermost first.
    pub(super) fn version<'a>(&'a self, around: impl Iterator<Item = &'a Manifest>) -> Option<&'a str> {
        resolve(around, self, |package| package.version.as_ref())
    }

    /// The address of the repository; see [`Self::version`].
    pub(super) fn repository<'a>(&'a self, around: impl Iterator<Item = &'a Manifest>) -> Option<&'a str> {
        resolve(around, self, |package| package.repository.as_ref())
    }
}

fn resolve<'a>(
    around: impl Iterator<Item = &'a Manifest>,
    package: &'a Package,
    setting: impl Fn(&'a Package) -> Option<&'a Setting>,
) -> Option<&'a str> {
    match setting(package)? {
        Setting::Value(value) => Some(value),
        Setting::Inherited { workspace } => {
            around.filter(|_| *workspace).find_map(|manifest| match setting(&manifest.workspace.package)? {
                Setting::Value(value) => Some(value.as_str()),
                Setting::Inherited { .. } => None,
            })
        }
    }
}

/// The address of a repository, so that all of its crates have the same: without `.git`, a folder in it, or a final slash.
/// The crate's name if there is no address.
pub(super) fn repository(address: Option<&str>, name: &str) -> String {
    let address = address.unwrap_or_default().trim();
    let address = address.strip_prefix("git+").unwrap_or(address);
    let mut address = address.split(['?', '#']).next().unwrap_or_default().to_lowercase();
    for folder in ["/-/", "/tree/", "/blob/"] {
        if let Some(end) = address.find(folder) {
            address.truncate(end);
        }
    }
    if let Some(rest) = address.strip_prefix("http://") {
        address = format!("https://{rest}");
    }
    let address = address.trim_end_matches('/');
    let address = address.strip_suffix(".git").unwrap_or(address);
    if address.is_empty() { name.to_owned() } else { address.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_a_repository_share_its_address() {
        for address in [
            "https://example.com/team/project",
            "https://example.com/team/project/",
            "https://example.com/team/project.git",
            "http://example.com/Team/Project",
            "git+https://example.com/team/project.git?branch=next#1a2b",
            "https://example.com/team/project/tree/main/crates/a",
            "https://example.com/team/project/-/tree/main/b",
            " https://example.com/team/project/blob/main/README.md ",
        ] {
            assert_eq!(repository(Some(address), "name"), "https://example.com/team/project", "of {address}");
        }
    }

    #[test]
    fn a_crate_without_an_address_is_named_by_its_name() {
        for address in [None, Some(""), Some(" "), Some("/")] {
            assert_eq!(repository(address, "name"), "name");
        }
    }

    #[test]
    fn settings_are_inherited_from_the_workspace_around() {
        let workspace: Manifest = toml::from_str("[workspace.package]\nversion = \"1.2.3\"").unwrap();
        let text = "[package]\nname = \"a\"\nversion.workspace = true\nrepository.workspace = true";
        let member: Manifest = toml::from_str(text).unwrap();
        let package = member.package.unwrap();
        assert_eq!(package.version([&Manifest::default(), &workspace].into_iter()), Some("1.2.3"));
        assert_eq!(package.version(std::iter::empty()), None);
        assert_eq!(package.repository([&workspace].into_iter()), None);
    }
}
