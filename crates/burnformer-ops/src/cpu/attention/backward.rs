//! Gradients of the inputs, from the logarithms of the denominators.

use super::dots::dots;
use super::prefetch::{self, share};
use super::product::product;
use super::scratch::{Matrix, Memory, padded, with_memory};
use super::{Attention, Gradients, Head, Inputs, KV_TILE, Part, parts, softmax};
use crate::cpu::buffer::Scattered;
use crate::cpu::for_overwrite;
use crate::cpu::math::exp_of_non_positive;

/// Queries of a tile.
const Q_TILE: usize = 48;
/// Below this many heads, the backward pass of a head is cut along its keys.
const FEW_HEADS: usize = 16;
/// The parts that it is cut into, at most; each has a query gradient of its own.
const PARTS: usize = 8;

/// What the backward pass of a call reads.
#[derive(Clone, Copy)]
struct Known<'a> {
    inputs: Inputs<'a>,
    out: &'a [f32],
    logsumexp: &'a [f32],
    dout: &'a [f32],
}

/// The scratch memory of a task.
struct Scratch<'a> {
    /// Of all queries: their gradients, and the means that the gradients of scores are relative to.
    dq: Matrix<'a>,
    means: &'a mut [f32],
    /// Of a tile of keys.
    k: Matrix<'a>,
    k_transposed: Matrix<'a>,
    v_transposed: Matrix<'a>,
    dk: Matrix<'a>,
    dv: Matrix<'a>,
    /// Of a tile of queries.
    q: Matrix<'a>,
    dout: Matrix<'a>,
    weights: Matrix<'a>,
    dscores: Matrix<'a>,
    room: &'a mut [f32],
}

impl Scratch<'_> {
    fn with<R>(call: &Attention, task: impl FnOnce(Scratch) -> R) -> R {
        let (d_head, d_value) = (call.d_head, call.d_value);
        let (n_q, n_kv) = (Q_TILE.min(call.q_length), KV_TILE.min(call.kv_length));
        let shapes = [
            [call.q_length, d_head],
            [1, call.q_length],
            [n_kv, d_head],
            [d_head, n_kv],
            [d_value, n_kv],
            [n_kv, d_head],
            [n_kv, d_value],
            [n_q, d_head],
            [n_q, d_value],
            [n_q, n_kv],
            [n_q, n_kv],
            [1, n_kv],
        ];
        let size = shapes.iter().map(|[rows, columns]| Memory::size(*rows, *columns)).sum();
        with_memory(size, |mut memory| {
            let [dq, means, k, k_transposed, v_transposed, dk, dv, q, dout, weights, dscores, room] =
                shapes.map(|[rows, columns]| memory.matrix(rows, columns));
            let (means, room) = (means.data, room.data);
            task(Scratch { dq, means, k, k_transposed, v_transposed, dk, dv, q, dout, weights, dscores, room })
        })
    }
}

