//! `cargo xtask layers`: checks the dependencies between the crates against the list of allowed ones.
//!
//! The list is the table of docs/architecture.md. A new edge is a design decision: it is added here and
//! there.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::invocation::{Invocation, Runner};

/// Check that every crate depends only on crates below it.
///
/// Reads `cargo metadata` and compares the dependencies of each crate (normal, build and development,
/// optional ones included) with the layers of docs/architecture.md. Prints the graph, or each violation with
/// its manifest and a remedy.
#[derive(Args, Debug)]
#[command(after_help = "Example: cargo xtask layers")]
pub(crate) struct LayersArgs {}

/// Each crate with the crates directly below it, lowest first. A crate may use everything below it.
const LAYERS: [(&str, &[&str]); 18] = [
    ("burnformer-core", &[]),
    ("burnformer-hub", &["burnformer-core"]),
    ("burnformer-mpi", &["burnformer-core"]),
    ("burnformer-ops", &["burnformer-core"]),
    ("burnformer-nn", &["burnformer-ops"]),
    ("burnformer-models", &["burnformer-nn"]),
    ("burnformer-data", &["burnformer-core"]),
    ("burnformer-tasks", &["burnformer-models", "burnformer-data"]),
    ("burnformer-train", &["burnformer-tasks"]),
    ("burnformer-progress", &["burnformer-core"]),
    ("burnformer-reports", &[]),
    ("burnformer-search", &["burnformer-core"]),
    ("burnformer-recipes", &["burnformer-train", "burnformer-reports", "burnformer-search"]),
    ("burnformer-fuzz", &["burnformer-recipes", "burnformer-hub"]),
    ("burnformer", &["burnformer-recipes", "burnformer-hub"]),
    ("burnformer-cli", &["burnformer", "burnformer-mpi", "burnformer-progress"]),
    ("burnformer-benches", &["burnformer"]),
    ("xtask", &["burnformer-reports"]),
];

/// Crates that end in a program: they alone parse arguments and have errors without a type.
const PROGRAMS: [&str; 3] = ["burnformer-benches", "burnformer-cli", "xtask"];
const PROGRAM_LIBRARIES: [&str; 2] = ["anyhow", "clap"];

/// The one crate that names backends, and what it hides from the others.
const BACKEND_OWNER: &str = "burnformer-ops";
const BACKENDS: [&str; 6] = ["burn-cubecl", "burn-cuda", "burn-flex", "burn-ndarray", "burn-wgpu", "cubecl"];

const WITHOUT_BURN: [&str; 6] =
    ["burnformer-core", "burnformer-hub", "burnformer-mpi", "burnformer-reports", "burnformer-search", "xtask"];
const BURN_OPTIONAL: &str = "burnformer-data";

/// The part of `cargo metadata` that is looked at.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: String,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    /// Name of the package, whatever it is renamed to.
    name: String,
    kind: Option<Kind>,
    optional: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Dev,
    Build,
}

impl Dependency {
    fn section(&self) -> &'static str {
        match self.kind {
            None => "[dependencies]",
            Some(Kind::Dev) => "[dev-dependencies]",
            Some(Kind::Build) => "[build-dependencies]",
        }
    }
}

pub(crate) fn run(runner: &Runner) -> Result<()> {
    let invocation = invocation(runner.is_ci());
    if runner.is_dry_run() {
        return runner.run(&invocation);
    }
    let json = runner.output(&invocation)?;
    let metadata: Metadata = serde_json::from_str(&json).context("cannot read the output of `cargo metadata`")?;
    let violations = violations(&metadata);
    if violations.is_empty() {
        print!("{}", graph(&metadata));
        return Ok(());
    }
    for violation in &violations {
        println!("{violation}");
    }
    bail!("{} dependencies break the layers", violations.len())
}

fn invocation(ci: bool) -> Invocation {
    Invocation::cargo(["metadata", "--format-version", "1", "--no-deps"]).args(ci.then_some("--locked"))
}

/// One line per crate with the workspace crates it uses; `?` marks an optional one, `(dev)` one for tests
/// alone.
fn graph(metadata: &Metadata) -> String {
    let mut text = String::new();
    for (name, _) in LAYERS {
        let Some(package) = metadata.packages.iter().find(|package| package.name == name) else {
            continue;
        };
        let used: BTreeSet<String> = package
            .dependencies
            .iter()
            .filter(|dependency| is_member(metadata, &dependency.name))
            .map(|dependency| match (dependency.kind, dependency.optional) {
                (Some(Kind::Dev), _) => format!("{} (dev)", dependency.name),
                (_, true) => format!("{}?", dependency.name),
                (_, false) => dependency.name.clone(),
            })
            .collect();
        let used = used.into_iter().collect::<Vec<_>>().join(", ");
        text += &format!("{name:<20}-> {}\n", if used.is_empty() { "-" } else { &used });
    }
    text
}

