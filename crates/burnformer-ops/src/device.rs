//! Selection of the device by name.
#![allow(deprecated)] // burn deprecates `NdArray` in the last release that has it.

use burn::tensor::Device;
use std::fmt;
use std::str::FromStr;

/// A device by name: `ndarray`, `flex`, `wgpu`, `wgpu:N` or `auto`.
///
/// ```
/// use burnformer_ops::DeviceChoice;
///
/// assert_eq!("wgpu:1".parse(), Ok(DeviceChoice::Wgpu(Some(1))));
/// let device = DeviceChoice::Auto.open()?;
/// # Ok::<(), burnformer_ops::DeviceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// `wgpu` where it is compiled in and finds a real GPU (on Linux one with a device file), else the first of `flex` and
    /// `ndarray` that is compiled in, else `wgpu` in software.
    #[default]
    Auto,
    /// The CPU, through `burn-ndarray`.
    NdArray,
    /// The CPU, through `burn-flex`.
    Flex,
    /// A GPU, through `burn-wgpu`: its index in [`DeviceChoice::available`], which lists the best first; 0 if
    /// absent.
    Wgpu(Option<usize>),
}

/// Reason why a device is not available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not the name of a device.
    #[error("unknown device `{name}`, expected `auto`, `ndarray`, `flex`, `wgpu` or `wgpu:N` with N = 0, 1, …")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// The program was built without the backend.
    #[error(
        "device `{choice}` needs a program built with feature `{feature}`: rebuild with `--features {feature}`; \
         this one has {compiled}"
    )]
    NotCompiled {
        /// The requested device.
        choice: DeviceChoice,
        /// The feature that is disabled.
        feature: &'static str,
        /// The features that are enabled.
        compiled: String,
    },
    /// The machine has no driver that wgpu can use.
    #[error(
        "device `{choice}` found no GPU and no software renderer: install a Vulkan driver for the GPU, or \
         `mesa-vulkan-drivers` (Debian, Fedora) or `vulkan-swrast` (Arch) to run in software, or choose `ndarray` or `flex`"
    )]
    NoDriver {
        /// The requested device.
        choice: DeviceChoice,
    },
    /// The index is larger than the number of GPUs.
    #[error("device `{choice}` does not exist: this machine has {}", match count {
        1 => "one, `wgpu:0`".to_string(),
        _ => format!("{count}, `wgpu:0` to `wgpu:{}`", count - 1),
    })]
    NoSuchGpu {
        /// The requested device.
        choice: DeviceChoice,
        /// Number of GPUs.
        count: usize,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        match name {
            "auto" => Ok(Self::Auto),
            "ndarray" => Ok(Self::NdArray),
            "flex" => Ok(Self::Flex),
            "wgpu" => Ok(Self::Wgpu(None)),
            _ => match name.strip_prefix("wgpu:").map(str::parse) {
                Some(Ok(index)) => Ok(Self::Wgpu(Some(index))),
                _ => Err(DeviceError::UnknownName { name: name.to_string() }),
            },
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::NdArray => f.write_str("ndarray"),
            Self::Flex => f.write_str("flex"),
            Self::Wgpu(None) => f.write_str("wgpu"),
            Self::Wgpu(Some(index)) => write!(f, "wgpu:{index}"),
        }
    }
}

