//! Whether the feature `mpi` of the program can be compiled here.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::invocation::find_program;

/// What to do where something is missing.
const ADVICE: &str = "install it: apt-get install libopenmpi-dev openmpi-bin libclang-dev (Debian, Ubuntu)";

/// What an outcome is without the feature.
pub(crate) const LEFT_OUT: &str = "NOT with the feature `mpi`: MPI or libclang is missing";

/// Whether there are an MPI library and libclang, by which its bindings are made. Says what is missing the first time.
pub(crate) fn is_found() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let variable = |name: &str| env::var_os(name);
        let missing = missing(&variable, find_program("mpicc").is_some(), libclang_is_installed());
        if let Some(what) = missing {
            eprintln!("without the feature `mpi`: {what} is missing; {ADVICE}");
        }
        missing.is_none()
    })
}

/// The variables are those by which the build scripts of `mpi-sys` and `clang-sys` are told where to look.
fn missing(
    variable: &impl Fn(&str) -> Option<OsString>,
    has_compiler: bool,
    has_libclang: bool,
) -> Option<&'static str> {
    let is_named = |names: &[&str]| names.iter().any(|name| variable(name).is_some_and(|value| !value.is_empty()));
    if !has_compiler && !is_named(&["MPICC", "MPI_PKG_CONFIG", "CRAY_MPICH_DIR"]) {
        return Some("MPI (`mpicc`)");
    }
    (!has_libclang && !is_named(&["LIBCLANG_PATH"])).then_some("libclang")
}

/// The linker knows it, or lies it in the folder of an LLVM.
fn libclang_is_installed() -> bool {
    let listing = ["ldconfig", "/sbin/ldconfig"]
        .iter()
        .find_map(|program| Command::new(program).arg("-p").output().ok().filter(|output| output.status.success()));
    listing.is_some_and(|output| String::from_utf8_lossy(&output.stdout).contains("libclang"))
        || find_program("llvm-config").is_some()
        || Path::new("/Library/Developer/CommandLineTools/usr/lib/libclang.dylib").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_needed_and_what_is_missing_is_named() {
        let unset = |_: &str| None;
        assert_eq!(missing(&unset, true, true), None);
        assert_eq!(missing(&unset, false, true), Some("MPI (`mpicc`)"));
        assert_eq!(missing(&unset, true, false), Some("libclang"));
    }

    #[test]
    fn variables_of_the_build_scripts_are_obeyed() {
        let set = |asked: &str| ["MPICC", "LIBCLANG_PATH"].contains(&asked).then(|| OsString::from("/opt"));
        assert_eq!(missing(&set, false, false), None);
        let empty = |_: &str| Some(OsString::new());
        assert_eq!(missing(&empty, false, true), Some("MPI (`mpicc`)"));
    }
}
