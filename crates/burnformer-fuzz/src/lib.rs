//! Fuzz targets: each reader of foreign bytes as a function of bytes, which must neither panic nor take more memory or time
//! than its input is worth. Errors are what a target expects of most inputs.
//!
//! `fuzz/` runs them under cargo-fuzz, with the guidance of covered branches; the test of this crate runs each over its seeds
//! and some of their mutations, on stable Rust, in seconds. CONTRIBUTING.md says how to run both.

use std::panic;
use std::sync::Once;

mod file;
mod mutation;
mod pickle;
mod targets;

pub use mutation::mutations;
pub use targets::TARGETS;

/// A reader, and inputs that it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name, the same as of the program in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Hands the bytes to the reader.
    pub run: fn(&[u8]),
    /// Small valid inputs, from which mutations begin.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Runs the target `name` on `bytes`.
///
/// # Panics
/// If the reader panics, which is what a fuzzer looks for, or if there is no such target.
pub fn run(name: &str, bytes: &[u8]) {
    // libFuzzer's hook ends the program at every panic, also at one in a library that the reader makes an error of. A panic
    // that leaves the target ends it without the hook.
    static WITHOUT_HOOK: Once = Once::new();
    WITHOUT_HOOK.call_once(|| drop(panic::take_hook()));
    let target = TARGETS.iter().flat_map(|group| group.iter()).find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target `{name}`")).run)(bytes);
}
