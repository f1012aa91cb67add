//! Which kernels multiply on this processor: one table of what was measured on each family.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::matmul::amx;

/// Processors that are measured together, since they multiply at the same rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// AMD with AVX-512 on data paths of 256 bits.
    Zen4,
    /// AMD with AVX-512 on data paths of 512 bits.
    Zen5,
    /// Intel with AVX-512 and AMX, from Sapphire Rapids on.
    IntelAmx,
    /// Other processors with AVX-512: Intel's before Sapphire Rapids.
    Avx512,
    /// Processors with AVX2 and fused multiply-add.
    Avx2,
    Other,
}

/// A way to multiply `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum F32Kernel {
    /// Our own micro-kernel in AVX-512.
    Avx512,
    /// Our own micro-kernel in AVX2.
    Avx2,
    /// The crate `gemm`, which has kernels for most processors.
    Gemm,
}

/// A way to multiply bfloat16 with sums in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bf16Kernel {
    /// `tdpbf16ps` on tiles.
    Amx,
    /// `vdpbf16ps` on registers of 512 bits.
    Avx512,
}

/// A way to multiply 8-bit integers with exact sums in 32 bits. All of them give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Int8Kernel {
    /// `tdpbusd` on tiles.
    Amx,
    /// `vpdpbusd` on registers of 512 bits.
    Avx512Vnni,
    /// `vpdpbusd` on registers of 256 bits.
    AvxVnni,
    /// `vpmaddwd` on bytes that were widened.
    Avx2,
    /// Without instructions of its own.
    Portable,
}

/// The kernels for a family.
struct Row {
    family: Family,
    /// The fastest first; the first that the processor has instructions for is taken. The last one needs none.
    f32: &'static [F32Kernel],
    /// The same for few rows, and for weights that are packed once for several products.
    panels: &'static [F32Kernel],
    /// The same; empty where all are slower than `f32`.
    bf16: &'static [Bf16Kernel],
}

const AVX512: &[F32Kernel] = &[F32Kernel::Avx512, F32Kernel::Gemm];
const AVX2: &[F32Kernel] = &[F32Kernel::Avx2, F32Kernel::Gemm];
const GEMM: &[F32Kernel] = &[F32Kernel::Gemm];

/// The fastest first, on every family: in 10^9 products a second of one core (Zen 5) 380–490, 240–250, 65–72 and 3–4, where f32 does
/// 113–128. Tiles were not measured; Intel's manuals give them eight times the rate of `vpdpbusd` on 512 bits.
const INT8: [Int8Kernel; 5] =
    [Int8Kernel::Amx, Int8Kernel::Avx512Vnni, Int8Kernel::AvxVnni, Int8Kernel::Avx2, Int8Kernel::Portable];

/// GFLOP/s of one core in comments.
const TABLE: [Row; 6] = [
    // f32: `gemm` 98–114. bf16: 180–205.
    Row { family: Family::Zen4, f32: GEMM, panels: GEMM, bf16: &[Bf16Kernel::Avx512] },
    // f32, peak 272: many rows 242–255 by `gemm`, 221–254 by AVX512; 64 rows 187 and 220. bf16: 350–480 of 538.
    Row { family: Family::Zen5, f32: GEMM, panels: AVX512, bf16: &[Bf16Kernel::Avx512] },
    // Register peaks: f32 155–167, `vdpbf16ps` 77–85, `tdpbf16ps` 1,090–1,500. In f32 `gemm` is slower than MKL's 115–147; our own kernel
    // was not measured.
    Row { family: Family::IntelAmx, f32: AVX512, panels: AVX512, bf16: &[Bf16Kernel::Amx] },
    // Not measured, as the row above. Intel's manuals give `vdpbf16ps` half the rate of f32 here too.
    Row { family: Family::Avx512, f32: AVX512, panels: AVX512, bf16: &[] },
    // f32: 112–128 of 133 with the registers of Zen 5 cut to half, `gemm` 109–128, and up to 12 % less on few rows.
    Row { family: Family::Avx2, f32: AVX2, panels: AVX2, bf16: &[] },
    Row { family: Family::Other, f32: GEMM, panels: GEMM, bf16: &[] },
];

/// What this processor is, and what it multiplies with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Processor {
    pub(crate) family: Family,
    pub(crate) f32: F32Kernel,
    /// For few rows, and for weights that are packed once.
    pub(crate) panels: F32Kernel,
    /// `None` where there is none, or where it would be slower than `f32`.
    pub(crate) bf16: Option<Bf16Kernel>,
    pub(crate) int8: Int8Kernel,
}

impl Processor {
    /// Of this machine, found out once.
    pub(crate) fn this() -> Self {
        static THIS: OnceLock<Processor> = OnceLock::new();
        *THIS.get_or_init(|| Self::of(Family::of_this_processor()))
    }

    fn of(family: Family) -> Self {
        let row = TABLE.iter().find(|row| row.family == family).expect("a row for each family");
        let first = |kernels: &[F32Kernel]| kernels.iter().copied().find(|kernel| kernel.is_supported());
        Self {
            family,
            f32: first(row.f32).unwrap_or(F32Kernel::Gemm),
            panels: first(row.panels).unwrap_or(F32Kernel::Gemm),
            bf16: row.bf16.iter().copied().find(|kernel| kernel.is_supported()),
            int8: INT8.into_iter().find(|kernel| kernel.is_supported()).unwrap_or(Int8Kernel::Portable),
        }
    }

