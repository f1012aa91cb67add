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
mod dots;
#[cfg(target_arch = "x86_64")]
mod lines;
pub(crate) mod packed;
mod portable;
mod target;
#[cfg(test)]
mod tests;
mod transpose;
mod view;

pub(crate) use view::{View, ViewMut};

use crate::Precision;
use crate::cpu::processor::{Bf16Kernel, Processor};

/// Products of fewer multiplications are over before other threads have woken up.
const PARALLEL_MULTIPLICATIONS: usize = 1 << 21;

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
    product(out, a, b, Scale { alpha, accumulate, bias }, Kernel::of(precision), rayon::current_num_threads() > 1);
}

/// [`matmul`] on the calling thread alone, with the same bits: for tasks that are parallel among themselves.
pub(crate) fn matmul_here(
    out: ViewMut,
    a: View,
    b: View,
    alpha: f32,
    accumulate: bool,
    bias: Option<&[f32]>,
    precision: Precision,
) {
    product(out, a, b, Scale { alpha, accumulate, bias }, Kernel::of(precision), false);
}

/// What a product is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    F32,
    Bf16(Bf16Kernel),
}

impl Kernel {
    /// That of this processor. Where bfloat16 would be no faster, factors are not rounded.
    fn of(precision: Precision) -> Self {
        match (precision, Processor::this().bf16) {
            (Precision::Bf16, Some(kernel)) => Self::Bf16(kernel),
            (Precision::Bf16, None) | (Precision::F32, _) => Self::F32,
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
    assert!(
        [out.rows(), out.columns(), b.rows()] == [m, n, k],
        "[{m}, {k}] x [{}, {n}] does not give [{}, {}]",
        b.rows(),
        out.rows(),
        out.columns()
    );
    if let Some(bias) = scale.bias {
        assert_eq!(bias.len(), n, "a bias has to be as long as a row of the product");
    }
    if m == 0 || n == 0 {
        return;
    }
    let multiplications = m.saturating_mul(n).saturating_mul(k);
    let parallel = may_be_parallel && multiplications >= PARALLEL_MULTIPLICATIONS;
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::F32 if dots::suit(a, b) => dots::product(out, a, b, scale, may_be_parallel),
        Kernel::F32 => portable::product(out, a, b, scale, parallel),
        #[cfg(target_arch = "x86_64")]
        Kernel::Bf16(kernel) => bf16::product(out, a, b, scale, parallel, kernel),
        #[cfg(not(target_arch = "x86_64"))]
        Kernel::Bf16(_) => unreachable!("no processor of this architecture has a kernel for bfloat16"),
    }
}
