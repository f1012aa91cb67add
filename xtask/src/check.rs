//! `cargo xtask check`: everything about the sources that needs no test run.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::backend::{Backend, backend_args, feature_args};
use crate::invocation::{Invocation, Runner, find_program};
use crate::{layers, mpi};

/// Check formatting, layers, lints (also with each backend alone and without burn), documentation, spelling and dependencies.
///
/// Runs all steps, or only the named ones, and reports every one of them before it fails. Spelling is checked where the
/// program `typos` is installed, licences, sources and known vulnerabilities of all dependencies where `cargo-deny` is. The
/// list of vulnerabilities (RustSec) is fetched anew; where that is not possible, the summary says so.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask check
  cargo xtask check fmt layers
  cargo xtask check --fix fmt clippy")]
pub(crate) struct CheckArgs {
    /// Backends to compile in, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_value = "ndarray,flex,wgpu")]
    pub(crate) backends: Vec<Backend>,

    /// Apply the automatic fixes of fmt, clippy and typos. Changes files.
    #[arg(long)]
    pub(crate) fix: bool,

    /// Steps to run [default: all].
    #[arg(value_enum)]
    pub(crate) steps: Vec<Step>,
}

/// One step of the check, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Formatting (rustfmt)
    Fmt,
    /// Allowed dependencies between the crates
    Layers,
    /// Lints, warnings denied
    Clippy,
    /// Lints of builds with one backend alone and without `fetch`, and of burnformer-data without burn
    Features,
    /// Documentation, warnings denied
    Docs,
    /// Spelling (typos)
    Typos,
    /// Licences, sources and known vulnerabilities of dependencies (cargo-deny)
    Deny,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Layers => "layers",
            Self::Clippy => "clippy",
            Self::Features => "features",
            Self::Docs => "docs",
            Self::Typos => "typos",
            Self::Deny => "deny",
        }
    }
}

enum Outcome {
    Passed,
    /// What could be checked passed; what could not is named.
    PassedBut(&'static str),
    Failed(String),
    LeftOut(&'static str),
}

pub(crate) fn run(runner: &Runner, args: &CheckArgs) -> Result<()> {
    let mut reports = Vec::new();
    for step in plan(&args.steps, args.fix) {
        eprintln!("== {}", step.name());
        let start = Instant::now();
        let outcome = run_step(runner, step, args);
        reports.push((step, outcome, start.elapsed()));
    }
    eprintln!("== summary");
    for (step, outcome, elapsed) in &reports {
        eprintln!("{}", report(*step, outcome, *elapsed));
    }
    let failed: Vec<_> = reports
        .iter()
        .filter(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_)))
        .map(|(step, ..)| step.name())
        .collect();
    if !failed.is_empty() {
        bail!("check failed: {}", failed.join(", "));
    }
    Ok(())
}

/// The steps to run, each once and in fixed order.
///
/// Repairs by clippy can leave lines that want formatting, so with `fix` formatting comes behind it.
fn plan(asked: &[Step], fix: bool) -> Vec<Step> {
    let order = if fix {
        [Step::Clippy, Step::Fmt, Step::Layers, Step::Features, Step::Docs, Step::Typos, Step::Deny]
    } else {
        [Step::Fmt, Step::Layers, Step::Clippy, Step::Features, Step::Docs, Step::Typos, Step::Deny]
    };
    order.into_iter().filter(|step| asked.is_empty() || asked.contains(step)).collect()
}

