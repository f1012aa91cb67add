//! Attention of single queries to keys and values that lie anywhere in a pool.

use super::math::exp;
use super::{for_overwrite, parallel};
use crate::Places;
use pulp::{Arch, Simd, WithSimd};

/// Queries that one task answers.
const ROWS: usize = 16;

/// Shapes of a call.
#[derive(Clone, Copy)]
pub(crate) struct PlacesAttention {
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) d_head: usize,
    pub(crate) d_value: usize,
}

impl PlacesAttention {
    /// The values `[n, n_heads, d_value]` that the queries `q` `[n, n_heads, d_head]` find at their places of the pools `key`
    /// `[n_places, n_kv_heads, d_head]` and `value` `[n_places, n_kv_heads, d_value]`.
    ///
    /// # Panics
    /// If a place is beyond a pool.
    pub(crate) fn forward(self, q: &[f32], key: &[f32], value: &[f32], places: &Places) -> Vec<f32> {
        let width = self.n_heads * self.d_value;
        let mut out = for_overwrite(places.n_lists() * width);
        if out.is_empty() {
            return out;
        }
        let tasks: Vec<_> = out.chunks_mut(ROWS * width).collect();
        parallel::map(tasks, places.n_places() * width, |block, out: &mut [f32]| {
            Arch::new().dispatch(Rows { call: self, first: block * ROWS, q, key, value, places, out });
        });
        out
    }
}

/// Some rows of a call, for the vectors of one kind of processor.
struct Rows<'a> {
    call: PlacesAttention,
    /// The first of them.
    first: usize,
    q: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    places: &'a Places,
    out: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { call, first, q, key, value, places, out } = self;
        let PlacesAttention { n_heads, n_kv_heads, d_head, d_value } = call;
        let (q_width, width) = (n_heads * d_head, n_heads * d_value);
        let mut scores = vec![f32::NEG_INFINITY; places.longest().next_multiple_of(S::F32_LANES)];
        let scale = (d_head as f64).sqrt().recip() as f32;
        for (row, out) in (first..).zip(out.chunks_exact_mut(width)) {
            let (q, seen) = (&q[row * q_width..][..q_width], places.list(row));
            // Whole words, of which what is behind the last place weighs nothing.
            let scores = &mut scores[..seen.len().next_multiple_of(S::F32_LANES)];
            for (head, out) in out.chunks_exact_mut(d_value).enumerate() {
                let q = &q[head * d_head..][..d_head];
                let shared = head / (n_heads / n_kv_heads);
                let rows = |pool, width| PoolRows { pool, width, stride: n_kv_heads * width, start: shared * width };
                let (keys, values) = (rows(key, d_head), rows(value, d_value));
                for (score, &place) in scores.iter_mut().zip(seen) {
                    *score = scale * dot(simd, q, keys.row(place));
                }
                scores[seen.len()..].fill(f32::NEG_INFINITY);
                let factor = exponentials(simd, scores);
                let (words, rest) = S::as_mut_simd_f32s(out);
                let mut first = 0;
                while first < words.len() {
                    // As many words as stay in registers over all places.
                    first += match words.len() - first {
                        1 => weigh::<S, 1>(simd, &scores[..seen.len()], seen, values, factor, first, words),
                        2 | 3 => weigh::<S, 2>(simd, &scores[..seen.len()], seen, values, factor, first, words),
                        _ => weigh::<S, 4>(simd, &scores[..seen.len()], seen, values, factor, first, words),
                    };
                }
                for (column, out) in (d_value - rest.len()..).zip(rest) {
                    let terms = scores.iter().zip(seen).map(|(weight, &place)| weight * values.row(place)[column]);
                    *out = factor * terms.sum::<f32>();
                }
            }
        }
    }
}

/// The rows of one head in a pool.
#[derive(Clone, Copy)]
struct PoolRows<'a> {
    pool: &'a [f32],
    width: usize,
    stride: usize,
    start: usize,
}

impl<'a> PoolRows<'a> {
    #[inline(always)]
    fn row(self, place: u32) -> &'a [f32] {
        &self.pool[place as usize * self.stride + self.start..][..self.width]
    }
}

#[inline(always)]
fn dot<S: Simd>(simd: S, x: &[f32], y: &[f32]) -> f32 {
    let ((x_words, x_rest), (y_words, y_rest)) = (S::as_simd_f32s(x), S::as_simd_f32s(y));
    let mut words = simd.splat_f32s(0.0);
    for (&x, &y) in x_words.iter().zip(y_words) {
        words = simd.mul_add_f32s(x, y, words);
    }
    let sum = if x_words.is_empty() { 0.0 } else { simd.reduce_sum_f32s(words) };
    x_rest.iter().zip(y_rest).fold(sum, |sum, (x, y)| sum + x * y)
}

