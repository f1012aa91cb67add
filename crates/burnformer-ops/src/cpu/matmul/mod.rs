//! Matrix products on the CPU.
//!
//! Every element of a product is summed in an order that depends on the shape alone, so results have the same bits
//! with any number of threads and in every run on one kind of machine. No factor is left out for being zero: NaN and
//! infinity spread as in the formula.

#[cfg(target_arch = "x86_64")]
mod bf16;
#[cfg(target_arch = "x86_64")]
mod dots;
#[cfg(target_arch = "x86_64")]
mod lines;
mod portable;
mod target;
#[cfg(test)]
mod tests;
mod transpose;
mod view;

pub(crate) use view::{View, ViewMut};

use crate::Precision;
use crate::cpu::processor::Processor;

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
/// If the shapes do not fit, or for [`Precision::Bf16`] where [`bf16_is_supported`] is `false`.
pub(crate) fn matmul(
    out: ViewMut,
    a: View,
    b: View,
    alpha: f32,
    accumulate: bool,
    bias: Option<&[f32]>,
    precision: Precision,
) {
    product(out, a, b, Scale { alpha, accumulate, bias }, precision, rayon::current_num_threads() > 1);
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
    product(out, a, b, Scale { alpha, accumulate, bias }, precision, false);
}

/// `true` if this processor multiplies bfloat16 (`avx512_bf16`).
pub(crate) fn bf16_is_supported() -> bool {
    Processor::this().bf16.is_some()
}

/// What happens to a product on its way into the output.
#[derive(Clone, Copy)]
struct Scale<'a> {
    alpha: f32,
    /// `true` keeps what was in the output, and adds to it.
    accumulate: bool,
    bias: Option<&'a [f32]>,
}

fn product(out: ViewMut, a: View, b: View, scale: Scale, precision: Precision, may_be_parallel: bool) {
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
    match precision {
        #[cfg(target_arch = "x86_64")]
        Precision::F32 if dots::suit(a, b) => dots::product(out, a, b, scale, may_be_parallel),
        Precision::F32 => portable::product(out, a, b, scale, parallel),
        #[cfg(target_arch = "x86_64")]
        Precision::Bf16 => bf16::product(out, a, b, scale, parallel),
        #[cfg(not(target_arch = "x86_64"))]
        Precision::Bf16 => panic!("this processor does not multiply bfloat16"),
    }
}
