//! Few queries, as in decoding: keys and values are read once, in the order in which they lie, which takes the time.

use super::product::{Rows, product};
use super::scratch::{LINE, Matrix, Memory, padded, with_memory};
use super::{Attention, Head, Inputs, Part, parts, prefetch, softmax};
use crate::cpu::buffer::Scattered;
use crate::cpu::reductions::dot;
use pulp::{Simd, WithSimd};

/// For more queries, laying keys out for the products is less work than adding up the lanes of each score.
pub(super) const QUERIES: usize = 3;
/// Keys whose values are added up for all heads of a task before the next ones.
const KEYS: usize = 64;
/// How many keys ahead memory is fetched.
const AHEAD: usize = 4;

/// Some heads of a sequence, with room for the scores and values of their queries: those of a head are neighbours.
struct Few<'a> {
    batch: usize,
    heads: Part,
    n_keys: usize,
    scores: Matrix<'a>,
    values: Matrix<'a>,
    /// Values of some keys, where their rows are no whole lines.
    copy: Matrix<'a>,
    inverses: &'a mut [f32],
    room: &'a mut [f32],
}

impl Attention<'_> {
    /// [`Self::forward`] into the output's rows and the logarithms.
    pub(super) fn forward_few(&self, inputs: Inputs, rows: &Scattered, logarithms: &Scattered) {
        // As many neighbours in a task as leave enough tasks for all threads.
        let n_groups = (2 * rayon::current_num_threads()).div_ceil(self.batch_size).min(self.n_heads);
        let n_each = self.n_heads.div_ceil(n_groups);
        let n_groups = self.n_heads.div_ceil(n_each);
        let n_copied = if self.d_value.is_multiple_of(LINE) { 0 } else { KEYS.min(self.kv_length) };
        let n_rows = n_each * self.q_length;
        let shapes = [
            [n_rows, self.kv_length],
            [n_rows, self.d_value],
            [n_copied, self.d_value],
            [1, n_rows],
            [1, self.kv_length],
        ];
        let size = shapes.iter().map(|[rows, columns]| Memory::size(*rows, *columns)).sum();
        self.each(self.batch_size * n_groups, |task| {
            let (batch, first) = (task / n_groups, task % n_groups * n_each);
            let heads = Part { first, n: n_each.min(self.n_heads - first) };
            with_memory(size, |mut memory| {
                let [scores, values, copy, inverses, room] = shapes.map(|[rows, columns]| memory.matrix(rows, columns));
                let (n_keys, inverses, room) = (self.n_keys(batch), inverses.data, room.data);
                let mut few = Few { batch, heads, n_keys, scores, values, copy, inverses, room };
                self.score_few(inputs, &mut few);
                self.weigh_few(&mut few, logarithms);
                self.add_up_few(inputs, &mut few);
                self.write_few(&few, rows);
            });
        });
    }

    /// All scores.
    fn score_few(&self, inputs: Inputs, few: &mut Few) {
        let first = Head { batch: few.batch, head: few.heads.first };
        let (q, k) = (self.q_rows(inputs.q, first, 0, self.d_head), self.kv_rows(inputs.k, first, 0, self.d_head));
        let v = self.kv_rows(inputs.v, first, 0, self.d_value);
        self.vectors.run(Score { call: self, few, q, k, v });
    }

    /// Weights instead of scores, but for the factors `inverses`.
    fn weigh_few(&self, few: &mut Few, logarithms: &Scattered) {
        let (n_q, width, stride) = (self.q_length, padded(few.n_keys), few.scores.stride);
        let (keys, queries) = (Part { first: 0, n: few.n_keys }, Part { first: 0, n: n_q });
        for head in 0..few.heads.n {
            let (index, mut scores) = (few.heads.first + head, few.scores.rows_from(head * n_q));
            self.block(&mut scores, Head { batch: few.batch, head: index }, queries, keys);
            let [mut maxima, mut sums, mut shrinks] = [f32::NEG_INFINITY, 0.0, 0.0].map(|x| [x; QUERIES]);
            let [maxima, sums, shrinks] = [&mut maxima, &mut sums, &mut shrinks].map(|x| &mut x[..n_q]);
            let known = softmax::Known { maxima: &mut *maxima, sums: &mut *sums, shrinks };
            softmax::exponentials(self.vectors, &mut scores, width, known);
            // SAFETY: No other task has this head.
            let logarithms = unsafe { logarithms.part((few.batch * self.n_heads + index) * n_q, n_q) };
            for position in 0..n_q {
                logarithms[position] = maxima[position] + sums[position].ln();
                few.inverses[head * n_q + position] = softmax::inverse(sums[position]);
            }
            let Some(multipliers) = &self.dropout else { continue };
            self.vectors.vectorized(
                #[inline(always)]
                || {
                    for (position, scores) in scores.data.chunks_exact_mut(stride).take(n_q).enumerate() {
                        multipliers.fill(few.batch, index, position, 0, &mut few.room[..width]);
                        softmax::multiply(&mut scores[..width], &few.room[..width]);
                    }
                },
            );
        }
    }

    /// The sums of values.
    fn add_up_few(&self, inputs: Inputs, few: &mut Few) {
        let (n_q, d_value) = (self.q_length, self.d_value);
        few.values.clear([few.heads.n * n_q, d_value]);
        let first = Head { batch: few.batch, head: few.heads.first };
        for keys in parts(few.n_keys, KEYS) {
            let all = self.kv_rows(inputs.v, first, keys.first, d_value);
            for head in 0..few.heads.n {
                let ahead = prefetch::share(keys.n, head, few.heads.n);
                prefetch::rows(all, ahead.start + keys.n..ahead.end + keys.n, few.heads.n * d_value);
                let mut v = Rows { data: &all.data[head * d_value..], ..all };
                if !d_value.is_multiple_of(LINE) {
                    few.copy.copy(self.vectors, v, [keys.n, d_value], 1.0);
                    v = few.copy.rows();
                }
                let mut weights = few.scores.rows().factor();
                weights.data = &weights.data[head * n_q * weights.row + keys.first..];
                let (values, shape) = (few.values.rows_from(head * n_q), [n_q, keys.n, padded(d_value)]);
                product(self.vectors, values.data, values.stride, weights, v, shape, true);
            }
        }
    }

    fn write_few(&self, few: &Few, rows: &Scattered) {
        let (n_q, stride) = (self.q_length, few.values.stride);
        for (row, inverse) in few.inverses[..few.heads.n * n_q].iter().enumerate() {
            let head = Head { batch: few.batch, head: few.heads.first + row / n_q };
            let at = self.at(head, row % n_q, n_q) * self.d_value;
            // SAFETY: No other task has this head.
            let out = unsafe { rows.part(at, self.d_value) };
            for (out, value) in out.iter_mut().zip(&few.values.data[row * stride..]) {
                *out = value * inverse;
            }
        }
    }
}

/// Dot products of the queries and keys of some heads.
struct Score<'a, 'b> {
    call: &'a Attention<'a>,
    few: &'a mut Few<'b>,
    q: Rows<'a>,
    k: Rows<'a>,
    /// To fetch.
    v: Rows<'a>,
}

impl WithSimd for Score<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n_q, d_head, n_heads) = (self.call.q_length, self.call.d_head, self.few.heads.n);
        let stride = self.few.scores.stride;
        for key in 0..self.few.n_keys {
            prefetch::rows(self.k, key + AHEAD..key + AHEAD + 1, n_heads * d_head);
            if key < KEYS {
                prefetch::rows(self.v, key..key + 1, n_heads * self.call.d_value);
            }
            for head in 0..n_heads {
                let k = &self.k.data[key * self.k.stride + head * d_head..][..d_head];
                for position in 0..n_q {
                    let q = &self.q.data[position * self.q.stride + head * d_head..][..d_head];
                    self.few.scores.data[(head * n_q + position) * stride + key] = self.call.scale * dot(simd, q, k);
                }
            }
        }
    }
}