/// Every broken rule, as a text with the manifest it stands in and what to do about it.
fn violations(metadata: &Metadata) -> Vec<String> {
    let mut texts = Vec::new();
    for package in &metadata.packages {
        let manifest = relative(&package.manifest_path, &metadata.workspace_root);
        if direct(&package.name).is_none() {
            texts.push(format!(
                "{manifest}: `{}` has no place in the layers\n  remedy: add it to `LAYERS` in xtask/src/layers.rs and to \
                 docs/architecture.md",
                package.name
            ));
            continue;
        }
        for dependency in &package.dependencies {
            for (what, remedy) in broken_rules(metadata, package, dependency) {
                texts.push(format!("{manifest}: {what} in {}\n  remedy: {remedy}", dependency.section()));
            }
        }
    }
    texts
}

/// What is wrong with one dependency, and the remedy.
fn broken_rules(metadata: &Metadata, package: &Package, dependency: &Dependency) -> Vec<(String, String)> {
    let (user, used) = (package.name.as_str(), dependency.name.as_str());
    let mut broken = Vec::new();
    if is_member(metadata, used) && !below(user).contains(used) {
        let remedy = match below(user).into_iter().collect::<Vec<_>>().join(", ") {
            names if names.is_empty() => format!("`{user}` uses no crate of the workspace; remove `{used}`"),
            names => format!("move the code to where both can use it; `{user}` may use {names}"),
        };
        broken.push((format!("`{user}` uses `{used}`, which is not below it"), remedy));
    }
    if PROGRAM_LIBRARIES.contains(&used) && !PROGRAMS.contains(&user) {
        broken.push((
            format!("the library `{user}` uses `{used}`"),
            format!("return typed errors and take values; only {} may use it", PROGRAMS.join(", ")),
        ));
    }
    if is_backend(used) && user != BACKEND_OWNER {
        broken.push((
            format!("`{user}` names the backend `{used}`"),
            format!("use what `{BACKEND_OWNER}` offers, and forward its backend features"),
        ));
    }
    if is_burn(used) && WITHOUT_BURN.contains(&user) {
        broken.push((
            format!("`{user}` uses `{used}`"),
            format!("`{user}` builds without burn; move the code that needs it to a crate above"),
        ));
    }
    if is_burn(used) && user == BURN_OPTIONAL && !dependency.optional && dependency.kind != Some(Kind::Dev) {
        broken.push((
            format!("`{user}` always uses `{used}`"),
            format!("write `optional = true` and put `dep:{used}` behind the feature `tensor`"),
        ));
    }
    broken
}

/// The crates directly below `name`, or nothing if it has no place in the layers.
fn direct(name: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(member, _)| *member == name).map(|(_, below)| *below)
}

/// All crates below `name`.
fn below(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = direct(name).unwrap_or_default().to_vec();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(direct(next).unwrap_or_default());
        }
    }
    found
}

/// Also `true` for a crate of the layers that is taken from a registry instead of the workspace.
fn is_member(metadata: &Metadata, name: &str) -> bool {
    direct(name).is_some() || metadata.packages.iter().any(|package| package.name == name)
}

fn is_backend(name: &str) -> bool {
    BACKENDS.contains(&name) || name.starts_with("cubecl-")
}

fn is_burn(name: &str) -> bool {
    name == "burn" || name.starts_with("burn-") || is_backend(name)
}

