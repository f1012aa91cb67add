//! Products by the crate `gemm`, which has kernels for most processors.

use gemm::Parallelism;

use super::{Scale, View, ViewMut};

/// The product of [`super::matmul`], with shapes checked there.
pub(super) fn product(mut out: ViewMut, a: View, b: View, scale: Scale, parallel: bool) {
    let [m, k, n] = [a.rows(), a.columns(), b.columns()];
    let [out_row_stride, out_column_stride] = [out.row_stride(), out.column_stride()];
    let start = out.start();
    if let Some(bias) = scale.bias {
        for i in 0..m {
            for (j, bias) in bias.iter().enumerate() {
                // SAFETY: (i, j) is inside of `out`, whose constructor checked that it fits its memory.
                let element = unsafe { &mut *start.add(i * out_row_stride + j * out_column_stride) };
                *element = if scale.accumulate { *element + bias } else { *bias };
            }
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
            start,
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