fn run_step(runner: &Runner, step: Step, args: &CheckArgs) -> Outcome {
    let result = match step {
        Step::Layers => layers::run(runner),
        Step::Typos if find_program("typos").is_none() => {
            return missing("`typos` is not installed (`cargo install typos-cli`)", args.steps.contains(&step));
        }
        Step::Deny if find_program("cargo-deny").is_none() => {
            let text = "`cargo-deny` is not installed (`cargo install cargo-deny --locked`)";
            return missing(text, args.steps.contains(&step));
        }
        Step::Fmt => runner.run(&fmt(args.fix)),
        Step::Clippy => runner.run(&clippy(feature_args(&args.backends, mpi::is_found()), args.fix, runner.is_ci())),
        Step::Features => {
            let alone = args.backends.iter().map(|&backend| clippy(backend_args(&[backend]), false, runner.is_ci()));
            alone.chain([data_without_burn(runner.is_ci())]).try_for_each(|invocation| runner.run(&invocation))
        }
        Step::Docs => runner.run(&docs(args, runner.is_ci(), mpi::is_found())),
        Step::Typos => runner.run(&typos(args.fix)),
        Step::Deny => match runner.run(&deny(&["licenses", "bans", "sources"])) {
            Ok(()) if runner.run(&advisories()).is_err() => {
                return Outcome::PassedBut("advisories were NOT checked: their list cannot be fetched");
            }
            Ok(()) => runner.run(&deny(&["advisories"])),
            failed => failed,
        },
    };
    match result {
        Ok(()) if matches!(step, Step::Clippy | Step::Docs) && !mpi::is_found() => Outcome::PassedBut(mpi::LEFT_OUT),
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// A program that is not there fails a step only if somebody asked for it.
fn missing(text: &'static str, is_asked: bool) -> Outcome {
    if is_asked { Outcome::Failed(text.into()) } else { Outcome::LeftOut(text) }
}

fn report(step: Step, outcome: &Outcome, elapsed: Duration) -> String {
    let (word, note) = match outcome {
        Outcome::Passed => ("ok", None),
        Outcome::PassedBut(reason) => ("ok", Some(*reason)),
        Outcome::Failed(error) => ("FAILED", Some(error.as_str())),
        Outcome::LeftOut(reason) => ("left out", Some(*reason)),
    };
    let line = format!("{:<10}{word:<10}{:>7.1} s", step.name(), elapsed.as_secs_f64());
    note.map_or(line.clone(), |note| format!("{line}  {note}"))
}

fn fmt(fix: bool) -> Invocation {
    Invocation::cargo(["fmt", "--all"]).args((!fix).then_some("--check"))
}

fn clippy(features: [String; 3], fix: bool, ci: bool) -> Invocation {
    let fix: &[&str] = if fix { &["--fix", "--allow-dirty", "--allow-staged"] } else { &[] };
    Invocation::cargo(["clippy", "--release", "--workspace", "--all-targets"])
        .args(ci.then_some("--locked"))
        .args(fix.iter().copied())
        .args(features)
        .args(["--", "-D", "warnings"])
}

/// In the workspace other crates switch its feature `tensor` on.
fn data_without_burn(ci: bool) -> Invocation {
    Invocation::cargo(["clippy", "--release", "--package", "burnformer-data", "--all-targets"])
        .args(ci.then_some("--locked"))
        .args(["--no-default-features", "--", "-D", "warnings"])
}

fn docs(args: &CheckArgs, ci: bool, mpi: bool) -> Invocation {
    Invocation::cargo(["doc", "--release", "--workspace", "--no-deps"])
        .args(ci.then_some("--locked"))
        .args(feature_args(&args.backends, mpi))
        .env("RUSTDOCFLAGS", "-D warnings")
}

fn typos(fix: bool) -> Invocation {
    Invocation::new("typos", fix.then_some("--write-changes"))
}

/// Duplicates are burn's and wgpu's: `cargo deny check bans` lists them.
fn deny(checks: &[&str]) -> Invocation {
    let options = ["deny", "--locked", "check", "--allow", "duplicate", "--hide-inclusion-graph"];
    Invocation::cargo(options).args(checks.iter().copied())
}

/// Fetches the list of known vulnerabilities. A connection that stands still ends after half a minute.
fn advisories() -> Invocation {
    let fetch = Invocation::cargo(["deny", "--locked", "fetch", "db"]);
    fetch.env("GIT_HTTP_LOW_SPEED_LIMIT", "1").env("GIT_HTTP_LOW_SPEED_TIME", "30")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_args(fix: bool) -> CheckArgs {
        CheckArgs { backends: vec![Backend::Ndarray, Backend::Flex, Backend::Wgpu], fix, steps: Vec::new() }
    }

    #[test]
    fn all_steps_run_in_fixed_order() {
        let order = [Step::Fmt, Step::Layers, Step::Clippy, Step::Features, Step::Docs, Step::Typos, Step::Deny];
        assert_eq!(plan(&[], false), order);
        assert_eq!(plan(&[Step::Layers, Step::Fmt, Step::Layers], false), [Step::Fmt, Step::Layers]);
    }

    #[test]
    fn repaired_lines_are_formatted() {
        assert_eq!(plan(&[Step::Fmt, Step::Clippy], true), [Step::Clippy, Step::Fmt]);
    }

    #[test]
    fn warnings_are_denied() {
        assert_eq!(
            clippy(feature_args(&check_args(false).backends, true), false, false).line(),
            "cargo clippy --release --workspace --all-targets --no-default-features --features \
             ndarray,flex,wgpu,fetch,mpi -- -D warnings"
        );
        assert_eq!(
            docs(&check_args(false), false, true).line(),
            "RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --no-deps --no-default-features \
             --features ndarray,flex,wgpu,fetch,mpi"
        );
    }

    #[test]
    fn ci_keeps_the_lock_file() {
        assert!(clippy(feature_args(&check_args(false).backends, false), false, true).line().contains(" --locked "));
        assert!(docs(&check_args(false), true, false).line().contains(" --locked "));
        assert!(data_without_burn(true).line().contains(" --locked "));
    }

    #[test]
    fn files_are_changed_only_when_asked_for() {
        assert_eq!(fmt(false).line(), "cargo fmt --all --check");
        assert_eq!(typos(false).line(), "typos");
        assert!(!clippy(feature_args(&check_args(false).backends, false), false, false).line().contains("--fix"));
        assert_eq!(fmt(true).line(), "cargo fmt --all");
        assert_eq!(typos(true).line(), "typos --write-changes");
        assert!(
            clippy(feature_args(&check_args(true).backends, false), true, false)
                .line()
                .contains(" --fix --allow-dirty --allow-staged ")
        );
    }

    #[test]
    fn the_report_says_why() {
        let failed = report(Step::Fmt, &Outcome::Failed("`cargo fmt` failed".into()), Duration::from_millis(1500));
        assert_eq!(failed, "fmt       FAILED        1.5 s  `cargo fmt` failed");
        let passed = report(Step::Clippy, &Outcome::Passed, Duration::from_secs(90));
        assert_eq!(passed, "clippy    ok           90.0 s");
        let partly = report(Step::Deny, &Outcome::PassedBut("advisories were NOT checked"), Duration::from_secs(3));
        assert_eq!(partly, "deny      ok            3.0 s  advisories were NOT checked");
    }

    #[test]
    fn dependencies_are_checked_as_they_are_locked() {
        assert_eq!(
            deny(&["advisories"]).line(),
            "cargo deny --locked check --allow duplicate --hide-inclusion-graph advisories"
        );
        assert!(advisories().line().ends_with("cargo deny --locked fetch db"));
    }
}
