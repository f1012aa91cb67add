//! The backends a command can be asked for; each is a cargo feature of the same name.

use clap::ValueEnum;

/// A backend that the workspace can be built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// CPU, `burn-ndarray`
    Ndarray,
    /// CPU, `burn-flex`
    Flex,
    /// GPU through Vulkan, Metal or DirectX 12, `burn-wgpu`
    Wgpu,
}

impl Backend {
    /// The cargo feature, which is also the name of the device.
    pub(crate) fn feature(self) -> &'static str {
        match self {
            Self::Ndarray => "ndarray",
            Self::Flex => "flex",
            Self::Wgpu => "wgpu",
        }
    }
}

/// The features of the program that are none of a backend: its command `fetch`, and processes that work together.
const FETCH: &str = "fetch";
const MPI: &str = "mpi";

/// The cargo arguments that compile in `backends` and no other, and all that the program can do besides, with `mpi` where
/// that can be compiled.
pub(crate) fn feature_args(backends: &[Backend], mpi: bool) -> [String; 3] {
    args(features(backends).chain([FETCH]).chain(mpi.then_some(MPI)))
}

/// The cargo arguments that compile in `backends` and nothing else.
pub(crate) fn backend_args(backends: &[Backend]) -> [String; 3] {
    args(features(backends))
}

/// The cargo arguments that compile in `backend` and processes that work together, and nothing else.
pub(crate) fn mpi_args(backend: Backend) -> [String; 3] {
    args(features(&[backend]).chain([MPI]))
}

/// The order is fixed and repetitions are dropped, so that two spellings of one choice give the same command line.
fn features(backends: &[Backend]) -> impl Iterator<Item = &'static str> {
    let chosen = Backend::value_variants().iter().filter(|backend| backends.contains(backend));
    chosen.map(|backend| backend.feature())
}

/// A backend is a default feature itself, so the default is switched off.
fn args<'a>(features: impl Iterator<Item = &'a str>) -> [String; 3] {
    ["--no-default-features".into(), "--features".into(), features.collect::<Vec<_>>().join(",")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_switches_the_default_backend_off() {
        assert_eq!(backend_args(&[Backend::Flex]), ["--no-default-features", "--features", "flex"]);
        assert_eq!(feature_args(&[Backend::Flex], false), ["--no-default-features", "--features", "flex,fetch"]);
        assert_eq!(feature_args(&[Backend::Flex], true)[2], "flex,fetch,mpi");
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        assert_eq!(
            backend_args(&[Backend::Wgpu, Backend::Ndarray, Backend::Wgpu]),
            backend_args(&[Backend::Ndarray, Backend::Wgpu])
        );
        assert_eq!(backend_args(&[Backend::Wgpu, Backend::Ndarray])[2], "ndarray,wgpu");
    }

    #[test]
    fn the_name_on_the_command_line_is_the_feature() {
        for backend in Backend::value_variants() {
            let name = backend.to_possible_value().expect("no backend is hidden");
            assert_eq!(name.get_name(), backend.feature());
        }
    }
}
