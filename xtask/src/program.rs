//! Programs of the workspace that commands call.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::backend::{Backend, backend_args, feature_args, mpi_args};
use crate::invocation::{Invocation, Runner};
use crate::mpi;

/// Builds a program with all that it can do on `backends`, and returns its path.
///
/// # Errors
/// If it cannot be built.
pub(crate) fn build(runner: &Runner, name: &str, backends: &[Backend]) -> Result<String> {
    runner.run(&whole(name, backends, runner.is_ci(), mpi::is_found()))?;
    Ok(path(name))
}

/// Builds a program of `package` with `backend` and without any other feature, which takes the least time on a new machine,
/// and returns its path.
///
/// # Errors
/// If it cannot be built.
pub(crate) fn build_small(runner: &Runner, package: &str, name: &str, backend: Backend) -> Result<String> {
    runner.run(&small(package, name, backend_args(&[backend]), runner.is_ci()))?;
    Ok(path(name))
}

/// As [`build_small`], with the feature `mpi` besides.
///
/// # Errors
/// If it cannot be built.
pub(crate) fn build_with_mpi(runner: &Runner, package: &str, name: &str, backend: Backend) -> Result<String> {
    runner.run(&small(package, name, mpi_args(backend), runner.is_ci()))?;
    Ok(path(name))
}

/// With the whole workspace selected, every program has the same features of dependencies.
fn whole(name: &str, backends: &[Backend], ci: bool, mpi: bool) -> Invocation {
    Invocation::cargo(["build", "--release", "--workspace", "--bin", name])
        .args(ci.then_some("--locked"))
        .args(feature_args(backends, mpi))
}

fn small(package: &str, name: &str, features: [String; 3], ci: bool) -> Invocation {
    Invocation::cargo(["build", "--release", "--package", package, "--bin", name])
        .args(ci.then_some("--locked"))
        .args(features)
}

/// Where the last build or test run has put a program.
pub(crate) fn path(name: &str) -> String {
    let program = target_folder().join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    program.display().to_string()
}

/// Where cargo puts what it builds, from the root of the workspace.
pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_build_has_one_backend_and_nothing_else() {
        assert_eq!(
            small("burnformer-cli", "burnformer", backend_args(&[Backend::Flex]), false).line(),
            "cargo build --release --package burnformer-cli --bin burnformer --no-default-features --features flex"
        );
        let with_mpi = small("burnformer-cli", "burnformer", mpi_args(Backend::Flex), true).line();
        assert!(with_mpi.contains(" --locked ") && with_mpi.ends_with(" --features flex,mpi"), "{with_mpi}");
    }

    #[test]
    fn other_builds_have_all_features() {
        assert_eq!(
            whole("burnformer", &[Backend::Ndarray, Backend::Flex], true, true).line(),
            "cargo build --release --workspace --bin burnformer --locked --no-default-features --features \
             ndarray,flex,fetch,mpi"
        );
    }
}
