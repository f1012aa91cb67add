//! Makes the program smaller where Rust links it with its own `lld`: functions of the same code become one, relocations are
//! packed, and symbols are left out, so that backtraces of a panic have addresses alone.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let is_chosen = env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link"));
    let has_lld = env::var("TARGET").is_ok_and(|target| target == "x86_64-unknown-linux-gnu");
    // Another linker may not know these options.
    if !has_lld || is_chosen || env::var_os("RUSTC_LINKER").is_some() {
        return;
    }
    println!("cargo:rustc-link-arg-bins=-Wl,--icf=all,--strip-all");
    if glibc().is_some_and(|version| version >= (2, 36)) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of the C library, which reads packed relocations since 2.36.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = version.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
