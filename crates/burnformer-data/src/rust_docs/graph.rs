//! The crates that a project depends on, as cargo knows them.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::error::RustDocsError;
use super::manifest;
use super::tree::CrateFolder;

/// The part of `cargo metadata` that is looked at.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    manifest_path: PathBuf,
    repository: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
}

/// The dependencies of the project that `manifest` belongs to, in no particular order: everything that is compiled for this
/// machine except the members of its workspace, and of each crate the newest version only.
pub(super) fn crates(manifest: &Path) -> Result<Vec<CrateFolder>, RustDocsError> {
    let missing = || RustDocsError::Missing { path: manifest.to_owned() };
    if !manifest.is_file() {
        return Err(missing());
    }
    let manifest = std::path::absolute(manifest).map_err(|_| missing())?;
    let rustc = run("RUSTC", "rustc", &["-vV"], &manifest)?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let mut arguments = vec!["metadata", "--format-version", "1", "--offline", "--locked"];
    arguments.extend(host.into_iter().flat_map(|host| ["--filter-platform", host]));
    let name = manifest.file_name().unwrap_or_default().to_string_lossy();
    arguments.extend(["--manifest-path", &name]);
    let answer = run("CARGO", "cargo", &arguments, &manifest)?;
    let answer = serde_json::from_str(&answer)
        .map_err(|source| RustDocsError::Answer { command: "cargo metadata".to_owned(), source })?;
    Ok(dependencies(answer))
}

fn dependencies(metadata: Metadata) -> Vec<CrateFolder> {
    let used = |id: &String| metadata.resolve.nodes.iter().any(|node| node.id == *id);
    let mut newest: BTreeMap<String, Package> = BTreeMap::new();
    for package in metadata.packages {
        let known = newest.get(&package.name);
        if !metadata.workspace_members.contains(&package.id)
            && used(&package.id)
            && known.is_none_or(|known| precedence(&known.version) < precedence(&package.version))
        {
            newest.insert(package.name.clone(), package);
        }
    }
    let folders = newest.into_values().map(|package| CrateFolder {
        repository: manifest::repository(package.repository.as_deref(), &package.name),
        name: package.name,
        version: Some(package.version),
        folder: package.manifest_path.parent().map(Path::to_owned).unwrap_or_default(),
        is_crate: true,
    });
    folders.collect()
}

/// Orders versions: by their numbers, and a release behind its previews.
fn precedence(version: &str) -> (Vec<u64>, bool, &str) {
    let version = version.split('+').next().unwrap_or_default();
    let (numbers, preview) = version.split_once('-').unwrap_or((version, ""));
    (numbers.split('.').map(|number| number.parse().unwrap_or_default()).collect(), preview.is_empty(), preview)
}

/// What a program of the toolchain prints when it is run in the folder of `manifest`.
fn run(variable: &str, default: &str, arguments: &[&str], manifest: &Path) -> Result<String, RustDocsError> {
    let program = env::var_os(variable).unwrap_or_else(|| OsString::from(default));
    let mut command = Command::new(&program);
    // Rustup chooses the toolchain by the folder.
    command.args(arguments).current_dir(manifest.parent().unwrap_or(manifest));
    let program = program.to_string_lossy().into_owned();
    let output = command.output().map_err(|source| RustDocsError::Toolchain { program: program.clone(), source })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let command = format!("{program} {}", arguments.join(" "));
    Err(RustDocsError::Metadata { command, manifest: manifest.to_owned(), stderr: text(&output.stderr) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_each_crate_that_is_used_the_newest_version_is_taken() {
        let package = |id: &str, name: &str, version: &str| {
            json!({
                "id": id, "name": name, "version": version, "repository": null, "edition": "2024",
                "manifest_path": format!("/src/{id}/Cargo.toml"),
            })
        };
        let metadata = json!({
            "packages": [
                package("1", "project", "1.0.0"),
                package("2", "twice", "0.9.0"),
                package("3", "twice", "0.10.0"),
                package("4", "twice", "0.10.0-rc.1"),
                package("5", "not-for-this-machine", "1.0.0"),
            ],
            "workspace_members": ["1"],
            "resolve": { "nodes": [{ "id": "1" }, { "id": "2" }, { "id": "3" }, { "id": "4" }], "root": "1" },
        });
        let found = dependencies(serde_json::from_value(metadata).unwrap());
        let expected = CrateFolder {
            name: "twice".into(),
            version: Some("0.10.0".into()),
            folder: "/src/3".into(),
            repository: "twice".into(),
            is_crate: true,
        };
        assert_eq!(found, [expected]);
    }
}
