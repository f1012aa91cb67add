//! Products by the crate `gemm`, which has kernels for most processors.

use gemm::Parallelism;
use rayon::prelude::*;

use super::{Scale, View, ViewMut};

/// The product of [`super::matmul`], with shapes checked there.
pub(super) fn product(mut out: ViewMut, a: View, b: View, scale: Scale, parallel: bool) {
    let [m, k, n] = [a.rows(), a.columns(), b.columns()];
    let [out_row_stride, out_column_stride] = [out.row_stride(), out.column_stride()];
    let start = Start(out.start());
    if let Some(bias) = scale.bias {
        let add = |i: usize| {
            let row = start.at(i * out_row_stride);
            if out_column_stride == 1 && !scale.accumulate {
                // SAFETY: Row i is inside of `out`, whose constructor checked that it fits its memory, and one thread has it.
                unsafe { row.copy_from_nonoverlapping(bias.as_ptr(), bias.len()) };
                return;
            }
            for (j, bias) in bias.iter().enumerate() {
                // SAFETY: As above.
                let element = unsafe { &mut *row.add(j * out_column_stride) };
                *element = if scale.accumulate { *element + bias } else { *bias };
            }
        };
        if parallel {
            (0..m).into_par_iter().with_min_len(m.div_ceil(64)).for_each(add);
        } else {
            (0..m).for_each(add);
        }
    }
    let parallelism = if parallel { Parallelism::Rayon(0) } else { Parallelism::None };
    // SAFETY: the views' constructors checked that all elements lie in borrowed memory, and that those of `out` do
    // not overlap; the caller checked that the shapes fit.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            start.at(0),
            out_column_stride as isize,
            out_row_stride as isize,
            scale.accumulate || scale.bias.is_some(),
            a.data().as_ptr(),
            a.column_stride() as isize,
            a.row_stride() as isize,
            b.data().as_ptr(),
            b.column_stride() as isize,
            b.row_stride() as isize,
            1.0,
            scale.alpha,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// Where an output begins.
#[derive(Clone, Copy)]
struct Start(*mut f32);

// SAFETY: It stands for a borrow of the output; who writes through it sees to it that no two threads write one element.
unsafe impl Sync for Start {}

impl Start {
    /// The element at `offset`, which is inside of the output.
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}
