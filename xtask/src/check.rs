//! `cargo xtask check`: everything about the sources that needs no test run.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::backend::{Backend, backend_args, feature_args};
use crate::invocation::{Invocation, Runner, find_program};
use crate::layers;

/// Check formatting, layers, lints (also with each backend alone and without burn), documentation and spelling.
///
/// Runs all steps, or only the named ones, and reports every one of them before it fails. Spelling is checked
/// where the program `typos` is installed.
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
        }
    }
}

enum Outcome {
    Passed,
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
        [Step::Clippy, Step::Fmt, Step::Layers, Step::Features, Step::Docs, Step::Typos]
    } else {
        [Step::Fmt, Step::Layers, Step::Clippy, Step::Features, Step::Docs, Step::Typos]
    };
    order.into_iter().filter(|step| asked.is_empty() || asked.contains(step)).collect()
}

fn run_step(runner: &Runner, step: Step, args: &CheckArgs) -> Outcome {
    let result = match step {
        Step::Layers => layers::run(runner),
        Step::Typos if find_program("typos").is_none() => {
            const MISSING: &str = "`typos` is not installed (`cargo install typos-cli`)";
            return if args.steps.contains(&Step::Typos) {
                Outcome::Failed(MISSING.into())
            } else {
                Outcome::LeftOut(MISSING)
            };
        }
        Step::Fmt => runner.run(&fmt(args.fix)),
        Step::Clippy => runner.run(&clippy(feature_args(&args.backends), args.fix, runner.is_ci())),
        Step::Features => {
            let alone = args.backends.iter().map(|&backend| clippy(backend_args(&[backend]), false, runner.is_ci()));
            alone.chain([data_without_burn(runner.is_ci())]).try_for_each(|invocation| runner.run(&invocation))
        }
        Step::Docs => runner.run(&docs(args, runner.is_ci())),
        Step::Typos => runner.run(&typos(args.fix)),
    };
    match result {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn report(step: Step, outcome: &Outcome, elapsed: Duration) -> String {
    let (word, note) = match outcome {
        Outcome::Passed => ("ok", None),
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

fn docs(args: &CheckArgs, ci: bool) -> Invocation {
    Invocation::cargo(["doc", "--release", "--workspace", "--no-deps"])
        .args(ci.then_some("--locked"))
        .args(feature_args(&args.backends))
        .env("RUSTDOCFLAGS", "-D warnings")
}

fn typos(fix: bool) -> Invocation {
    Invocation::new("typos", fix.then_some("--write-changes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_args(fix: bool) -> CheckArgs {
        CheckArgs { backends: vec![Backend::Ndarray, Backend::Flex, Backend::Wgpu], fix, steps: Vec::new() }
    }

    #[test]
    fn all_steps_run_in_fixed_order() {
        let order = [Step::Fmt, Step::Layers, Step::Clippy, Step::Features, Step::Docs, Step::Typos];
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
            clippy(feature_args(&check_args(false).backends), false, false).line(),
            "cargo clippy --release --workspace --all-targets --no-default-features --features ndarray,flex,wgpu,fetch \
             -- -D warnings"
        );
        assert_eq!(
            docs(&check_args(false), false).line(),
            "RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --no-deps --no-default-features \
             --features ndarray,flex,wgpu,fetch"
        );
    }

    #[test]
    fn ci_keeps_the_lock_file() {
        assert!(clippy(feature_args(&check_args(false).backends), false, true).line().contains(" --locked "));
        assert!(docs(&check_args(false), true).line().contains(" --locked "));
        assert!(data_without_burn(true).line().contains(" --locked "));
    }

    #[test]
    fn files_are_changed_only_when_asked_for() {
        assert_eq!(fmt(false).line(), "cargo fmt --all --check");
        assert_eq!(typos(false).line(), "typos");
        assert!(!clippy(feature_args(&check_args(false).backends), false, false).line().contains("--fix"));
        assert_eq!(fmt(true).line(), "cargo fmt --all");
        assert_eq!(typos(true).line(), "typos --write-changes");
        assert!(
            clippy(feature_args(&check_args(true).backends), true, false)
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
    }
}
