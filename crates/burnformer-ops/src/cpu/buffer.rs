//! Memory for results.

use std::marker::PhantomData;

/// A vector of `len` elements that the caller overwrites before it reads any: zeroing megabytes that are written anyway
/// costs as much as many a kernel.
pub(crate) fn for_overwrite(len: usize) -> Vec<f32> {
    if cfg!(test) {
        // An element that was forgotten shows.
        return vec![f32::NAN; len];
    }
    let mut values = Vec::with_capacity(len);
    // SAFETY: The capacity is there, every bit pattern is an f32, and every kernel writes each element before it, or whoever
    // gets the vector, reads it; the tests of the kernels run on NaN instead.
    #[allow(clippy::uninit_vec)]
    unsafe {
        values.set_len(len);
    }
    values
}

/// A slice whose parts several threads write, each its own: the rows of one head lie between those of the others, so that
/// no `chunks_mut` can hand them out.
pub(crate) struct Scattered<'a> {
    start: *mut f32,
    len: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: It is a mutable slice that is given away in parts; `part` demands that no two of them overlap.
unsafe impl Send for Scattered<'_> {}
// SAFETY: As above.
unsafe impl Sync for Scattered<'_> {}

impl<'a> Scattered<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The elements `start..start + len`.
    ///
    /// # Safety
    /// While one part lives, no other part that overlaps it may.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start + len <= self.len, "{start} + {len} of {}", self.len);
        // SAFETY: Inside the slice that `self` borrows mutably; the caller sees to it that no other part overlaps.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}
