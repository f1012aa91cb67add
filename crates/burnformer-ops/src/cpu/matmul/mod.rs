//! Matrix products on the CPU.
//!
//! Every element of a product is summed in an order that depends on the shape alone, so results have the same bits
//! with any number of threads and in every run on one kind of machine. No factor is left out for being zero: NaN and
//! infinity spread as in the formula.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
mod bf16;
#[cfg(target_arch = "x86_64")]
mod buffer;
#[cfg(target_arch = "x86_64")]
mod dots;
#[cfg(target_arch = "x86_64")]
mod f32;
#[cfg(target_arch = "x86_64")]
mod frame;
mod int8;
#[cfg(target_arch = "x86_64")]
mod lines;
pub(crate) mod packed;
mod portable;
mod right;
mod target;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tile;
mod transpose;
mod view;

pub(super) use buffer::{Buffer, Line, floats_mut, lines_for_overwrite};
pub use int8::round_to_int8;
pub(crate) use right::RightFactor;
pub(super) use transpose::transpose;
pub(crate) use view::{View, ViewMut};

use crate::Precision;
use crate::cpu::processor::{Bf16Kernel, F32Kernel, Processor};

/// Products of fewer multiplications are over before other threads have woken up.
const PARALLEL_MULTIPLICATIONS: usize = 1 << 21;

/// Rows of products that the kernels with panels make faster than `gemm`, at most.
const FEW_ROWS: usize = 64;

/// `out = alpha * a b + bias`, plus what was in `out` before if `accumulate`, on the threads of the current rayon pool.
///
/// # Shapes
/// - out: `[m, n]`
/// - a: `[m, k]`; b: `[k, n]`
/// - bias: `[n]`, added to every row
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn matmul(
    out: ViewMut,
    a: View,
    b: View,
    alpha: f32,
    accumulate: bool,
    bias: Option<&[f32]>,
    precision: Precision,
) {
    let kernel = Kernel::of(precision, a, b);
    product(out, a, b, Scale { alpha, accumulate, bias }, kernel, rayon::current_num_threads() > 1);
}

/// What a product is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    /// Dot products of rows, for few of them.
    #[cfg(target_arch = "x86_64")]
    Dots,
    F32(F32Kernel),
    Bf16(Bf16Kernel),
}

impl Kernel {
    /// `true` if this processor has the instructions.
    fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Dots => is_x86_feature_detected!("avx512f"),
            Self::F32(kernel) => kernel.is_supported(),
            Self::Bf16(kernel) => kernel.is_supported(),
        }
    }

    /// That of this processor for these factors. Where bfloat16 would be no faster, factors are not rounded.
    fn of(precision: Precision, a: View, b: View) -> Self {
        let processor = Processor::this();
        match (precision, processor.bf16) {
            (Precision::Bf16, Some(kernel)) => Self::Bf16(kernel),
            #[cfg(target_arch = "x86_64")]
            (Precision::Bf16, None) | (Precision::F32, _) if dots::suit(a, b) => Self::Dots,
            (Precision::Bf16, None) | (Precision::F32, _) if a.rows() <= FEW_ROWS => Self::F32(processor.panels),
            (Precision::Bf16, None) | (Precision::F32, _) => Self::F32(processor.f32),
        }
    }
}

/// What happens to a product on its way into the output.
#[derive(Clone, Copy)]
struct Scale<'a> {
    alpha: f32,
    /// `true` keeps what was in the output, and adds to it.
    accumulate: bool,
    bias: Option<&'a [f32]>,
}

fn product(out: ViewMut, a: View, b: View, scale: Scale, kernel: Kernel, may_be_parallel: bool) {
    let [m, k, n] = [a.rows(), a.columns(), b.columns()];
    check_shapes(&out, a, [b.rows(), n], scale);
    if m == 0 || n == 0 {
        return;
    }
    let multiplications = m.saturating_mul(n).saturating_mul(k);
    let parallel = may_be_parallel && multiplications >= PARALLEL_MULTIPLICATIONS;
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Dots => dots::product(out, a, b, scale, may_be_parallel),
        Kernel::F32(kernel) => f32_product(out, a, b, scale, parallel, kernel),
        #[cfg(target_arch = "x86_64")]
        Kernel::Bf16(kernel) => bf16_product(out, a, b, scale, parallel, kernel),
        #[cfg(not(target_arch = "x86_64"))]
        Kernel::Bf16(_) => unreachable!("no processor of this architecture has a kernel for bfloat16"),
    }
}

/// # Panics
/// If the shapes do not fit; that of the right factor is `[k, n]`.
fn check_shapes(out: &ViewMut, a: View, [k, n]: [usize; 2], scale: Scale) {
    let m = a.rows();
    assert!(
        [out.rows(), out.columns(), a.columns()] == [m, n, k],
        "[{m}, {}] x [{k}, {n}] does not give [{}, {}]",
        a.columns(),
        out.rows(),
        out.columns()
    );
    if let Some(bias) = scale.bias {
        assert_eq!(bias.len(), n, "a bias has to be as long as a row of the product");
    }
}

/// A product of `f32` by one of the kernels, which this processor has to support.
fn f32_product(out: ViewMut, a: View, b: View, scale: Scale, parallel: bool, kernel: F32Kernel) {
    assert!(kernel.is_supported(), "this processor lacks the instructions of {kernel:?}");
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    match kernel {
        // SAFETY: The processor has the instructions.
        #[cfg(target_arch = "x86_64")]
        F32Kernel::Avx512 => unsafe { frame::product(f32::Avx512::new(a), out, a, b, scale, threads) },
        // SAFETY: The processor has the instructions.
        #[cfg(target_arch = "x86_64")]
        F32Kernel::Avx2 => unsafe { frame::product(f32::Avx2::new(a), out, a, b, scale, threads) },
        _ => portable::product(out, a, b, scale, threads),
    }
}

/// A product of bfloat16 by one of the kernels, which this processor has to support.
#[cfg(target_arch = "x86_64")]
fn bf16_product(out: ViewMut, a: View, b: View, scale: Scale, parallel: bool, kernel: Bf16Kernel) {
    assert!(kernel.is_supported(), "this processor does not multiply bfloat16 by {kernel:?}");
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    match kernel {
        // SAFETY: The processor has the instructions.
        Bf16Kernel::Amx => unsafe { frame::product(bf16::Amx, out, a, b, scale, threads) },
        // SAFETY: The processor has the instructions.
        Bf16Kernel::Avx512 => unsafe { frame::product(bf16::Avx512::new(a), out, a, b, scale, threads) },
    }
}
