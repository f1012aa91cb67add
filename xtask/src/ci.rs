//! `cargo xtask ci`: what continuous integration asks of a commit.

use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::backend::Backend;
use crate::check::{self, CheckArgs};
use crate::invocation::Runner;
use crate::test::{self, TestArgs};
use crate::{cluster, faults};

/// Run the tests, a few faults, training on two hosts, then every check, as continuous integration does.
///
/// The checks run even if the tests fail, so that one run shows everything that is wrong. With the
/// environment variable CI set, cargo is called with `--locked` and tests go on after a failure.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask ci
  cargo xtask ci --backends ndarray,flex")]
pub(crate) struct CiArgs {
    /// Backends to compile in, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_value = "ndarray,flex,wgpu")]
    pub(crate) backends: Vec<Backend>,
}

pub(crate) fn run(runner: &Runner, args: &CiArgs) -> Result<()> {
    let test_args = TestArgs { backends: args.backends.clone(), cargo_args: Vec::new() };
    let check_args = CheckArgs { backends: args.backends.clone(), fix: false, steps: Vec::new() };
    let tested = timed("tests", || test::run(runner, &test_args))
        .and_then(|()| timed("faults", || faults::quick(runner, &args.backends)))
        .and_then(|()| timed("cluster", || cluster::quick(runner, &args.backends)));
    if let Err(error) = &tested {
        eprintln!("error: {error:#}");
    }
    let checked = timed("checks", || check::run(runner, &check_args));
    match (tested, checked) {
        (Ok(()), checked) => checked,
        (Err(_), Ok(())) => bail!("the tests failed"),
        (Err(_), Err(error)) => Err(error.context("the tests failed, and so did the checks")),
    }
}

/// Runs `step` and prints how it ended and how long it took.
fn timed(name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    let result = step();
    let ended = if result.is_ok() { "passed" } else { "FAILED" };
    eprintln!("== {name} {ended} after {:.0} s", start.elapsed().as_secs_f64());
    result
}
