//! `cargo xtask test`: the tests of the whole workspace on a choice of backends.

use anyhow::Result;
use clap::Args;

use crate::backend::{Backend, feature_args};
use crate::invocation::{Invocation, Runner};
use crate::{demo, mpi, vulkan};

/// Run the tests of all crates.
///
/// Runs `cargo test --release --workspace` with the chosen backends compiled in, and the feature `mpi` where there are an MPI
/// library and libclang, and then the quick demonstration. The tests of `wgpu` need a Vulkan driver on Linux, for which Mesa's software driver is enough; where it is missing, it is installed
/// (as root with apt-get), or the command stops and says which package to install.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test --backends ndarray,flex
  cargo xtask test --backends ndarray -- attention -- --nocapture")]
pub(crate) struct TestArgs {
    /// Backends to compile in, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_value = "ndarray,flex,wgpu")]
    pub(crate) backends: Vec<Backend>,

    /// Arguments for `cargo test`, and behind a second `--` for the test programs.
    #[arg(last = true, value_name = "CARGO_ARGS")]
    pub(crate) cargo_args: Vec<String>,
}

pub(crate) fn run(runner: &Runner, args: &TestArgs) -> Result<()> {
    if args.backends.contains(&Backend::Wgpu) && !runner.is_dry_run() {
        vulkan::ensure_driver(runner)?;
    }
    runner.run(&invocation(args, runner.is_ci(), mpi::is_found()))?;
    // A selection of tests is one of the person at the keyboard, who wants just those.
    if args.cargo_args.is_empty() { demo::quick(runner, &args.backends) } else { Ok(()) }
}

fn invocation(args: &TestArgs, ci: bool, mpi: bool) -> Invocation {
    let ci_args: &[&str] = if ci { &["--locked", "--no-fail-fast"] } else { &[] };
    Invocation::cargo(["test", "--release", "--workspace"])
        .args(ci_args.iter().copied())
        .args(feature_args(&args.backends, mpi))
        .args(args.cargo_args.iter().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_arguments_come_last() {
        let args = TestArgs {
            backends: vec![Backend::Ndarray, Backend::Flex],
            cargo_args: ["attention", "--", "--nocapture"].map(Into::into).to_vec(),
        };
        assert_eq!(
            invocation(&args, false, false).line(),
            "cargo test --release --workspace --no-default-features --features ndarray,flex,fetch attention -- --nocapture"
        );
    }

    #[test]
    fn ci_keeps_the_lock_file_and_collects_all_failures() {
        let args = TestArgs { backends: vec![Backend::Wgpu], cargo_args: Vec::new() };
        assert_eq!(
            invocation(&args, true, true).line(),
            "cargo test --release --workspace --locked --no-fail-fast --no-default-features --features wgpu,fetch,mpi"
        );
    }
}
