//! Right factors of several products, which are packed once for all of them.

#[cfg(target_arch = "x86_64")]
use super::PARALLEL_MULTIPLICATIONS;
use super::{Kernel, Scale, View, ViewMut, check_shapes, product};
#[cfg(target_arch = "x86_64")]
use super::{bf16, f32, frame::PackedColumns};
use crate::Precision;
use crate::cpu::processor::{Bf16Kernel, F32Kernel, Processor};

/// Elements of a packed factor that several threads read faster than one.
#[cfg(target_arch = "x86_64")]
const PARALLEL_ELEMENTS: usize = 1 << 18;

/// A right factor `[k, n]`, such as a weight.
pub(crate) struct RightFactor<'a>(Layout<'a>);

enum Layout<'a> {
    #[cfg(target_arch = "x86_64")]
    Avx512(PackedColumns<f32::Avx512>),
    #[cfg(target_arch = "x86_64")]
    Avx2(PackedColumns<f32::Avx2>),
    #[cfg(target_arch = "x86_64")]
    Bf16Amx(PackedColumns<bf16::Amx>),
    #[cfg(target_arch = "x86_64")]
    Bf16Avx512(PackedColumns<bf16::Avx512>),
    /// Where there are no panels, or none are worth while.
    Plain(View<'a>, Precision),
}

impl<'a> RightFactor<'a> {
    /// A factor of so many products: packed if there are several, and this processor's kernel has panels.
    pub(crate) fn new(b: View<'a>, precision: Precision, uses: usize) -> Self {
        let packed = if uses > 1 { RightFactor::kept(b, precision) } else { None };
        packed.unwrap_or(Self(Layout::Plain(b, precision)))
    }

    fn shape(&self) -> [usize; 2] {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Layout::Avx512(b) => b.shape(),
            #[cfg(target_arch = "x86_64")]
            Layout::Avx2(b) => b.shape(),
            #[cfg(target_arch = "x86_64")]
            Layout::Bf16Amx(b) => b.shape(),
            #[cfg(target_arch = "x86_64")]
            Layout::Bf16Avx512(b) => b.shape(),
            Layout::Plain(b, _) => [b.rows(), b.columns()],
        }
    }

    /// [`super::matmul`] of `a` and this factor.
    ///
    /// # Panics
    /// As there.
    pub(crate) fn multiply(&self, out: ViewMut, a: View, accumulate: bool, bias: Option<&[f32]>) {
        let scale = Scale { alpha: 1.0, accumulate, bias };
        let [k, n] = self.shape();
        check_shapes(&out, a, [k, n], scale);
        if a.rows() == 0 || n == 0 {
            return;
        }
        let threads = rayon::current_num_threads();
        // Few rows take as long as the factor takes to arrive.
        #[cfg(target_arch = "x86_64")]
        let is_worth = k * n >= PARALLEL_ELEMENTS || a.rows() * k * n >= PARALLEL_MULTIPLICATIONS;
        #[cfg(target_arch = "x86_64")]
        let few = if is_worth { threads } else { 1 };
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Layout::Avx512(b) => b.multiply(f32::Avx512::new(a), out, a, scale, few),
            #[cfg(target_arch = "x86_64")]
            Layout::Avx2(b) => b.multiply(f32::Avx2::new(a), out, a, scale, few),
            #[cfg(target_arch = "x86_64")]
            Layout::Bf16Amx(b) => b.multiply(bf16::Amx, out, a, scale, few),
            #[cfg(target_arch = "x86_64")]
            Layout::Bf16Avx512(b) => b.multiply(bf16::Avx512::new(a), out, a, scale, few),
            Layout::Plain(b, precision) => product(out, a, *b, scale, Kernel::of(*precision, a, *b), threads > 1),
        }
    }
}

impl RightFactor<'static> {
    /// A factor for as long as anybody likes: packed for this processor's kernel; `None` if it has no panels.
    pub(super) fn kept(b: View, precision: Precision) -> Option<Self> {
        let processor = Processor::this();
        let kernel = match (precision, processor.bf16) {
            (Precision::Bf16, Some(kernel)) => Kernel::Bf16(kernel),
            (Precision::Bf16, None) | (Precision::F32, _) => Kernel::F32(processor.panels),
        };
        Self::packed(kernel, b)
    }

    /// Packed for a kernel, which this processor has to support; `None` if it has no panels.
    fn packed(kernel: Kernel, b: View) -> Option<Self> {
        assert!(kernel.is_supported(), "this processor lacks the instructions of {kernel:?}");
        #[cfg(target_arch = "x86_64")]
        // SAFETY: The processor has the instructions.
        let layout = unsafe {
            match kernel {
                Kernel::F32(F32Kernel::Avx512) => Layout::Avx512(PackedColumns::new(f32::Avx512::new(b), b)),
                Kernel::F32(F32Kernel::Avx2) => Layout::Avx2(PackedColumns::new(f32::Avx2::new(b), b)),
                Kernel::Bf16(Bf16Kernel::Amx) => Layout::Bf16Amx(PackedColumns::new(bf16::Amx, b)),
                Kernel::Bf16(Bf16Kernel::Avx512) => Layout::Bf16Avx512(PackedColumns::new(bf16::Avx512::new(b), b)),
                Kernel::F32(F32Kernel::Gemm) | Kernel::Dots => return None,
            }
        };
        #[cfg(target_arch = "x86_64")]
        return Some(Self(layout));
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = b;
            None
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::tests::{kernels, numbers};
    use super::*;

    /// Many rows, few rows, several chunks of terms, and sides that are no multiples of a tile.
    #[test]
    fn packed_factors_give_the_bits_of_plain_ones() {
        for [m, k, n] in [
            [37, 70, 45],
            [1, 129, 300],
            [2, 40, 33],
            [3, 700, 97],
            [4, 64, 64],
            [5, 16, 31],
            [100, 1030, 8],
            [6, 0, 9],
        ] {
            let (a, b, bias) = (numbers(m * k, 1), numbers(n * k, 2), numbers(n, 3));
            let a = View::row_major(&a, m, k);
            let b = View::row_major(&b, n, k).transposed();
            for kernel in kernels(a, b) {
                let Some(packed) = RightFactor::packed(kernel, b) else { continue };
                let [mut found, mut expected] = [vec![0.5; m * n], vec![0.5; m * n]];
                for accumulate in [true, false] {
                    let scale = Scale { alpha: 1.0, accumulate, bias: Some(&bias) };
                    product(ViewMut::row_major(&mut expected, m, n), a, b, scale, kernel, true);
                    packed.multiply(ViewMut::row_major(&mut found, m, n), a, accumulate, Some(&bias));
                    assert!(found == expected, "[{m}, {k}, {n}] by {kernel:?}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "[2, 3] x [4, 5] does not give [2, 5]")]
    fn shapes_that_do_not_fit_are_refused() {
        let zeros = [0.0; 20];
        let factor = RightFactor::new(View::row_major(&zeros, 4, 5), Precision::F32, 2);
        factor.multiply(ViewMut::row_major(&mut [0.0; 10], 2, 5), View::row_major(&zeros, 2, 3), false, None);
    }
}