impl DeviceChoice {
    /// The backends this program was built with.
    #[must_use]
    pub fn compiled() -> Vec<&'static str> {
        let backends = [
            ("ndarray", cfg!(feature = "ndarray")),
            ("flex", cfg!(feature = "flex")),
            ("wgpu", cfg!(feature = "wgpu")),
        ];
        backends.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
    }

    /// Every device that this program can open on this machine, with a description.
    #[must_use]
    pub fn available() -> Vec<(Self, String)> {
        let mut available = Vec::new();
        if cfg!(feature = "ndarray") {
            available.push((Self::NdArray, "CPU, burn-ndarray".to_string()));
        }
        if cfg!(feature = "flex") {
            available.push((Self::Flex, "CPU, burn-flex".to_string()));
        }
        available.extend(wgpu::adapters().into_iter().enumerate().map(|(index, adapter)| {
            let kind = if adapter.is_gpu { "GPU" } else { "software renderer" };
            (Self::Wgpu(Some(index)), format!("{kind}, {}", adapter.name()))
        }));
        available
    }

    /// Opens the device. Call `.autodiff()` on it for training.
    ///
    /// # Errors
    /// If its backend is not compiled in, or the machine has no such device.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Auto => Self::best().open(),
            Self::NdArray => {
                #[cfg(feature = "ndarray")]
                return Ok(Device::ndarray());
                #[cfg(not(feature = "ndarray"))]
                Err(self.not_compiled("ndarray"))
            }
            Self::Flex => {
                #[cfg(feature = "flex")]
                return Ok(Device::flex());
                #[cfg(not(feature = "flex"))]
                Err(self.not_compiled("flex"))
            }
            Self::Wgpu(index) => {
                if !cfg!(feature = "wgpu") {
                    return Err(self.not_compiled("wgpu"));
                }
                let adapters = wgpu::adapters();
                let count = adapters.len();
                match adapters.into_iter().nth(index.unwrap_or(0)) {
                    Some(adapter) => Ok(adapter.device),
                    None if count == 0 => Err(DeviceError::NoDriver { choice: self }),
                    None => Err(DeviceError::NoSuchGpu { choice: self, count }),
                }
            }
        }
    }

    /// The device of the process of this number, of those that work together on this machine: where any GPU would do, each has
    /// one of its own, as far as there are so many.
    #[must_use]
    pub fn for_process(self, number: usize) -> Self {
        let is_any = match self {
            Self::Auto => Self::best() == Self::Wgpu(None),
            other => other == Self::Wgpu(None),
        };
        let count =
            if is_any && number > 0 { wgpu::adapters().iter().filter(|adapter| adapter.is_gpu).count() } else { 0 };
        if count > 0 { Self::Wgpu(Some(number % count)) } else { self }
    }

    fn best() -> Self {
        // Asking the drivers takes a tenth of a second.
        if wgpu::may_have_gpu() && wgpu::adapters().iter().any(|adapter| adapter.is_gpu) {
            Self::Wgpu(None)
        } else if cfg!(feature = "flex") {
            Self::Flex
        } else if cfg!(feature = "ndarray") {
            Self::NdArray
        } else {
            Self::Wgpu(None)
        }
    }

    #[allow(dead_code)] // Not called when every backend is compiled in.
    fn not_compiled(self, feature: &'static str) -> DeviceError {
        let compiled: Vec<String> = Self::compiled().iter().map(|name| format!("`{name}`")).collect();
        DeviceError::NotCompiled { choice: self, feature, compiled: compiled.join(", ") }
    }
}

/// `true` if the device is the processor, so that a program may keep it busy from several threads.
#[must_use]
pub fn is_on_host(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "wgpu")]
        burn::backend::DispatchDevice::Cube(_) => false,
        _ => true,
    }
}

/// An adapter that wgpu finds on this machine.
mod wgpu {
    use burn::tensor::Device;

    pub(super) struct Adapter {
        pub(super) device: Device,
        /// `false` for a renderer that runs on the CPU.
        pub(super) is_gpu: bool,
    }

    impl Adapter {
        /// The name the adapter gives itself. Opens the device.
        pub(super) fn name(&self) -> String {
            #[cfg(feature = "wgpu")]
            if let Some(identity) = self.device.identity() {
                return identity.name;
            }
            format!("{:?}", self.device)
        }
    }

