//! Where a product goes, for several threads.

use super::ViewMut;

/// Where a product goes.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) start: *mut f32,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

// SAFETY: It stands for a borrow of the output; who writes through it sees to it that no two threads write one element.
unsafe impl Sync for Target {}

impl Target {
    pub(super) fn new(out: &mut ViewMut) -> Self {
        Self { start: out.start(), row_stride: out.row_stride(), column_stride: out.column_stride() }
    }

    /// The element's place; nothing may be written there unless it is inside of the output.
    pub(super) fn element(self, row: usize, column: usize) -> *mut f32 {
        self.start.wrapping_add(row * self.row_stride + column * self.column_stride)
    }
}