    /// Types, each with what multiplies it, for people.
    pub(crate) fn products(&self) -> Vec<(&'static str, String)> {
        let bf16 = match self.bf16 {
            Some(kernel) => kernel.name().to_owned(),
            None if self.is_refused_amx() => {
                "as f32: the system does not let this process use the processor's matrix unit (AMX)".to_owned()
            }
            None => "as f32, which is as fast on this processor".to_owned(),
        };
        let f32 = if self.f32 == self.panels {
            self.f32.name().to_owned()
        } else {
            format!("{}; {} for few rows and prepared weights", self.f32.name(), self.panels.name())
        };
        vec![("f32", f32), ("bf16", bf16), ("int8", self.int8.name().to_owned())]
    }

    fn is_refused_amx(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return amx::availability() == amx::Availability::Refused;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}

impl F32Kernel {
    fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2",
            Self::Gemm => "gemm",
        }
    }

    /// `true` if this processor has the instructions.
    pub(crate) fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
            Self::Gemm => true,
        }
    }
}

impl Bf16Kernel {
    fn name(self) -> &'static str {
        match self {
            Self::Amx => "AMX-BF16",
            Self::Avx512 => "AVX512_BF16",
        }
    }

    /// `true` if this processor has the instructions.
    pub(crate) fn is_supported(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            // Both kernels need them, since factors are rounded in registers of 512 bits.
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512bf16");
            match self {
                Self::Amx => has_avx512 && amx::multiplies(amx::Factors::Bf16),
                Self::Avx512 => has_avx512,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        match self {
            Self::Amx | Self::Avx512 => false,
        }
    }
}

impl Int8Kernel {
    fn name(self) -> &'static str {
        match self {
            Self::Amx => "AMX-INT8",
            Self::Avx512Vnni => "AVX512_VNNI",
            Self::AvxVnni => "AVX_VNNI",
            Self::Avx2 => "AVX2",
            Self::Portable => "no instructions of its own",
        }
    }

    /// `true` if this processor has the instructions.
    pub(crate) fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => is_x86_feature_detected!("avx512f") && amx::multiplies(amx::Factors::Int8),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Amx | Self::Avx512Vnni | Self::AvxVnni | Self::Avx2 => false,
            Self::Portable => true,
        }
    }
}

impl Family {
    fn of_this_processor() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return match (Cpuid::vendor().as_slice(), Cpuid::family()) {
                    (b"AuthenticAMD", 0x19) => Self::Zen4,
                    (b"AuthenticAMD", _) => Self::Zen5,
                    _ if Cpuid::has_amx() => Self::IntelAmx,
                    _ => Self::Avx512,
                };
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Other
    }
}

/// What the instruction `cpuid` says beyond what the standard library reads.
///
/// Sources: AMD64 Architecture Programmer's Manual, volume 3, appendix E; Intel Software Developer's Manual, volume 2, `CPUID`.
#[cfg(target_arch = "x86_64")]
struct Cpuid;

#[cfg(target_arch = "x86_64")]
impl Cpuid {
    fn vendor() -> [u8; 12] {
        let leaf = std::arch::x86_64::__cpuid(0);
        let mut name = [0; 12];
        for (place, register) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.edx, leaf.ecx]) {
            place.copy_from_slice(&register.to_le_bytes());
        }
        name
    }

    /// The number that manuals call the family, such as 0x19 for Zen 3 and 4.
    fn family() -> u32 {
        let eax = std::arch::x86_64::__cpuid(1).eax;
        let base = eax >> 8 & 0xf;
        if base == 0xf { base + (eax >> 20 & 0xff) } else { base }
    }

    /// `true` if the processor has tiles (AMX-TILE). Whether the system lets a process use them is another question.
    fn has_amx() -> bool {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        const AMX_TILE: u32 = 1 << 24;
        __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & AMX_TILE != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_kernel_that_this_processor_supports() {
        for row in &TABLE {
            let processor = Processor::of(row.family);
            assert!(processor.f32.is_supported() && row.f32.contains(&processor.f32), "{processor:?}");
            assert!(processor.bf16.is_none_or(|kernel| kernel.is_supported() && row.bf16.contains(&kernel)));
            assert!(processor.int8.is_supported(), "{processor:?}");
            assert_eq!(row.f32.last(), Some(&F32Kernel::Gemm), "{:?} may lack all instructions", row.family);
            assert!(processor.panels.is_supported() && row.panels.contains(&processor.panels), "{processor:?}");
            for kernels in [row.f32, row.panels] {
                assert_eq!(kernels.last(), Some(&F32Kernel::Gemm), "{:?} may lack all instructions", row.family);
            }
        }
    }

    /// `/proc/cpuinfo` is Linux's reading of the same instruction.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn the_vendor_and_the_family_are_those_of_the_system() {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let value = |key: &str| {
            let line = text.lines().find(|line| line.starts_with(key)).expect("the key");
            line.split_once(": ").expect("a value").1
        };
        assert_eq!(std::str::from_utf8(&Cpuid::vendor()).unwrap(), value("vendor_id"));
        assert_eq!(Cpuid::family().to_string(), value("cpu family"));
        assert_eq!(Cpuid::has_amx(), value("flags").split(' ').any(|flag| flag == "amx_tile"));
    }
}
