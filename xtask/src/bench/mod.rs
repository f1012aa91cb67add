//! `cargo xtask bench`: the criterion benchmarks on a choice of backends, or comparisons with other libraries.

#[allow(unreachable_pub)] // It is public where it lies.
#[path = "../../../benches/src/case.rs"]
mod case;
mod comparison;
mod machine;
mod peer;
mod peers;
mod processors;
mod ranks;
mod record;
mod start;

use anyhow::Result;
use clap::Args;

use crate::backend::{Backend, backend_args};
use crate::invocation::{Invocation, Runner};
use peers::PeersArgs;
use ranks::RanksArgs;

/// Run the benchmarks, or compare with other libraries.
///
/// The identifier of a benchmark is `operation/pass/shape/dtype/device`, for an operator with its body, `composed` or
/// `fused`, behind the shape; FILTER is a regular expression on it. A software Vulkan driver runs small shapes.
///
/// With --peers, the cases run here and in PyTorch on the CPU in turns, each in a process of
/// its own; those of inference also in onnxruntime or `CTranslate2`. With --ranks, two processes that share a batch run beside one process, of one thread and of two, here (MPI, device
/// flex) and in PyTorch (DDP on gloo); needs two cores and nothing else that runs. Both print a table of
/// medians, and keep every figure in `benches/runs/`. A ratio above 1 means that ours is faster. --processors measures nothing: it
/// prints what is kept, of each processor the newest.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bench
  cargo xtask bench --quick attention
  cargo xtask bench --backends wgpu 'encoder.*/wgpu' -- --save-baseline before
  cargo xtask bench --peers --cases mha,bert-mini --rounds 5
  cargo xtask bench --peers --cases embed,embed-one,beam
  cargo xtask bench --peers --python ~/torch/bin/python --format json
  cargo xtask bench --ranks --sizes bert-mini --rounds 5
  cargo xtask bench --processors")]
pub(crate) struct BenchArgs {
    /// Backends to compile in, separated by commas. With --peers the devices to measure, ndarray,flex if none is given;
    /// wgpu needs a real GPU there.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_value = "ndarray,flex,wgpu")]
    #[arg(default_value_if("peers", "true", "ndarray,flex"))]
    pub(crate) backends: Vec<Backend>,

    /// Stop each benchmark as soon as its spread is small (criterion's `--quick`).
    #[arg(long)]
    pub(crate) quick: bool,

    /// Run only the benchmarks whose identifier matches this regular expression.
    pub(crate) filter: Option<String>,

    /// Arguments for criterion.
    #[arg(last = true, value_name = "CRITERION_ARGS")]
    pub(crate) criterion_args: Vec<String>,

    /// Compare with other libraries instead.
    #[arg(long, group = "comparison", conflicts_with_all = ["quick", "filter", "criterion_args"])]
    pub(crate) peers: bool,

    /// Compare two processes with one instead, and both with PyTorch.
    #[arg(long, group = "comparison", conflicts_with_all = ["quick", "filter", "criterion_args", "backends"])]
    pub(crate) ranks: bool,

    /// Print the newest figures of each processor side by side instead.
    #[arg(long, group = "comparison", conflicts_with_all = ["quick", "filter", "criterion_args", "backends"])]
    pub(crate) processors: bool,

    #[command(flatten)]
    pub(crate) together: RanksArgs,

    #[command(flatten)]
    pub(crate) comparison: PeersArgs,
}

pub(crate) fn run(runner: &Runner, args: &BenchArgs) -> Result<()> {
    if args.ranks {
        return ranks::run(runner, &args.together, &args.comparison);
    }
    if args.processors {
        return processors::run(runner);
    }
    if args.peers {
        return peers::run(runner, &args.backends, &args.comparison);
    }
    runner.run(&invocation(args, runner.is_ci()))
}

/// The `bench` profile inherits `release`, but cargo keeps its artefacts apart; under `--profile release`, and with the
/// whole workspace selected, the dependencies that the tests have built are used again.
fn invocation(args: &BenchArgs, ci: bool) -> Invocation {
    let bench = Invocation::cargo(["bench", "--profile", "release", "--workspace", "--bench", "*"])
        .args(ci.then_some("--locked"))
        .args(backend_args(&args.backends));
    let quick = args.quick.then_some("--quick");
    let criterion_args: Vec<&str> =
        quick.into_iter().chain(args.filter.as_deref()).chain(args.criterion_args.iter().map(String::as_str)).collect();
    if criterion_args.is_empty() { bench } else { bench.args(["--"]).args(criterion_args) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn parse(args: &[&str]) -> BenchArgs {
        Command::try_parse_from([&["bench"], args].concat()).expect("the arguments must parse").bench
    }

    #[test]
    fn without_criterion_arguments_there_are_no_dashes() {
        assert_eq!(
            invocation(&parse(&["--backends", "ndarray,flex"]), false).line(),
            "cargo bench --profile release --workspace --bench '*' --no-default-features --features ndarray,flex"
        );
    }

    #[test]
    fn quick_filter_and_extra_arguments_reach_criterion() {
        let args = parse(&["--backends", "wgpu", "--quick", "attention", "--", "--save-baseline", "before"]);
        assert_eq!(
            invocation(&args, true).line(),
            "cargo bench --profile release --workspace --bench '*' --locked --no-default-features --features wgpu \
             -- --quick attention --save-baseline before"
        );
    }

    #[test]
    fn the_comparison_is_of_the_devices_on_the_processor_unless_told_otherwise() {
        assert_eq!(parse(&["--peers"]).backends, [Backend::Ndarray, Backend::Flex]);
        assert_eq!(parse(&["--peers", "--backends", "wgpu"]).backends, [Backend::Wgpu]);
        assert_eq!(parse(&[]).backends, [Backend::Ndarray, Backend::Flex, Backend::Wgpu]);
    }

    #[test]
    fn criterion_and_the_comparison_do_not_mix() {
        for args in [
            &["--peers", "attention"][..],
            &["--peers", "--quick"],
            &["--rounds", "3"],
            &["--yes"],
            &["--ranks", "--peers"],
            &["--processors", "--peers"],
            &["--ranks", "--quick"],
            &["--steps", "3"],
        ] {
            assert!(Command::try_parse_from([&["bench"], args].concat()).is_err(), "{args:?}");
        }
    }
}
