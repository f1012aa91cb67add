//! Rows of scores become rows of weights, while they are in the first-level cache.

use super::scratch::Matrix;
use crate::cpu::{Vectors, math, reductions};
use pulp::{Simd, WithSimd};

/// Writes minus infinity where `blocked` says so, and from number `seen` on.
#[inline(always)]
pub(super) fn block(scores: &mut [f32], seen: usize, blocked: Option<&[bool]>) {
    if let Some(blocked) = blocked {
        for (score, blocked) in scores.iter_mut().zip(blocked) {
            *score = if *blocked { f32::NEG_INFINITY } else { *score };
        }
    }
    scores[seen..].fill(f32::NEG_INFINITY);
}

/// What is known of a query's scores.
pub(super) struct Known<'a> {
    /// The largest so far, on entry that of the tiles before, minus infinity without any.
    pub(super) maxima: &'a mut [f32],
    /// Sums of this tile's exponentials.
    pub(super) sums: &'a mut [f32],
    /// What the exponentials of the tiles before are to be multiplied with.
    pub(super) shrinks: &'a mut [f32],
}

/// Replaces the scores of some rows, as many as there are maxima, by their exponentials relative to the largest so far.
pub(super) fn exponentials(vectors: Vectors, scores: &mut Matrix, width: usize, known: Known) {
    let (scores, stride) = (&mut *scores.data, scores.stride);
    vectors.run(Exponentials { scores, stride, width, known });
}

struct Exponentials<'a> {
    scores: &'a mut [f32],
    stride: usize,
    width: usize,
    known: Known<'a>,
}

impl WithSimd for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Known { maxima, sums, shrinks } = self.known;
        let rows = self.scores.chunks_exact_mut(self.stride).zip(maxima).zip(sums).zip(shrinks);
        for (((scores, maximum), sum), shrink) in rows {
            let scores = &mut scores[..self.width];
            let before = *maximum;
            *maximum = math::larger(before, reductions::maximum(simd, scores));
            // Without a key all scores are minus infinity, and stay it.
            let origin = if *maximum == f32::NEG_INFINITY { 0.0 } else { *maximum };
            for score in scores.iter_mut() {
                *score = math::exp_of_non_positive(*score - origin);
            }
            *sum = reductions::sum(simd, scores);
            *shrink = math::exp_of_non_positive(before - origin);
        }
    }
}

/// `1 / sum`, and zero for a row without a key.
#[inline(always)]
pub(super) fn inverse(sum: f32) -> f32 {
    if sum == 0.0 { 0.0 } else { 1.0 / sum }
}

/// `x · y`, element by element.
#[inline(always)]
pub(super) fn multiply(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x *= y;
    }
}

/// `x · factor`
#[inline(always)]
pub(super) fn scale(x: &mut [f32], factor: f32) {
    for x in x {
        *x *= factor;
    }
}
