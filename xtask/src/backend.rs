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

/// The cargo arguments that compile in `backends` and no other.
///
/// The default feature is a backend itself, so it is switched off. The order is fixed and repetitions are
/// dropped, so that two spellings of one choice give the same command line.
pub(crate) fn feature_args(backends: &[Backend]) -> [String; 3] {
    let features: Vec<_> = Backend::value_variants()
        .iter()
        .filter(|backend| backends.contains(backend))
        .map(|backend| backend.feature())
        .collect();
    ["--no-default-features".into(), "--features".into(), features.join(",")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_switches_the_default_backend_off() {
        assert_eq!(feature_args(&[Backend::Flex]), ["--no-default-features", "--features", "flex"]);
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        assert_eq!(
            feature_args(&[Backend::Wgpu, Backend::Ndarray, Backend::Wgpu]),
            feature_args(&[Backend::Ndarray, Backend::Wgpu])
        );
        assert_eq!(feature_args(&[Backend::Wgpu, Backend::Ndarray])[2], "ndarray,wgpu");
    }

    #[test]
    fn the_name_on_the_command_line_is_the_feature() {
        for backend in Backend::value_variants() {
            let name = backend.to_possible_value().expect("no backend is hidden");
            assert_eq!(name.get_name(), backend.feature());
        }
    }
}
