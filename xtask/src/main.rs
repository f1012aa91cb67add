//! The repository's own commands, called as `cargo xtask <command>`.
//!
//! This file holds the arguments; each command has a file of its own. Everything a command runs is a child
//! process whose command line is printed first, so that it can be repeated by hand.

mod backend;
mod bench;
mod check;
mod ci;
mod cluster;
mod demo;
mod faults;
mod interop;
mod invocation;
mod layers;
mod mpi;
mod program;
mod python;
mod test;
mod vulkan;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::invocation::Runner;

/// The repository's own commands: demonstration, tests, checks, benchmarks.
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", after_help = "Example: cargo xtask test --backends ndarray,flex")]
struct Cli {
    /// Print the commands without running them.
    #[arg(long, global = true)]
    dry_run: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(test::TestArgs),
    Check(check::CheckArgs),
    Layers(layers::LayersArgs),
    Bench(bench::BenchArgs),
    Interop(interop::InteropArgs),
    Demo(demo::DemoArgs),
    Faults(faults::FaultsArgs),
    Cluster(cluster::ClusterArgs),
    Ci(ci::CiArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runner = Runner::from_env(cli.dry_run);
    let result = match &cli.command {
        Command::Test(args) => test::run(&runner, args),
        Command::Check(args) => check::run(&runner, args),
        Command::Layers(_) => layers::run(&runner),
        Command::Bench(args) => bench::run(&runner, args),
        Command::Interop(args) => interop::run(&runner, args),
        Command::Demo(args) => demo::run(&runner, args),
        Command::Faults(args) => faults::run(&runner, args),
        Command::Cluster(args) => cluster::run(&runner, args),
        Command::Ci(args) => ci::run(&runner, args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;
    use crate::backend::Backend;
    use crate::check::Step;

    fn parse(args: &[&str]) -> Result<Command, clap::Error> {
        Cli::try_parse_from([&["xtask"], args].concat()).map(|cli| cli.command)
    }

    #[test]
    fn the_argument_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_in_its_help() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("cargo xtask {}", command.get_name());
            assert!(help.contains(&example), "`{}` shows no example", command.get_name());
            assert!(command.get_about().is_some(), "`{}` has no description", command.get_name());
        }
    }

    #[test]
    fn tests_run_on_all_backends_unless_told_otherwise() {
        let Ok(Command::Test(args)) = parse(&["test"]) else { panic!("`test` must parse") };
        assert_eq!(args.backends, [Backend::Ndarray, Backend::Flex, Backend::Wgpu]);
        assert!(args.cargo_args.is_empty());
    }

    #[test]
    fn backends_are_a_comma_separated_list() {
        let Ok(Command::Test(args)) = parse(&["test", "--backends", "flex,wgpu"]) else {
            panic!("the list must parse")
        };
        assert_eq!(args.backends, [Backend::Flex, Backend::Wgpu]);
    }

    #[test]
    fn an_unknown_backend_is_refused_with_the_valid_names() {
        for command in ["test", "check", "bench", "ci"] {
            let error = parse(&[command, "--backends", "ndarray,cuda"]).expect_err("cuda is not a backend here");
            assert_eq!(error.kind(), ErrorKind::InvalidValue, "`{command}`");
            let text = error.to_string();
            for expected in ["cuda", "ndarray", "flex", "wgpu"] {
                assert!(text.contains(expected), "`{command}`: `{expected}` is missing in: {text}");
            }
        }
    }

    #[test]
    fn an_empty_backend_list_is_refused() {
        assert!(parse(&["test", "--backends", ""]).is_err());
        assert!(parse(&["test", "--backends"]).is_err());
    }

    #[test]
    fn arguments_behind_the_dashes_are_kept_for_cargo() {
        let Ok(Command::Test(args)) = parse(&["test", "--", "attention", "--", "--nocapture"]) else {
            panic!("extra arguments must parse")
        };
        assert_eq!(args.cargo_args, ["attention", "--", "--nocapture"]);
    }

    #[test]
    fn check_takes_the_names_of_steps() {
        let Ok(Command::Check(args)) = parse(&["check", "--fix", "fmt", "layers"]) else { panic!("steps must parse") };
        assert_eq!(args.steps, [Step::Fmt, Step::Layers]);
        assert!(args.fix);
        assert!(parse(&["check", "spelling"]).is_err());
    }

    #[test]
    fn bench_separates_filter_and_criterion_arguments() {
        let Ok(Command::Bench(args)) = parse(&["bench", "--quick", "attention/b60", "--", "--save-baseline", "before"])
        else {
            panic!("bench arguments must parse")
        };
        assert!(args.quick);
        assert_eq!(args.backends, [Backend::Ndarray, Backend::Flex, Backend::Wgpu]);
        assert_eq!(args.filter.as_deref(), Some("attention/b60"));
        assert_eq!(args.criterion_args, ["--save-baseline", "before"]);
    }
}