impl Attention<'_> {
    /// Gradients of the inputs, from the output, its gradient, and the logarithms.
    pub(crate) fn backward(&self, inputs: Inputs, out: &[f32], logsumexp: &[f32], dout: &[f32]) -> Gradients {
        let mut gradients = Gradients {
            q: for_overwrite(inputs.q.len()),
            k: for_overwrite(inputs.k.len()),
            v: for_overwrite(inputs.v.len()),
        };
        let known = Known { inputs, out, logsumexp, dout };
        let n_heads = self.n_heads_of_all();
        let n_tiles = self.kv_length.div_ceil(KV_TILE);
        let tiles_each = if n_heads < FEW_HEADS { n_tiles.div_ceil(PARTS) } else { n_tiles };
        let n_parts = n_tiles.div_ceil(tiles_each);
        // Elements of a head's query gradient.
        let size = self.q_length * self.d_head;
        let mut partial = for_overwrite(if n_parts > 1 { n_heads * n_parts * size } else { 0 });
        let [dq, dk, dv] = [&mut gradients.q, &mut gradients.k, &mut gradients.v].map(|x| Scattered::new(x));
        let dq_parts = Scattered::new(&mut partial);
        self.each(n_heads * n_parts, |task| {
            let (head, part) = (self.head(task / n_parts), task % n_parts);
            let first = part * tiles_each * KV_TILE;
            let keys = Part { first, n: (tiles_each * KV_TILE).min(self.kv_length - first) };
            Scratch::with(self, |mut scratch| {
                let next = self.next(task).filter(|_| n_parts == 1);
                self.backward_keys(known, (head, next), keys, &mut scratch, |tile, [tile_dk, tile_dv]| {
                    // SAFETY: No other task has these keys of this head.
                    unsafe {
                        self.scatter(&dk, tile_dk.rows(), (head, tile, self.kv_length), self.d_head, 1.0);
                        self.scatter(&dv, tile_dv.rows(), (head, tile, self.kv_length), self.d_value, 1.0);
                    }
                });
                if n_parts == 1 {
                    let queries = Part { first: 0, n: self.q_length };
                    // SAFETY: No other task has this head.
                    unsafe {
                        self.scatter(&dq, scratch.dq.rows(), (head, queries, self.q_length), self.d_head, self.scale);
                    }
                } else {
                    // SAFETY: No other task has this part of this head.
                    let part = unsafe { dq_parts.part(task * size, size) };
                    let rows = scratch.dq.data.chunks_exact(scratch.dq.stride);
                    for (to, from) in part.chunks_exact_mut(self.d_head).zip(rows) {
                        to.copy_from_slice(&from[..self.d_head]);
                    }
                }
            });
        });
        if n_parts > 1 {
            self.each(n_heads * self.q_length, |index| {
                let (head, position) = (index / self.q_length, index % self.q_length);
                let at = self.at(self.head(head), position, self.q_length) * self.d_head;
                // SAFETY: No other task has this query of this head.
                let out = unsafe { dq.part(at, self.d_head) };
                out.fill(0.0);
                for part in 0..n_parts {
                    let at = (head * n_parts + part) * size + position * self.d_head;
                    for (out, part) in out.iter_mut().zip(&partial[at..][..self.d_head]) {
                        *out += part;
                    }
                }
                softmax::scale(out, self.scale);
            });
        }
        gradients
    }

    /// Hands the gradients of each tile of keys and values to `give`, and leaves what the keys add to those of the queries,
    /// without the scale, in the scratch memory.
    fn backward_keys(
        &self,
        known: Known,
        (head, next): (Head, Option<Head>),
        keys: Part,
        scratch: &mut Scratch,
        mut give: impl FnMut(Part, [&Matrix; 2]),
    ) {
        let (d_head, d_value, vectors) = (self.d_head, self.d_value, self.vectors);
        scratch.dq.clear([self.q_length, d_head]);
        let (out, dout) = (self.q_rows(known.out, head, 0, d_value), self.q_rows(known.dout, head, 0, d_value));
        dots(vectors, &mut scratch.means[..self.q_length], out, dout, d_value);
        let n_keys = self.n_seen(self.q_length - 1, self.n_keys(head.batch));
        for tile in parts(keys.n, KV_TILE) {
            let tile = Part { first: keys.first + tile.first, n: tile.n };
            scratch.dk.clear([tile.n, d_head]);
            scratch.dv.clear([tile.n, d_value]);
            // Those behind them take no part.
            let n_kv = n_keys.saturating_sub(tile.first).min(tile.n);
            if n_kv > 0 {
                let k = self.kv_rows(known.inputs.k, head, tile.first, d_head);
                let v = self.kv_rows(known.inputs.v, head, tile.first, d_value);
                scratch.k.copy(vectors, k, [n_kv, d_head], 1.0);
                scratch.k_transposed.copy_transposed(vectors, k, [n_kv, d_head]);
                scratch.v_transposed.copy_transposed(vectors, v, [n_kv, d_value]);
            }
            for (number, queries) in parts(self.q_length, Q_TILE).enumerate() {
                if let Some(next) = next {
                    let n_parts = self.q_length.div_ceil(Q_TILE);
                    self.fetch(known.inputs, next, number, n_parts);
                    for x in [known.out, known.dout] {
                        prefetch::rows(
                            self.q_rows(x, next, 0, d_value),
                            share(self.q_length, number, n_parts),
                            d_value,
                        );
                    }
                }
                let n_seen = self.n_seen(queries.first + queries.n - 1, n_keys).saturating_sub(tile.first).min(n_kv);
                if n_seen > 0 {
                    self.backward_tile(known, head, queries, Part { n: n_seen, ..tile }, scratch);
                }
            }
            give(tile, [&scratch.dk, &scratch.dv]);
        }
    }

    /// Adds what a tile of scores gives to the gradients in the scratch memory.
    fn backward_tile(&self, known: Known, head: Head, queries: Part, keys: Part, scratch: &mut Scratch) {
        let (vectors, n_q, n_kv) = (self.vectors, queries.n, keys.n);
        let (d_head, d_value) = (self.d_head, self.d_value);
        let Scratch { dq, means, k, k_transposed, v_transposed, dk, dv, q, dout, weights, dscores, room } = scratch;
        q.copy(vectors, self.q_rows(known.inputs.q, head, queries.first, d_head), [n_q, d_head], self.scale);
        dout.copy(vectors, self.q_rows(known.dout, head, queries.first, d_value), [n_q, d_value], 1.0);
        let width = padded(n_kv);
        let (a, b) = (q.rows().factor(), k_transposed.rows());
        product(vectors, weights.data, weights.stride, a, b, [n_q, d_head, width], false);
        let (a, b) = (dout.rows().factor(), v_transposed.rows());
        product(vectors, dscores.data, dscores.stride, a, b, [n_q, d_value, width], false);

        self.block(weights, head, queries, keys);
        let first_logarithm = (head.batch * self.n_heads + head.head) * self.q_length;
        let logarithms = &known.logsumexp[first_logarithm..][..self.q_length];
        let (weights_stride, dscores_stride) = (weights.stride, dscores.stride);
        vectors.vectorized(
            #[inline(always)]
            || {
                let rows =
                    weights.data.chunks_exact_mut(weights_stride).zip(dscores.data.chunks_exact_mut(dscores_stride));
                for (position, (weights, dscores)) in (queries.first..queries.first + n_q).zip(rows) {
                    let (weights, dscores) = (&mut weights[..width], &mut dscores[..width]);
                    // A row without a key has no weights.
                    let logarithm = logarithms[position];
                    let origin = if logarithm == f32::NEG_INFINITY { f32::INFINITY } else { logarithm };
                    let mean = means[position];
                    match &self.dropout {
                        None => {
                            for (weight, dscore) in weights.iter_mut().zip(dscores) {
                                *weight = exp_of_non_positive(*weight - origin);
                                *dscore = *weight * (*dscore - mean);
                            }
                        }
                        Some(multipliers) => {
                            let room = &mut room[..width];
                            multipliers.fill(head.batch, head.head, position, keys.first, room);
                            for ((weight, dscore), multiplier) in weights.iter_mut().zip(dscores).zip(room) {
                                let undropped = exp_of_non_positive(*weight - origin);
                                *dscore = undropped * (*dscore * *multiplier - mean);
                                *weight = undropped * *multiplier;
                            }
                        }
                    }
                }
            },
        );

        let d_value = padded(d_value);
        product(vectors, dv.data, dv.stride, weights.rows().transposed(), dout.rows(), [n_kv, n_q, d_value], true);
        let d_head = padded(d_head);
        product(vectors, dk.data, dk.stride, dscores.rows().transposed(), q.rows(), [n_kv, n_q, d_head], true);
        let dq = dq.rows_from(queries.first);
        product(vectors, dq.data, dq.stride, dscores.rows().factor(), k.rows(), [n_q, n_kv, d_head], true);
    }
}
