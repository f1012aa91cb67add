//! A Python that has what a command needs.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::invocation::{Invocation, Runner, find_program};
use crate::program::target_folder;

/// A Python with `packages`, which are installed and imported by the same names: `named`, the one that was made for this
/// before, or the one that is installed if it has them; else, if the user agrees or `agreed` in advance, they are
/// downloaded, with the `optional` ones, into a virtual environment in the target folder. Nothing if there is no Python or
/// the user does not agree, after saying so. [`lacking`] tells which of the optional ones a Python does not have.
///
/// # Errors
/// If `named` lacks a package, or the download fails.
pub(crate) fn with_packages(
    runner: &Runner,
    packages: &[&str],
    optional: &[&str],
    named: Option<&str>,
    agreed: bool,
) -> Result<Option<String>> {
    let has_all = |python: &str| runner.run(&import(python, packages)).is_ok();
    if let Some(python) = named {
        if runner.is_dry_run() || has_all(python) {
            return Ok(Some(python.into()));
        }
        bail!("`{python}` lacks a package: run `{}`, or name another Python", install(python, packages).line());
    }
    let wanted = [packages, optional].concat();
    let environment = target_folder().join("python");
    let own = python_in(&environment).display().to_string();
    let is_made = runner.root().join(&own).is_file();
    if is_made && has_all(&own) {
        return Ok(Some(own));
    }
    let Some(installed) = ["python3", "python"].into_iter().find_map(find_program) else {
        eprintln!("no Python found: install Python 3, or name one that has {} by --python", packages.join(", "));
        return Ok(None);
    };
    let installed = installed.display().to_string();
    if runner.is_dry_run() || has_all(&installed) {
        return Ok(Some(installed));
    }
    let environment = environment.display().to_string();
    if !agreed && !asked(&question(&wanted, &environment))? {
        eprintln!(
            "nothing is downloaded: agree by --yes, or name a Python that has {} by --python",
            packages.join(", ")
        );
        return Ok(None);
    }
    if !is_made {
        runner.run(&Invocation::new(&installed, ["-m", "venv", &environment]))?;
    }
    runner.run(&install(&own, &wanted))?;
    Ok(Some(own))
}

/// Those of `packages` that `python` does not have.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn lacking<'a>(runner: &Runner, python: &str, packages: &[&'a str]) -> Result<Vec<&'a str>> {
    let code = "import importlib.util, sys; print(*(it for it in sys.argv[1:] if not importlib.util.find_spec(it)))";
    let missing = runner.output(&Invocation::new(python, ["-c", code]).args(packages.iter().copied()))?;
    Ok(packages.iter().copied().filter(|package| missing.split_whitespace().any(|name| name == *package)).collect())
}

/// Succeeds if all of the packages are there; none of them is loaded.
fn import(python: &str, packages: &[&str]) -> Invocation {
    let code = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))";
    Invocation::new(python, ["-c", code]).args(packages.iter().copied())
}

/// The command line that installs `packages`.
pub(crate) fn install(python: &str, packages: &[&str]) -> Invocation {
    Invocation::new(python, ["-m", "pip", "install"]).args(packages.iter().copied())
}

/// The interpreter of a virtual environment.
fn python_in(environment: &Path) -> PathBuf {
    if cfg!(windows) { environment.join("Scripts").join("python.exe") } else { environment.join("bin").join("python") }
}

/// PyTorch is by far the largest of what is asked for.
fn question(packages: &[&str], environment: &str) -> String {
    let size = if cfg!(target_os = "linux") { "some 3 GB, 6 GB on disk, with CUDA" } else { "some 0.4 GB" };
    let packages = packages.join(", ");
    format!("Download {packages} into `{environment}` ({size}; PIP_INDEX_URL may name an index of CPU builds)? [y/N] ")
}

/// Asks, and takes silence for no; without a terminal nobody is asked.
fn asked(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    answer(question, &mut io::stdin().lock(), &mut io::stderr())
}

fn answer(question: &str, input: &mut impl BufRead, output: &mut impl Write) -> Result<bool> {
    write!(output, "{question}").and_then(|()| output.flush()).context("cannot ask")?;
    let mut line = String::new();
    input.read_line(&mut line).context("cannot read the answer")?;
    Ok(["y", "yes"].contains(&line.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (typed, expected) in
            [("y\n", true), ("Yes\r\n", true), ("\n", false), ("", false), ("n\n", false), ("yep\n", false)]
        {
            let mut shown = Vec::new();
            assert_eq!(answer("Really? ", &mut typed.as_bytes(), &mut shown).unwrap(), expected, "{typed:?}");
            assert_eq!(shown, b"Really? ");
        }
    }

    #[test]
    fn the_question_says_what_where_and_how_much() {
        let question = question(&["torch", "transformers"], "target/python");
        for part in ["torch, transformers", "`target/python`", "GB", "[y/N]"] {
            assert!(question.contains(part), "`{part}` is missing in: {question}");
        }
    }

    #[test]
    fn packages_are_looked_for_and_installed_by_the_python_that_will_use_them() {
        let packages = ["torch", "numpy"];
        let line = import("python3", &packages).line();
        assert!(line.starts_with("python3 -c 'import") && line.ends_with("' torch numpy"), "{line}");
        let line = install("target/python/bin/python", &packages).line();
        assert_eq!(line, "target/python/bin/python -m pip install torch numpy");
    }
}
