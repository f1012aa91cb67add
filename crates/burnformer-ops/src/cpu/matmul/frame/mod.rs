//! The loops around a micro-kernel, in the frame of Goto and van de Geijn 2008 ("Anatomy of high-performance matrix
//! multiplication"): both factors are packed into panels, and the kernel multiplies a panel of rows with panels of columns in
//! registers.
//!
//! The smaller factor is packed once for all threads, the larger one by the tasks, a block at a time. The terms of a sum are
//! cut into chunks by their number alone, and each chunk is summed in its order, so an element of the product has the same
//! bits whatever the other rows and columns are, and however many threads there are.

mod kernel;
mod packed;
mod panels;
mod product;

pub(super) use kernel::{Left, MicroKernel, Tile};
pub(super) use packed::PackedColumns;

use rayon::prelude::*;

use self::{
    panels::{Slab, least},
    product::Product,
};
use super::{Scale, View, ViewMut, buffer::Buffer, target::Target};
use crate::cpu::for_overwrite;

/// Lines of the smaller factor that are packed at a time of one chunk of terms, 8 MiB, and of all chunks where that is enough, 1 MiB, which
/// stays in a cache.
const SHARED_LINES: usize = 1 << 17;
const ENOUGH_LINES: usize = 1 << 14;

/// Terms of a segment, at least; segments, at most; and elements of an output of which there are several.
const SEGMENT: usize = 1024;
const SEGMENTS: usize = 8;
const SMALL_OUTPUT: usize = 1 << 19;

/// The product of [`super::matmul`], with shapes checked there.
///
/// # Safety
/// The processor has the kernel's instructions.
pub(super) unsafe fn product<K: MicroKernel>(
    kernel: K,
    mut out: ViewMut,
    a: View,
    b: View,
    scale: Scale,
    threads: usize,
) {
    let [m, k, n] = [a.rows(), a.columns(), b.columns()];
    let count = segments(b, m);
    if count == 1 {
        // SAFETY: By the caller.
        unsafe { segment(kernel, out, a, b, scale, threads) };
        return;
    }
    // The first segment goes to the output, the others wait.
    let target = Target::new(&mut out);
    let mut waiting = for_overwrite((count - 1) * m * n);
    let outputs =
        std::iter::once(out).chain(waiting.chunks_exact_mut(m * n).map(|sums| ViewMut::row_major(sums, m, n)));
    let outputs: Vec<_> = outputs.enumerate().collect();
    outputs.into_par_iter().with_min_len(least(threads)).for_each(|(number, out)| {
        let terms = k * number / count..k * (number + 1) / count;
        let scale = if number == 0 { scale } else { Scale { bias: None, accumulate: false, ..scale } };
        let (a, b) = (a.part(0..m, terms.clone()), b.part(terms, 0..n));
        // SAFETY: By the caller.
        unsafe { segment(kernel, out, a, b, scale, threads.div_ceil(count)) };
    });
    (0..m).into_par_iter().with_min_len(least(threads)).for_each(|row| {
        for sums in waiting.chunks_exact(m * n) {
            // SAFETY: The row is inside of the output, and no other call has it.
            unsafe { target.put_row(row, &sums[row * n..(row + 1) * n], true) };
        }
    });
}

/// Segments of the sums of a product: gradients, in which sums are long beside a small output, are cut, so that threads do not wait
/// for one another between packing and multiplying. Only they are: elsewhere a row keeps its bits whatever the number of rows.
fn segments(b: View, rows: usize) -> usize {
    let is_gradient = b.column_stride() == 1;
    if is_gradient && rows * b.columns() <= SMALL_OUTPUT { (b.rows() / SEGMENT).clamp(1, SEGMENTS) } else { 1 }
}

/// [`product`] without segments.
///
/// # Safety
/// As for [`product`].
unsafe fn segment<K: MicroKernel>(kernel: K, out: ViewMut, a: View, b: View, scale: Scale, threads: usize) {
    let product = Product::new(kernel, out, a, b.columns(), scale);
    let shared_is_columns = a.rows() >= b.columns();
    let (shared, local) = if shared_is_columns { (b.transposed(), a) } else { (a, b.transposed()) };
    let panels = product.panels(shared_is_columns);
    let chunks = product.chunks.count();
    // Panels without end are cut first. Chunks are cut where the packed factor would leave the caches, unless reading the output
    // and writing it once more for each cut would cost as much.
    let width = (SHARED_LINES / panels.cell().max(1)).clamp(1, panels.count());
    let cuts = (chunks * width * panels.cell()).div_ceil(ENOUGH_LINES).min(1 + a.columns() / local.rows());
    let length = chunks.div_ceil(cuts.max(1));
    for first in (0..panels.count()).step_by(width) {
        for chunk in (0..chunks).step_by(length) {
            let slab = Slab {
                panels: first..(first + width).min(panels.count()),
                chunks: chunk..(chunk + length).min(chunks),
            };
            let mut packed = Buffer::take(slab.lines(panels.cell()));
            // SAFETY: By the caller.
            unsafe {
                panels.pack_all(shared, &slab, &mut packed, threads);
                product.tasks(shared_is_columns, &packed, &slab, local, threads);
            }
        }
    }
}
