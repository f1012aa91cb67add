//! Dot products of rows.

use super::product::Rows;
use crate::cpu::{Vectors, reductions};
use pulp::{Simd, WithSimd};

/// `out[i] = x[i] · y[i]` for rows of `width` elements, as many as `out` has.
///
/// # Panics
/// If there are fewer rows.
pub(super) fn dots(vectors: Vectors, out: &mut [f32], x: Rows, y: Rows, width: usize) {
    vectors.run(Dots { out, x, y, width });
}

struct Dots<'a> {
    out: &'a mut [f32],
    x: Rows<'a>,
    y: Rows<'a>,
    width: usize,
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (i, out) in self.out.iter_mut().enumerate() {
            let [x, y] = [self.x, self.y].map(|rows| &rows.data[i * rows.stride..][..self.width]);
            *out = reductions::dot(simd, x, y);
        }
    }
}
