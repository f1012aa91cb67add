//! A right factor that is packed once.

use std::marker::PhantomData;

use super::super::{
    Scale, View, ViewMut,
    buffer::{Line, lines_for_overwrite},
};
use super::kernel::MicroKernel;
use super::panels::{Chunks, Panels};
use super::product::Product;

/// A right factor that is packed once for many products.
pub(in super::super) struct PackedColumns<K> {
    kernel: PhantomData<K>,
    terms: usize,
    columns: usize,
    lines: Vec<Line>,
}

impl<K: MicroKernel> PackedColumns<K> {
    /// # Safety
    /// The processor has the kernel's instructions.
    pub(in super::super) unsafe fn new(kernel: K, b: View) -> Self {
        let chunks = Chunks::new::<K>(b.rows());
        let panels = Panels { kernel, are_columns: true, in_place: false, lanes: b.columns(), chunks };
        let slab = panels.all();
        let mut lines = lines_for_overwrite(slab.lines(panels.cell()));
        // SAFETY: By the caller.
        unsafe { panels.pack_all(b.transposed(), &slab, &mut lines, rayon::current_num_threads()) };
        Self { kernel: PhantomData, terms: b.rows(), columns: b.columns(), lines }
    }

    pub(in super::super) fn shape(&self) -> [usize; 2] {
        [self.terms, self.columns]
    }

    /// The product of `a` and this factor, with shapes checked outside, with the same bits as [`product`](super::product()) where that has no segments.
    pub(in super::super) fn multiply(&self, kernel: K, out: ViewMut, a: View, scale: Scale, threads: usize) {
        let product = Product::new(kernel, out, a, self.columns, scale);
        // SAFETY: The instructions are there since `new`, and the output is borrowed here.
        unsafe { product.tasks(true, &self.lines, &product.columns.all(), a, threads) };
    }
}
