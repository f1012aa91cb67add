//! `cargo xtask cluster`: training on two hosts gives the bits of training in one process, also where their connection is cut.

mod hosts;
mod work;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::backend::Backend;
use crate::invocation::{Invocation, Runner};
use crate::{mpi, program};
use work::Work;

/// Train on two hosts and compare the files with those of one process.
///
/// The hosts are network namespaces of this machine, each with its own name and network card, joined by a cable. Open MPI starts
/// the ranks and connects them by TCP, as on a cluster. Needs Linux and Open MPI, as root or where users may make namespaces.
/// Everything is removed at the end, also when the command is interrupted or killed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask cluster
  cargo xtask cluster --quick
  cargo xtask cluster --cut")]
pub(crate) struct ClusterArgs {
    /// One run with a rank on each host, in some seconds.
    #[arg(long)]
    quick: bool,

    /// Then cut the cable during a run, mend it, resume the run, and compare the files again.
    #[arg(long)]
    cut: bool,

    /// Program to run [default: built here].
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,

    /// Backend to build and train on.
    #[arg(long, value_enum, value_name = "DEVICE", default_value = "flex")]
    device: Backend,

    /// Run in the namespaces that the command has made for itself.
    #[arg(long, hide = true, requires = "program")]
    inside: bool,
}

pub(crate) fn run(runner: &Runner, args: &ClusterArgs) -> Result<()> {
    if let (true, Some(program)) = (args.inside, &args.program) {
        return Work::new(runner, program, args.device.feature())?.try_all(args.quick, args.cut);
    }
    if let Some(obstacle) = hosts::obstacle() {
        bail!("there can be no two hosts here: {obstacle}");
    }
    let program = match &args.program {
        Some(program) => program.clone(),
        None => {
            if !mpi::is_found() {
                bail!("the program cannot be built with MPI");
            }
            program::build_with_mpi(runner, "burnformer-cli", "burnformer", args.device)?.into()
        }
    };
    runner.run(&in_own_world(&program, args.device, args.quick, args.cut)?)
}

/// A small run behind the tests, with the program as they have built it for `backends`; nothing where there can be no hosts, after
/// saying so.
pub(crate) fn quick(runner: &Runner, backends: &[Backend]) -> Result<()> {
    let obstacle = hosts::obstacle().or_else(|| (!mpi::is_found()).then(|| mpi::LEFT_OUT.to_owned()));
    if let Some(obstacle) = obstacle {
        eprintln!("two hosts are left out: {obstacle}");
        return Ok(());
    }
    let fastest = [Backend::Flex, Backend::Ndarray].into_iter().find(|backend| backends.contains(backend));
    let program = program::path("burnformer");
    runner.run(&in_own_world(Path::new(&program), fastest.unwrap_or(Backend::Wgpu), true, true)?)
}

/// This command once more, where the hosts can be made.
fn in_own_world(program: &Path, device: Backend, quick: bool, cut: bool) -> Result<Invocation> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let (own, program) = (own.display().to_string(), program.display().to_string());
    let mut words = hosts::world().into_iter();
    let first = words.next().expect("a program comes first");
    Ok(Invocation::new(first, words)
        .args([own.as_str(), "cluster", "--inside", "--program", &program, "--device", device.feature()])
        .args(quick.then_some("--quick"))
        .args(cut.then_some("--cut")))
}