/// Replaces whole words of scores by exponentials, the largest of which is 1, and returns the inverse of their sum; 0 if all
/// scores are minus infinity.
#[inline(always)]
fn exponentials<S: Simd>(simd: S, scores: &mut [f32]) -> f32 {
    let mut most = simd.splat_f32s(f32::NEG_INFINITY);
    for &word in S::as_simd_f32s(scores).0 {
        most = simd.max_f32s(most, word);
    }
    let most = simd.reduce_max_f32s(most);
    let origin = if most == f32::NEG_INFINITY { 0.0 } else { most };
    for score in scores.iter_mut() {
        *score = exp(*score - origin);
    }
    let mut sum = simd.splat_f32s(0.0);
    for &word in S::as_simd_f32s(scores).0 {
        sum = simd.add_f32s(sum, word);
    }
    let sum = simd.reduce_sum_f32s(sum);
    if sum == 0.0 { 0.0 } else { sum.recip() }
}

/// Writes `N` words from the word `first` on: the weighted sum of those of all places, times `factor`. Returns `N`.
#[inline(always)]
fn weigh<S: Simd, const N: usize>(
    simd: S,
    weights: &[f32],
    seen: &[u32],
    values: PoolRows,
    factor: f32,
    first: usize,
    out: &mut [S::f32s],
) -> usize {
    let mut sums = [simd.splat_f32s(0.0); N];
    for (&weight, &place) in weights.iter().zip(seen) {
        let weight = simd.splat_f32s(weight);
        let words = &S::as_simd_f32s(values.row(place)).0[first..first + N];
        for (sum, &word) in sums.iter_mut().zip(words) {
            *sum = simd.mul_add_f32s(weight, word, *sum);
        }
    }
    let factor = simd.splat_f32s(factor);
    for (out, sum) in out[first..first + N].iter_mut().zip(sums) {
        *out = simd.mul_f32s(sum, factor);
    }
    N
}

/// The pool, `width` elements a place, with `new` from the place `first` on.
pub(crate) fn store(mut pool: Vec<f32>, width: usize, first: usize, new: &[f32]) -> Vec<f32> {
    let (start, end) = (first * width, first * width + new.len());
    if end > pool.len() {
        // Twice as much as is needed, so that a pool that grows place by place is copied a few times only; not at first, since what
        // is stored at once, as a memory, may never grow.
        let mut larger = for_overwrite(if start == 0 { end } else { 2 * end });
        larger[..start].copy_from_slice(&pool[..start]);
        larger[end..].fill(0.0);
        pool = larger;
    }
    pool[start..end].copy_from_slice(new);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: PlacesAttention = PlacesAttention { n_heads: 4, n_kv_heads: 2, d_head: 21, d_value: 37 };

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i + seed) * 2_654_435_761 % 1_000) as f32 / 500.0 - 1.0).collect()
    }

    /// Lists of 0 to 49 places among 60.
    fn places() -> Places {
        (0..50_usize).map(|row| (0..row).map(move |i| ((row * 7 + i * 11) % 60) as u32)).collect()
    }

    fn forward(key: &[f32], places: &Places) -> Vec<f32> {
        CALL.forward(&numbers(places.n_lists() * 4 * 21, 1), key, &numbers(60 * 2 * 37, 3), places)
    }

    #[test]
    fn a_row_has_the_same_bits_among_others() {
        let (key, all) = (numbers(60 * 2 * 21, 2), places());
        let together = forward(&key, &all);
        let (q, value) = (numbers(50 * 4 * 21, 1), numbers(60 * 2 * 37, 3));
        for row in [0, 1, 17, 49] {
            let alone = CALL.forward(&q[row * 84..][..84], &key, &value, &all.select(&[row]));
            assert_eq!(alone, together[row * 148..][..148], "{row}");
        }
    }

    #[test]
    fn nan_and_infinity_reach_who_sees_them() {
        for number in [f32::NAN, f32::INFINITY] {
            let mut key = numbers(60 * 2 * 21, 2);
            // The key of place 30, in the head that the first two share.
            key[30 * 42 + 5] = number;
            let all = places();
            let out = forward(&key, &all);
            for (row, list) in all.lists().enumerate() {
                for (head, out) in out[row * 148..][..148].chunks_exact(37).enumerate() {
                    let sees = head < 2 && list.contains(&30);
                    // An infinity times a negative number weighs nothing.
                    let expected = if sees && number.is_nan() { out.iter().all(|x| x.is_nan()) } else { true };
                    assert!(expected && (sees || out.iter().all(|x| x.is_finite())), "{row}, {head}");
                }
            }
        }
    }

    #[test]
    fn a_pool_grows_and_keeps_what_it_has() {
        let mut pool = vec![1.0, 2.0];
        for first in 1..40 {
            pool = store(pool, 2, first, &[first as f32, -1.0]);
        }
        let expected: Vec<f32> = [1.0, 2.0].into_iter().chain((1..40_u8).flat_map(|i| [f32::from(i), -1.0])).collect();
        assert_eq!(pool[..80], expected);
        assert!(pool.len() <= 160);
    }
}
