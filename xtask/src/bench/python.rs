//! A Python that has PyTorch.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::invocation::{Invocation, Runner, find_program};
use crate::program::target_folder;

/// What is to be installed. Without numpy PyTorch warns at every start.
const PACKAGES: [&str; 2] = ["torch", "numpy"];

/// The Python to measure PyTorch with: `named`, the one that was made for this before, or the one that is installed if
/// it has PyTorch; else, if the user agrees or `agreed` in advance, PyTorch is downloaded into a virtual environment in
/// the target folder. Nothing if there is no Python or the user does not agree, after saying so.
///
/// # Errors
/// If `named` has no PyTorch, or the download fails.
pub(super) fn with_torch(runner: &Runner, named: Option<&str>, agreed: bool) -> Result<Option<String>> {
    if let Some(python) = named {
        if runner.is_dry_run() || has_torch(runner, python) {
            return Ok(Some(python.into()));
        }
        bail!("`{python}` has no PyTorch: run `{}`, or name another Python", install(python).line());
    }
    let environment = target_folder().join("torch");
    let own = python_in(&environment).display().to_string();
    if runner.root().join(&own).is_file() && has_torch(runner, &own) {
        return Ok(Some(own));
    }
    let Some(installed) = ["python3", "python"].into_iter().find_map(find_program) else {
        eprintln!(
            "no Python found, only our side is measured: install Python 3, or name one that has PyTorch by --python"
        );
        return Ok(None);
    };
    let installed = installed.display().to_string();
    if runner.is_dry_run() || has_torch(runner, &installed) {
        return Ok(Some(installed));
    }
    let environment = environment.display().to_string();
    if !agreed && !asked(&question(&environment))? {
        eprintln!(
            "without PyTorch only our side is measured: agree by --yes, or name a Python that has it by --python"
        );
        return Ok(None);
    }
    runner.run(&Invocation::new(&installed, ["-m", "venv", &environment]))?;
    runner.run(&install(&own))?;
    Ok(Some(own))
}

fn has_torch(runner: &Runner, python: &str) -> bool {
    let code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)";
    runner.run(&Invocation::new(python, ["-c", code])).is_ok()
}

fn install(python: &str) -> Invocation {
    Invocation::new(python, ["-m", "pip", "install"]).args(PACKAGES)
}

/// The interpreter of a virtual environment.
fn python_in(environment: &Path) -> PathBuf {
    if cfg!(windows) { environment.join("Scripts").join("python.exe") } else { environment.join("bin").join("python") }
}

fn question(environment: &str) -> String {
    let size = if cfg!(target_os = "linux") { "some 3 GB, 6 GB on disk, with CUDA" } else { "some 0.3 GB" };
    format!("Download PyTorch into `{environment}` ({size}; PIP_INDEX_URL may name an index of CPU builds)? [y/N] ")
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
        let question = question("target/torch");
        for part in ["PyTorch", "`target/torch`", "GB", "[y/N]"] {
            assert!(question.contains(part), "`{part}` is missing in: {question}");
        }
    }

    #[test]
    fn packages_are_installed_by_the_python_that_will_use_them() {
        assert_eq!(install("target/torch/bin/python").line(), "target/torch/bin/python -m pip install torch numpy");
    }
}
