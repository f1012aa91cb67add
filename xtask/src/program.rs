//! Programs of the workspace that commands call.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::backend::{Backend, feature_args};
use crate::invocation::{Invocation, Runner};

/// Builds a program, in the way that tests build it, and returns where it is.
///
/// # Errors
/// If it cannot be built.
pub(crate) fn build(runner: &Runner, name: &str, backends: &[Backend]) -> Result<String> {
    let build = Invocation::cargo(["build", "--release", "--workspace", "--bin", name])
        .args(runner.is_ci().then_some("--locked"))
        .args(feature_args(backends));
    runner.run(&build)?;
    let program = target_folder().join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    Ok(program.display().to_string())
}

/// Where cargo puts what it builds, from the root of the workspace.
pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}
