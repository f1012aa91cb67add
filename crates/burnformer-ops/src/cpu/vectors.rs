//! Sets of vector instructions that kernels are compiled for.

use pulp::WithSimd;

/// A set of vector instructions that this processor has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vectors {
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// What each processor of the architecture has: NEON on ARM, single numbers on x86.
    Baseline,
}

impl Vectors {
    /// The widest that this processor has.
    #[inline]
    pub(crate) fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(avx_512) = pulp::x86::V4::try_new() {
                return Self::Avx512(avx_512);
            }
            if let Some(avx_2) = pulp::x86::V3::try_new() {
                return Self::Avx2(avx_2);
            }
        }
        Self::Baseline
    }

    /// All that this processor has; the others are named on the standard error stream.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            let wider = [
                ("AVX2", pulp::x86::V3::try_new().map(Self::Avx2)),
                ("AVX-512", pulp::x86::V4::try_new().map(Self::Avx512)),
            ];
            for (name, vectors) in wider {
                match vectors {
                    Some(vectors) => all.push(vectors),
                    None => eprintln!("skipped: this processor lacks {name}"),
                }
            }
        }
        all
    }

    /// Runs `kernel` compiled for these instructions. What it calls must be inlined into it.
    #[inline]
    pub(super) fn run<K: WithSimd>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => pulp::Simd::vectorize(simd, kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => pulp::Simd::vectorize(simd, kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Baseline => kernel.with_simd(pulp::Scalar),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Baseline => pulp::Arch::new().dispatch(kernel),
        }
    }

    /// [`Self::run`] of a loop that the compiler turns into vector instructions by itself.
    #[inline]
    pub(super) fn vectorized<R>(self, kernel: impl FnOnce() -> R) -> R {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.vectorize(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.vectorize(kernel),
            // Where the baseline has vectors, as on ARM, the compiler uses them anyway.
            Self::Baseline => kernel(),
        }
    }
}