fn relative<'a>(path: &'a str, root: &str) -> &'a str {
    Path::new(path).strip_prefix(root).ok().and_then(Path::to_str).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Metadata of a workspace in which each package has one dependency: (package, dependency, kind,
    /// optional).
    fn metadata(edges: &[(&str, &str, Option<&str>, bool)]) -> Metadata {
        let packages: Vec<_> = edges
            .iter()
            .map(|(user, used, kind, optional)| {
                json!({
                    "name": user,
                    "manifest_path": format!("/src/crates/{user}/Cargo.toml"),
                    "dependencies": [{
                        "name": used, "kind": kind, "optional": optional, "req": "*", "rename": null, "features": [],
                    }],
                    "edition": "2024",
                })
            })
            .collect();
        let text = json!({ "packages": packages, "workspace_root": "/src", "version": 1 }).to_string();
        serde_json::from_str(&text).expect("the metadata is well formed")
    }

    fn check_allowed(user: &str, used: &str) {
        for kind in [None, Some("build"), Some("dev")] {
            let found = violations(&metadata(&[(user, used, kind, false)]));
            assert!(found.is_empty(), "`{user}` -> `{used}` ({kind:?}) must be allowed: {found:?}");
        }
    }

    /// Of every kind, optional or not; the text must name both crates and the manifest, and give a remedy.
    fn check_refused(user: &str, used: &str) {
        for (kind, section) in
            [(None, "[dependencies]"), (Some("build"), "[build-dependencies]"), (Some("dev"), "[dev-dependencies]")]
        {
            let found = violations(&metadata(&[(user, used, kind, kind.is_none())])).join("\n");
            let manifest = format!("crates/{user}/Cargo.toml: ");
            for expected in [manifest.as_str(), user, used, section, "\n  remedy: "] {
                assert!(found.contains(expected), "`{user}` -> `{used}` ({kind:?}): no `{expected}` in `{found}`");
            }
        }
    }

    #[test]
    fn a_crate_uses_the_crates_below_it() {
        for (name, direct) in LAYERS {
            for used in direct {
                check_allowed(name, used);
            }
        }
        check_allowed("burnformer-nn", "burnformer-core");
        check_allowed("burnformer-cli", "burnformer-ops");
        check_allowed("burnformer-benches", "burnformer-nn");
    }

    #[test]
    fn a_crate_does_not_use_the_crates_above_it() {
        check_refused("burnformer-core", "burnformer-ops");
        check_refused("burnformer-ops", "burnformer-nn");
        check_refused("burnformer-nn", "burnformer");
        check_refused("burnformer-tasks", "burnformer-train");
        check_refused("burnformer", "burnformer-cli");
        check_refused("burnformer-benches", "burnformer-cli");
    }

    #[test]
    fn siblings_do_not_use_each_other() {
        check_refused("burnformer-data", "burnformer-ops");
        check_refused("burnformer-data", "burnformer-models");
        check_refused("burnformer-models", "burnformer-data");
    }

    #[test]
    fn a_crate_does_not_use_itself() {
        check_refused("burnformer-nn", "burnformer-nn");
    }

    #[test]
    fn xtask_uses_nothing_of_the_workspace_but_the_reports_and_no_burn() {
        check_refused("xtask", "burnformer-core");
        check_refused("xtask", "burn");
        check_refused("xtask", "burn-tensor");
        check_refused("xtask", "burn-ndarray");
        check_allowed("xtask", "burnformer-reports");
        check_allowed("xtask", "serde_json");
    }

    #[test]
    fn only_programs_parse_arguments() {
        for library in ["clap", "anyhow"] {
            for program in PROGRAMS {
                check_allowed(program, library);
            }
            for user in ["burnformer-core", "burnformer-nn", "burnformer"] {
                check_refused(user, library);
            }
        }
    }

    #[test]
    fn only_ops_names_backends() {
        for backend in ["burn-ndarray", "burn-flex", "burn-wgpu", "burn-cubecl", "cubecl", "cubecl-wgpu"] {
            check_allowed("burnformer-ops", backend);
            check_refused("burnformer-nn", backend);
            check_refused("burnformer-cli", backend);
            check_refused("burnformer-benches", backend);
        }
        check_allowed("burnformer-nn", "burn");
    }

    #[test]
    fn core_has_no_burn() {
        check_refused("burnformer-core", "burn");
        check_refused("burnformer-core", "burn-tensor");
        check_allowed("burnformer-core", "serde");
        check_refused("burnformer-reports", "burn");
    }

    #[test]
    fn data_has_burn_as_an_option_only() {
        let found = |kind, optional| violations(&metadata(&[("burnformer-data", "burn", kind, optional)]));
        assert_eq!(found(None, true), [""; 0]);
        assert_eq!(found(Some("dev"), false), [""; 0]);
        let always = found(None, false).join("\n");
        assert!(always.contains("`burnformer-data` always uses `burn`"), "{always}");
        assert!(always.contains("`optional = true`"), "{always}");
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        let found = violations(&metadata(&[("burnformer-new", "serde", None, false)])).join("\n");
        assert!(found.contains("`burnformer-new` has no place in the layers"), "{found}");
        let metadata =
            metadata(&[("burnformer-new", "serde", None, false), ("burnformer", "burnformer-new", None, false)]);
        assert_eq!(violations(&metadata).len(), 2);
    }

    #[test]
    fn the_layers_have_no_cycle_and_no_stranger() {
        for (name, direct_below) in LAYERS {
            assert!(!below(name).contains(name), "`{name}` is below itself");
            for used in direct_below {
                assert!(direct(used).is_some(), "`{used}` has no line of its own");
            }
        }
    }

    #[test]
    fn the_graph_marks_optional_and_development_edges() {
        let metadata = metadata(&[
            ("burnformer", "burnformer-train", None, true),
            ("burnformer-nn", "burnformer-ops", None, false),
            ("burnformer-ops", "burnformer-core", Some("dev"), false),
            ("burnformer-core", "serde", None, false),
        ]);
        assert_eq!(
            graph(&metadata),
            "burnformer-core     -> -\n\
             burnformer-ops      -> burnformer-core (dev)\n\
             burnformer-nn       -> burnformer-ops\n\
             burnformer          -> burnformer-train?\n"
        );
    }
}
