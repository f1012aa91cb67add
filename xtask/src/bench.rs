//! `cargo xtask bench`: the criterion benchmarks on a choice of backends.

use anyhow::Result;
use clap::Args;

use crate::backend::{Backend, feature_args};
use crate::invocation::{Invocation, Runner};

/// Run the benchmarks.
///
/// The identifier of a benchmark is `operation/shape/dtype/device`; FILTER is a regular expression on it. A software
/// Vulkan driver runs the small shapes only.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bench
  cargo xtask bench --quick attention
  cargo xtask bench --backends wgpu 'encoder.*/wgpu' -- --save-baseline before")]
pub(crate) struct BenchArgs {
    /// Backends to compile in, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_value = "ndarray,flex,wgpu")]
    pub(crate) backends: Vec<Backend>,

    /// Stop each benchmark as soon as its spread is small (criterion's `--quick`).
    #[arg(long)]
    pub(crate) quick: bool,

    /// Run only the benchmarks whose identifier matches this regular expression.
    pub(crate) filter: Option<String>,

    /// Arguments for criterion.
    #[arg(last = true, value_name = "CRITERION_ARGS")]
    pub(crate) criterion_args: Vec<String>,
}

pub(crate) fn run(runner: &Runner, args: &BenchArgs) -> Result<()> {
    runner.run(&invocation(args, runner.is_ci()))
}

/// The `bench` profile inherits `release`, but cargo keeps its artefacts apart; under `--profile release` the
/// dependencies that the tests have built are used again.
fn invocation(args: &BenchArgs, ci: bool) -> Invocation {
    let bench = Invocation::cargo(["bench", "--profile", "release", "--package", "burnformer-benches"])
        .args(ci.then_some("--locked"))
        .args(feature_args(&args.backends));
    let quick = args.quick.then_some("--quick");
    let criterion_args: Vec<&str> =
        quick.into_iter().chain(args.filter.as_deref()).chain(args.criterion_args.iter().map(String::as_str)).collect();
    if criterion_args.is_empty() { bench } else { bench.args(["--"]).args(criterion_args) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_criterion_arguments_there_are_no_dashes() {
        let args = BenchArgs {
            backends: vec![Backend::Ndarray, Backend::Flex],
            quick: false,
            filter: None,
            criterion_args: Vec::new(),
        };
        assert_eq!(
            invocation(&args, false).line(),
            "cargo bench --profile release --package burnformer-benches --no-default-features --features ndarray,flex"
        );
    }

    #[test]
    fn quick_filter_and_extra_arguments_reach_criterion() {
        let args = BenchArgs {
            backends: vec![Backend::Wgpu],
            quick: true,
            filter: Some("attention".into()),
            criterion_args: ["--save-baseline", "before"].map(Into::into).to_vec(),
        };
        assert_eq!(
            invocation(&args, true).line(),
            "cargo bench --profile release --package burnformer-benches --locked --no-default-features --features wgpu \
             -- --quick attention --save-baseline before"
        );
    }
}
