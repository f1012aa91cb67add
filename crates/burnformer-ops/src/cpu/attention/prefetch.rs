//! Fetching what is computed with next, while something else is computed.

use super::product::Rows;
use super::scratch::LINE;
use super::{Attention, Head};
use std::ops::Range;

/// Heads up to this size, in elements of a tensor, are fetched as a whole while the one before is computed with.
const SMALL: usize = 1 << 15;

/// Fetches a line into the first-level cache if the place exists, which it need not.
#[inline(always)]
pub(super) fn near(place: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: Every processor with 64 bits has the instruction, which does not read what is not there.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// [`near`] into the second-level cache.
#[inline(always)]
pub(super) fn far(place: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: As in `near`.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Fetches some rows of `width` elements.
#[inline(always)]
pub(super) fn rows(rows: Rows, range: Range<usize>, width: usize) {
    let start = rows.data.as_ptr();
    for row in range {
        for column in (0..width).step_by(LINE) {
            far(start.wrapping_add(row * rows.stride + column));
        }
    }
}

impl Attention<'_> {
    /// The head that the same thread has probably next, if all of it is small.
    pub(super) fn next(&self, index: usize) -> Option<Head> {
        let size = self.q_length.max(self.kv_length) * self.d_head.max(self.d_value);
        (index + 1 < self.n_heads_of_all() && size <= SMALL).then(|| self.head(index + 1))
    }
}

/// Share number `part` of `n_parts` of a sequence.
pub(super) fn share(length: usize, part: usize, n_parts: usize) -> Range<usize> {
    length * part / n_parts..length * (part + 1) / n_parts
}
