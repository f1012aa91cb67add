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

    /// The output from an element on, which need not be inside of it.
    pub(super) fn at(self, row: usize, column: usize) -> Self {
        Self { start: self.element(row, column), ..self }
    }

    /// The element's place; nothing may be written there unless it is inside of the output.
    pub(super) fn element(self, row: usize, column: usize) -> *mut f32 {
        self.start.wrapping_add(row * self.row_stride + column * self.column_stride)
    }

    /// Writes to a row, or adds to it.
    ///
    /// # Safety
    /// The row's elements are inside of the output, and nobody else reads or writes them.
    pub(super) unsafe fn put_row(self, row: usize, values: &[f32], accumulate: bool) {
        if self.column_stride == 1 {
            // A slice, so that the loop becomes vector instructions.
            // SAFETY: By the caller; a pointer to what may not be initialised is only written through.
            unsafe {
                if accumulate {
                    let row = std::slice::from_raw_parts_mut(self.element(row, 0), values.len());
                    row.iter_mut().zip(values).for_each(|(element, value)| *element += value);
                } else {
                    self.element(row, 0).copy_from_nonoverlapping(values.as_ptr(), values.len());
                }
            }
            return;
        }
        for (j, value) in values.iter().enumerate() {
            // SAFETY: By the caller.
            let element = unsafe { &mut *self.element(row, j) };
            *element = if accumulate { *element + value } else { *value };
        }
    }
}
