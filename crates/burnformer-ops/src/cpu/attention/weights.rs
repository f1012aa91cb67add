//! Attention whose weights are an output too.

use super::dots::dots;
use super::prefetch::{self, share};
use super::product::{Rows, product};
use super::scratch::{Matrix, Memory, padded, with_memory};
use super::{Attention, Gradients, Head, Inputs, Part, parts, softmax};
use crate::cpu::buffer::Scattered;
use crate::cpu::for_overwrite;

/// Queries of a tile. It has all keys, as many as the output has.
const Q_TILE: usize = 24;

impl Attention<'_> {
    /// Output, and the weights before dropout `[batch_size, n_heads, q_length, kv_length]`.
    pub(crate) fn forward_with_weights(&self, inputs: Inputs) -> (Vec<f32>, Vec<f32>) {
        let mut out = for_overwrite(self.batch_size * self.q_length * self.n_heads * self.d_value);
        let mut weights = for_overwrite(self.n_heads_of_all() * self.q_length * self.kv_length);
        let (rows, all_weights) = (Scattered::new(&mut out), Scattered::new(&mut weights));
        let (d_head, d_value, n_kv) = (self.d_head, self.d_value, self.kv_length);
        let n_q = Q_TILE.min(self.q_length);
        let shapes = [[n_q, d_head], [n_q, n_kv], [n_q, d_value], [d_head, n_kv], [n_kv, d_value], [1, n_kv]];
        let size = shapes.iter().map(|[rows, columns]| Memory::size(*rows, *columns)).sum();
        self.each(self.n_heads_of_all(), |index| {
            let head = self.head(index);
            // SAFETY: No other task has this head.
            let weights = unsafe { all_weights.part(index * self.q_length * n_kv, self.q_length * n_kv) };
            with_memory(size, |mut memory| {
                let [mut q, mut scores, values, mut k, mut v, room] =
                    shapes.map(|[rows, columns]| memory.matrix(rows, columns));
                k.copy_transposed(self.vectors, self.kv_rows(inputs.k, head, 0, d_head), [n_kv, d_head]);
                v.copy(self.vectors, self.kv_rows(inputs.v, head, 0, d_value), [n_kv, d_value], 1.0);
                let tiles = parts(self.q_length, Q_TILE).zip(weights.chunks_mut(Q_TILE * n_kv));
                for (number, (queries, weights)) in tiles.enumerate() {
                    if let Some(next) = self.next(index) {
                        self.fetch(inputs, next, number, self.q_length.div_ceil(Q_TILE));
                    }
                    let from = self.q_rows(inputs.q, head, queries.first, d_head);
                    q.copy(self.vectors, from, [queries.n, d_head], self.scale);
                    let shape = [queries.n, d_head, padded(n_kv)];
                    product(self.vectors, scores.data, scores.stride, q.rows().factor(), k.rows(), shape, false);
                    self.weights_of(&mut scores, head, queries, weights, room.data);
                    let shape = [queries.n, n_kv, padded(d_value)];
                    product(self.vectors, values.data, values.stride, scores.rows().factor(), v.rows(), shape, false);
                    // SAFETY: No other task has this head.
                    unsafe { self.scatter(&rows, values.rows(), (head, queries, self.q_length), d_value, 1.0) };
                }
            });
        });
        (out, weights)
    }

    /// Makes weights of all scores of some queries: `weights` before dropout, and `scores` behind it.
    fn weights_of(&self, scores: &mut Matrix, head: Head, queries: Part, weights: &mut [f32], room: &mut [f32]) {
        let (n_kv, width, stride) = (self.kv_length, padded(self.kv_length), scores.stride);
        self.block(scores, head, queries, Part { first: 0, n: n_kv });
        let [mut maxima, mut sums, mut shrinks] = [f32::NEG_INFINITY, 0.0, 0.0].map(|x| [x; Q_TILE]);
        let [maxima, sums, shrinks] = [&mut maxima, &mut sums, &mut shrinks].map(|x| &mut x[..queries.n]);
        softmax::exponentials(self.vectors, scores, width, softmax::Known { maxima, sums, shrinks });
        self.vectors.vectorized(
            #[inline(always)]
            || {
                let rows = scores.data.chunks_exact_mut(stride).zip(weights.chunks_exact_mut(n_kv)).zip(&*sums);
                for (position, ((scores, weights), sum)) in (queries.first..).zip(rows) {
                    let scores = &mut scores[..width];
                    softmax::scale(scores, softmax::inverse(*sum));
                    weights.copy_from_slice(&scores[..n_kv]);
                    if let Some(multipliers) = &self.dropout {
                        let room = &mut room[..width];
                        multipliers.fill(head.batch, head.head, position, 0, room);
                        softmax::multiply(scores, room);
                    }
                }
            },
        );
    }

    /// Gradients of the inputs, from the weights and the gradients of output and weights; a missing one is zero.
    pub(crate) fn backward_through_weights(
        &self,
        inputs: Inputs,
        weights: &[f32],
        dout: Option<&[f32]>,
        dweights: Option<&[f32]>,
    ) -> Gradients {
        let (d_head, d_value, n_kv) = (self.d_head, self.d_value, self.kv_length);
        let mut gradients = Gradients {
            q: for_overwrite(inputs.q.len()),
            k: for_overwrite(inputs.k.len()),
            v: for_overwrite(inputs.v.len()),
        };
        let [dq, dk, dv] = [&mut gradients.q, &mut gradients.k, &mut gradients.v].map(|x| Scattered::new(x));
        let n_q = Q_TILE.min(self.q_length);
        let shapes = [
            [n_kv, d_head],
            [d_value, n_kv],
            [n_kv, d_head],
            [n_kv, d_value],
            [n_q, d_head],
            [n_q, d_value],
            [n_q, d_head],
            [n_q, n_kv],
            [n_q, n_kv],
            [n_q, n_kv],
        ];
        let size = shapes.iter().map(|[rows, columns]| Memory::size(*rows, *columns)).sum();
        let [padded_head, padded_value, padded_kv] = [d_head, d_value, n_kv].map(padded);
        self.each(self.n_heads_of_all(), |index| {
            let head = self.head(index);
            with_memory(size, |mut memory| {
                let [
                    mut k,
                    mut v,
                    mut head_dk,
                    mut head_dv,
                    mut q,
                    mut dout_rows,
                    head_dq,
                    mut dropped,
                    mut dscores,
                    mut room,
                ] = shapes.map(|[rows, columns]| memory.matrix(rows, columns));
                k.copy(self.vectors, self.kv_rows(inputs.k, head, 0, d_head), [n_kv, d_head], 1.0);
                v.copy_transposed(self.vectors, self.kv_rows(inputs.v, head, 0, d_value), [n_kv, d_value]);
                head_dk.clear([n_kv, d_head]);
                head_dv.clear([n_kv, d_value]);
                for (number, queries) in parts(self.q_length, Q_TILE).enumerate() {
                    if let Some(next) = self.next(index) {
                        let n_parts = self.q_length.div_ceil(Q_TILE);
                        self.fetch(inputs, next, number, n_parts);
                        if let Some(dout) = dout {
                            let rows = self.q_rows(dout, next, 0, d_value);
                            prefetch::rows(rows, share(self.q_length, number, n_parts), d_value);
                        }
                    }
                    let n_q = queries.n;
                    let first = (index * self.q_length + queries.first) * n_kv;
                    dropped.copy(self.vectors, Rows { data: &weights[first..], stride: n_kv }, [n_q, n_kv], 1.0);
                    let dweights = dweights.map(|dweights| Rows { data: &dweights[first..], stride: n_kv });
                    let from = self.q_rows(inputs.q, head, queries.first, d_head);
                    q.copy(self.vectors, from, [n_q, d_head], self.scale);
                    if let Some(dout) = dout {
                        let from = self.q_rows(dout, head, queries.first, d_value);
                        dout_rows.copy(self.vectors, from, [n_q, d_value], 1.0);
                        let (a, shape) = (dout_rows.rows().factor(), [n_q, d_value, padded_kv]);
                        product(self.vectors, dscores.data, dscores.stride, a, v.rows(), shape, false);
                    } else {
                        dscores.clear([n_q, n_kv]);
                    }
                    self.dscores_of(&mut dropped, &mut dscores, (head, queries), dweights, &mut room);
                    if dout.is_some() {
                        let (a, shape) = (dropped.rows().transposed(), [n_kv, n_q, padded_value]);
                        product(self.vectors, head_dv.data, head_dv.stride, a, dout_rows.rows(), shape, true);
                    }
                    let (a, shape) = (dscores.rows().transposed(), [n_kv, n_q, padded_head]);
                    product(self.vectors, head_dk.data, head_dk.stride, a, q.rows(), shape, true);
                    let (a, shape) = (dscores.rows().factor(), [n_q, n_kv, padded_head]);
                    product(self.vectors, head_dq.data, head_dq.stride, a, k.rows(), shape, false);
                    // SAFETY: No other task has this head.
                    unsafe { self.scatter(&dq, head_dq.rows(), (head, queries, self.q_length), d_head, self.scale) };
                }
                let keys = Part { first: 0, n: n_kv };
                // SAFETY: No other task has this head.
                unsafe {
                    self.scatter(&dk, head_dk.rows(), (head, keys, n_kv), d_head, 1.0);
                    self.scatter(&dv, head_dv.rows(), (head, keys, n_kv), d_value, 1.0);
                }
            });
        });
        gradients
    }

    /// Makes gradients of scores, without the scale, of the gradients of weights behind dropout and of `dweights`, those of
    /// weights before it; and drops out the weights.
    fn dscores_of(
        &self,
        weights: &mut Matrix,
        dscores: &mut Matrix,
        (head, queries): (Head, Part),
        dweights: Option<Rows>,
        room: &mut Matrix,
    ) {
        let (n_kv, width) = (self.kv_length, padded(self.kv_length));
        let [weights_stride, dscores_stride, room_stride] = [weights.stride, dscores.stride, room.stride];
        self.vectors.vectorized(
            #[inline(always)]
            || {
                let rows = dscores.data.chunks_exact_mut(dscores_stride).zip(room.data.chunks_exact_mut(room_stride));
                for (row, (dscores, room)) in rows.take(queries.n).enumerate() {
                    if let Some(multipliers) = &self.dropout {
                        multipliers.fill(head.batch, head.head, queries.first + row, 0, &mut room[..width]);
                        softmax::multiply(&mut dscores[..width], &room[..width]);
                    }
                    if let Some(Rows { data, stride }) = dweights {
                        for (dscore, dweight) in dscores.iter_mut().zip(&data[row * stride..][..n_kv]) {
                            *dscore += dweight;
                        }
                    }
                }
            },
        );
        let mut means = [0.0; Q_TILE];
        let means = &mut means[..queries.n];
        dots(self.vectors, means, dscores.rows(), weights.rows(), n_kv);
        self.vectors.vectorized(
            #[inline(always)]
            || {
                let rows =
                    weights.data.chunks_exact_mut(weights_stride).zip(dscores.data.chunks_exact_mut(dscores_stride));
                for ((mean, room), (weights, dscores)) in
                    means.iter().zip(room.data.chunks_exact(room_stride)).zip(rows)
                {
                    let weights = &mut weights[..width];
                    for (dscore, weight) in dscores.iter_mut().zip(&*weights) {
                        *dscore = weight * (*dscore - mean);
                    }
                    if self.dropout.is_some() {
                        softmax::multiply(weights, &room[..width]);
                    }
                }
            },
        );
    }
}