    /// `false` if this program has no wgpu, or this Linux no device file of a GPU, so that every adapter would be a software
    /// renderer. Device files: `dri` for most drivers, and those of NVIDIA, of Windows below Linux (`dxg`), of Arm (`mali`) and
    /// of Qualcomm (`kgsl`).
    pub(super) fn may_have_gpu() -> bool {
        const DEVICES: [&str; 5] = ["dri", "nvidia", "dxg", "mali", "kgsl"];
        let files = match std::fs::read_dir("/dev") {
            Ok(files) if cfg!(all(feature = "wgpu", target_os = "linux")) => files,
            _ => return cfg!(feature = "wgpu"),
        };
        let is_device = |name: &str| DEVICES.iter().any(|device| name.starts_with(device));
        files.flatten().any(|file| file.file_name().to_str().is_some_and(is_device))
    }

    #[cfg(not(feature = "wgpu"))]
    pub(super) fn adapters() -> Vec<Adapter> {
        Vec::new()
    }

    /// The adapters, best first: discrete before integrated before virtual GPUs, software renderers last.
    #[cfg(feature = "wgpu")]
    pub(super) fn adapters() -> Vec<Adapter> {
        use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};
        use burn::tensor::DeviceType;

        let ranked = |device: &Device| {
            let rank = match device.as_dispatch() {
                DispatchDevice::Cube(CubeDevice::Wgpu(wgpu)) => match wgpu.kind {
                    WgpuDeviceKind::DiscreteGpu(_) => 0,
                    WgpuDeviceKind::IntegratedGpu(_) => 1,
                    WgpuDeviceKind::Cpu => 3,
                    _ => 2,
                },
                _ => 2,
            };
            (rank, Adapter { device: device.clone(), is_gpu: rank < 3 })
        };
        let mut adapters: Vec<_> = Device::enumerate(DeviceType::Wgpu).iter().map(ranked).collect();
        adapters.sort_by_key(|(rank, _)| *rank);
        adapters.into_iter().map(|(_, adapter)| adapter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_and_prints_back() {
        for name in ["auto", "ndarray", "flex", "wgpu", "wgpu:0", "wgpu:12"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn other_names_are_errors_that_list_the_valid_ones() {
        for name in ["", "cuda", "NDARRAY", "wgpu:", "wgpu:-1", "wgpu:x", "ndarray:0"] {
            let error = name.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")) && error.contains("`wgpu:N`"), "{error}");
        }
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_is_named() {
        for (choice, feature, compiled) in [
            (DeviceChoice::NdArray, "ndarray", cfg!(feature = "ndarray")),
            (DeviceChoice::Flex, "flex", cfg!(feature = "flex")),
            (DeviceChoice::Wgpu(None), "wgpu", cfg!(feature = "wgpu")),
        ] {
            match choice.open() {
                Ok(_) => assert!(compiled),
                Err(error) => {
                    assert!(!compiled, "{error}");
                    assert!(error.to_string().contains(&format!("--features {feature}")), "{error}");
                }
            }
        }
    }

    #[test]
    fn every_available_device_opens() {
        for (choice, description) in DeviceChoice::available() {
            assert!(choice.open().is_ok(), "{choice}: {description}");
        }
        assert!(DeviceChoice::Auto.open().is_ok());
    }

    #[test]
    fn without_a_gpu_auto_is_the_first_backend_of_the_processor() {
        let on_host = ["flex", "ndarray"].into_iter().find(|name| DeviceChoice::compiled().contains(name));
        if let Some(expected) = on_host.filter(|_| !wgpu::adapters().iter().any(|adapter| adapter.is_gpu)) {
            let expected: DeviceChoice = expected.parse().unwrap();
            assert_eq!(DeviceChoice::Auto.open(), expected.open());
        }
    }

    #[test]
    fn a_gpu_has_a_file() {
        assert!(wgpu::may_have_gpu() || !wgpu::adapters().iter().any(|adapter| adapter.is_gpu));
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn a_gpu_beyond_the_last_is_an_error() {
        let error = DeviceChoice::Wgpu(Some(99)).open().unwrap_err();
        assert!(error.to_string().contains("`wgpu:99` does not exist"), "{error}");
    }
}
