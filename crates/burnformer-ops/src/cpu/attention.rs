//! Scaled dot-product attention in tiles: neither pass holds more scores than one tile a task, unless the weights are
//! asked for.
//!
//! Source: Dao et al. 2022, algorithms 1 and 4 (running maximum and denominator; scores made again in the backward pass),
//! with tiles for a CPU's second-level cache. Dropout's numbers are drawn again as well.

use super::buffer::Scattered;
use super::dropout::Multipliers;
use super::math::{dot, exp, maximum, sum};
use super::matmul::{View, ViewMut, matmul_here};
use super::{for_overwrite, vectorized};
use crate::Precision;
use rayon::prelude::*;

/// Queries of a tile.
const Q_TILE: usize = 128;
/// Keys of a tile, a multiple of four (see [`Multipliers::fill`]).
const KV_TILE: usize = 512;
/// Below this many tasks, the backward pass of a head is cut along its keys.
const FEW_TASKS: usize = 16;
/// The parts that it is cut into, at most; each has a query gradient of its own.
const PARTS: usize = 8;

/// What is blocked. `true` = blocked.
#[derive(Clone, Copy)]
pub(crate) enum Blocked<'a> {
    None,
    /// `[batch_size, kv_length]`
    Keys(&'a [bool]),
    /// `[batch_size, q_length, kv_length]`
    Full(&'a [bool]),
}

/// Shapes and settings of one call.
pub(crate) struct Attention<'a> {
    pub(crate) batch_size: usize,
    pub(crate) n_heads: usize,
    pub(crate) q_length: usize,
    pub(crate) kv_length: usize,
    pub(crate) d_head: usize,
    pub(crate) d_value: usize,
    pub(crate) scale: f32,
    pub(crate) causal: bool,
    pub(crate) blocked: Blocked<'a>,
    pub(crate) dropout: Option<Multipliers<'a>>,
}

/// Queries, keys and values: `[batch_size, length, n_heads, d_head]`.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) q: &'a [f32],
    pub(crate) k: &'a [f32],
    pub(crate) v: &'a [f32],
}

/// Gradients of the inputs, in their shapes.
pub(crate) struct Gradients {
    pub(crate) q: Vec<f32>,
    pub(crate) k: Vec<f32>,
    pub(crate) v: Vec<f32>,
}

/// One head of one sequence, and some of its queries and keys.
#[derive(Clone, Copy)]
struct Tile {
    batch: usize,
    head: usize,
    q: usize,
    n_q: usize,
    kv: usize,
    n_kv: usize,
}

/// `length` in tiles of at most `size`: first and number of each.
fn tiles(length: usize, size: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..length).step_by(size).map(move |first| (first, size.min(length - first)))
}

/// Products of a head run on the thread of its task. Scores are never rounded to bf16.
fn product(out: &mut [f32], shape: (usize, usize), a: View, b: View, alpha: f32, accumulate: bool) {
    matmul_here(ViewMut::row_major(out, shape.0, shape.1), a, b, alpha, accumulate, None, Precision::F32);
}

impl Attention<'_> {
    /// Output `[batch_size, q_length, n_heads, d_value]` and logarithm of the denominators `[batch_size, n_heads, q_length]`.
    pub(crate) fn forward(&self, inputs: Inputs) -> (Vec<f32>, Vec<f32>) {
        let mut out = for_overwrite(self.batch_size * self.q_length * self.n_heads * self.d_value);
        let mut logsumexp = for_overwrite(self.batch_size * self.n_heads * self.q_length);
        let rows = Scattered::new(&mut out);
        let mut tasks = Vec::new();
        let mut rest = logsumexp.as_mut_slice();
        for (batch, head) in self.heads() {
            for (q, n_q) in tiles(self.q_length, Q_TILE) {
                let (here, behind) = rest.split_at_mut(n_q);
                rest = behind;
                tasks.push((Tile { batch, head, q, n_q, kv: 0, n_kv: 0 }, here));
            }
        }
        self.run(tasks, |(tile, logsumexp)| {
            let values = self.forward_tile(inputs, tile, logsumexp);
            // SAFETY: No other task has these queries of this head.
            unsafe { self.scatter(&rows, &values, tile, (tile.q, self.q_length), self.d_value) };
        });
        (out, logsumexp)
    }

    /// Values of the tile's queries over all keys.
    fn forward_tile(&self, inputs: Inputs, tile: Tile, logsumexp: &mut [f32]) -> Vec<f32> {
        let (n_q, d_value) = (tile.n_q, self.d_value);
        let mut values = vec![0.0; n_q * d_value];
        let mut scores = for_overwrite(n_q * KV_TILE.min(self.kv_length));
        let mut room = for_overwrite(KV_TILE.min(self.kv_length));
        let mut maxima = vec![f32::NEG_INFINITY; n_q];
        let mut sums = vec![0.0; n_q];
        for (kv, n_kv) in tiles(self.kv_length, KV_TILE) {
            let tile = Tile { kv, n_kv, ..tile };
            if self.is_in_the_future(tile) {
                break;
            }
            let scores = &mut scores[..n_q * n_kv];
            self.scores(scores, inputs, tile);
            vectorized(
                #[inline(always)]
                || {
                    for (row, scores) in scores.chunks_exact_mut(n_kv).enumerate() {
                        let before = maxima[row];
                        let now = maximum(scores);
                        let now = if now > before { now } else { before };
                        // A row without a key so far: its scores are all minus infinity, and stay it.
                        let origin = if now == f32::NEG_INFINITY { 0.0 } else { now };
                        for s in scores.iter_mut() {
                            *s = exp(*s - origin);
                        }
                        let shrink = exp(before - origin);
                        maxima[row] = now;
                        sums[row] = sums[row] * shrink + sum(scores);
                        if kv > 0 {
                            for value in &mut values[row * d_value..(row + 1) * d_value] {
                                *value *= shrink;
                            }
                        }
                        if let Some(multipliers) = &self.dropout {
                            let room = &mut room[..n_kv];
                            multipliers.fill(tile.batch, tile.head, tile.q + row, kv, room);
                            for (s, multiplier) in scores.iter_mut().zip(room) {
                                *s *= *multiplier;
                            }
                        }
                    }
                },
            );
            let weights = View::row_major(scores, n_q, n_kv);
            product(&mut values, (n_q, d_value), weights, self.kv_rows(inputs.v, tile, d_value), 1.0, true);
        }
        for row in 0..n_q {
            let factor = if sums[row] == 0.0 { 0.0 } else { 1.0 / sums[row] };
            for value in &mut values[row * d_value..(row + 1) * d_value] {
                *value *= factor;
            }
            logsumexp[row] = maxima[row] + sums[row].ln();
        }
        values
    }

    /// Gradients of the inputs, from the output, its gradient, and the logarithms.
    pub(crate) fn backward(&self, inputs: Inputs, out: &[f32], logsumexp: &[f32], dout: &[f32]) -> Gradients {
        let mut gradients = Gradients {
            q: for_overwrite(inputs.q.len()),
            k: for_overwrite(inputs.k.len()),
            v: for_overwrite(inputs.v.len()),
        };
        let n_tiles = self.kv_length.div_ceil(KV_TILE);
        let few = self.batch_size * self.n_heads < FEW_TASKS;
        let n_parts = if few { n_tiles.clamp(1, PARTS) } else { 1 };
        let tiles_each = n_tiles.div_ceil(n_parts);
        let tasks: Vec<_> = self.heads().flat_map(|head| (0..n_parts).map(move |part| (head, part))).collect();
        let [dk, dv] = [&mut gradients.k, &mut gradients.v].map(|gradient| Scattered::new(gradient));
        let dq = self.run(tasks, |((batch, head), part)| {
            let mut dq = vec![0.0; self.q_length * self.d_head];
            for (kv, n_kv) in tiles(self.kv_length, KV_TILE).skip(part * tiles_each).take(tiles_each) {
                let keys = Tile { batch, head, q: 0, n_q: 0, kv, n_kv };
                let (tile_dk, tile_dv) = self.backward_keys(inputs, out, logsumexp, dout, keys, &mut dq);
                // SAFETY: No other task has these keys of this head.
                unsafe {
                    self.scatter(&dk, &tile_dk, keys, (kv, self.kv_length), self.d_head);
                    self.scatter(&dv, &tile_dv, keys, (kv, self.kv_length), self.d_value);
                }
            }
            dq
        });
        let rows = Scattered::new(&mut gradients.q);
        let partial = self.heads().zip(dq.chunks(n_parts)).collect();
        self.run(partial, |((batch, head), parts): (_, &[Vec<f32>])| {
            let whole = Tile { batch, head, q: 0, n_q: self.q_length, kv: 0, n_kv: 0 };
            let [first, others @ ..] = parts else { return };
            // SAFETY: No other task has this head.
            unsafe { self.scatter(&rows, first, whole, (0, self.q_length), self.d_head) };
            for other in others {
                for (q, dq) in other.chunks_exact(self.d_head).enumerate() {
                    let at = self.at(batch, q, self.q_length, head) * self.d_head;
                    // SAFETY: As above.
                    let sum = unsafe { rows.part(at, self.d_head) };
                    for (sum, dq) in sum.iter_mut().zip(dq) {
                        *sum += dq;
                    }
                }
            }
        });
        gradients
    }

    /// Gradients of the tile's keys and values over all queries; those of the queries are added to `dq`.
    fn backward_keys(
        &self,
        inputs: Inputs,
        out: &[f32],
        logsumexp: &[f32],
        dout: &[f32],
        keys: Tile,
        dq: &mut [f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let (n_kv, d_head, d_value) = (keys.n_kv, self.d_head, self.d_value);
        let (mut dk, mut dv) = (vec![0.0; n_kv * d_head], vec![0.0; n_kv * d_value]);
        let size = Q_TILE.min(self.q_length) * n_kv;
        let (mut weights, mut dscores) = (for_overwrite(size), for_overwrite(size));
        let mut room = for_overwrite(n_kv);
        let first_logarithm = (keys.batch * self.n_heads + keys.head) * self.q_length;
        let logsumexp = &logsumexp[first_logarithm..first_logarithm + self.q_length];
        for (q, n_q) in tiles(self.q_length, Q_TILE) {
            let tile = Tile { q, n_q, ..keys };
            if self.is_in_the_future(tile) {
                continue;
            }
            let weights = &mut weights[..n_q * n_kv];
            let dscores = &mut dscores[..n_q * n_kv];
            self.scores(weights, inputs, tile);
            let dout_rows = self.q_rows(dout, tile, d_value);
            let v = self.kv_rows(inputs.v, tile, d_value);
            product(dscores, (n_q, n_kv), dout_rows, v.transposed(), 1.0, false);
            vectorized(
                #[inline(always)]
                || {
                    let scale = self.scale;
                    let rows = weights.chunks_exact_mut(n_kv).zip(dscores.chunks_exact_mut(n_kv));
                    for (row, (weights, dscores)) in rows.enumerate() {
                        let logarithm = logsumexp[q + row];
                        // A row without a key has no weights.
                        let origin = if logarithm == f32::NEG_INFINITY { f32::INFINITY } else { logarithm };
                        let at = self.at(tile.batch, q + row, self.q_length, tile.head) * d_value;
                        let mean = dot(&out[at..at + d_value], &dout[at..at + d_value]);
                        match &self.dropout {
                            None => {
                                for (weight, dscore) in weights.iter_mut().zip(dscores) {
                                    *weight = exp(*weight - origin);
                                    *dscore = *weight * (*dscore - mean) * scale;
                                }
                            }
                            Some(multipliers) => {
                                multipliers.fill(tile.batch, tile.head, q + row, tile.kv, &mut room);
                                for ((weight, dscore), multiplier) in weights.iter_mut().zip(dscores).zip(&room) {
                                    let undropped = exp(*weight - origin);
                                    *dscore = undropped * (*dscore * multiplier - mean) * scale;
                                    *weight = undropped * multiplier;
                                }
                            }
                        }
                    }
                },
            );
            let weights = View::row_major(weights, n_q, n_kv);
            let dscores = View::row_major(dscores, n_q, n_kv);
            product(&mut dv, (n_kv, d_value), weights.transposed(), dout_rows, 1.0, true);
            let dq = &mut dq[q * d_head..(q + n_q) * d_head];
            product(dq, (n_q, d_head), dscores, self.kv_rows(inputs.k, tile, d_head), 1.0, true);
            product(&mut dk, (n_kv, d_head), dscores.transposed(), self.q_rows(inputs.q, tile, d_head), 1.0, true);
        }
        (dk, dv)
    }

    /// Output, and the weights before dropout `[batch_size, n_heads, q_length, kv_length]`.
    pub(crate) fn forward_with_weights(&self, inputs: Inputs) -> (Vec<f32>, Vec<f32>) {
        let (n_q, n_kv) = (self.q_length, self.kv_length);
        let mut out = for_overwrite(self.batch_size * n_q * self.n_heads * self.d_value);
        let mut weights = for_overwrite(self.batch_size * self.n_heads * n_q * n_kv);
        let rows = Scattered::new(&mut out);
        let tasks = self.heads().zip(weights.chunks_mut((n_q * n_kv).max(1))).collect();
        self.run(tasks, |((batch, head), weights): (_, &mut [f32])| {
            let tile = Tile { batch, head, q: 0, n_q, kv: 0, n_kv };
            self.scores(weights, inputs, tile);
            vectorized(
                #[inline(always)]
                || {
                    for scores in weights.chunks_exact_mut(n_kv) {
                        let maximum = maximum(scores);
                        let origin = if maximum == f32::NEG_INFINITY { 0.0 } else { maximum };
                        for s in scores.iter_mut() {
                            *s = exp(*s - origin);
                        }
                        let sum = sum(scores);
                        let factor = if sum == 0.0 { 0.0 } else { 1.0 / sum };
                        for s in scores.iter_mut() {
                            *s *= factor;
                        }
                    }
                },
            );
            let mut values = for_overwrite(n_q * self.d_value);
            let dropped = self.dropped(weights, tile);
            let dropped = View::row_major(dropped.as_deref().unwrap_or(weights), n_q, n_kv);
            let v = self.kv_rows(inputs.v, tile, self.d_value);
            product(&mut values, (n_q, self.d_value), dropped, v, 1.0, false);
            // SAFETY: No other task has this head.
            unsafe { self.scatter(&rows, &values, tile, (0, n_q), self.d_value) };
        });
        (out, weights)
    }

    /// Gradients of the inputs, from the weights and the gradients of output and weights; a missing one is zero.
    pub(crate) fn backward_through_weights(
        &self,
        inputs: Inputs,
        weights: &[f32],
        dout: Option<&[f32]>,
        dweights: Option<&[f32]>,
    ) -> Gradients {
        let (n_q, n_kv, d_head, d_value) = (self.q_length, self.kv_length, self.d_head, self.d_value);
        let mut gradients = Gradients {
            q: for_overwrite(inputs.q.len()),
            k: for_overwrite(inputs.k.len()),
            v: for_overwrite(inputs.v.len()),
        };
        let [dq, dk, dv] =
            [&mut gradients.q, &mut gradients.k, &mut gradients.v].map(|gradient| Scattered::new(gradient));
        self.run(self.heads().collect(), |(batch, head)| {
            let tile = Tile { batch, head, q: 0, n_q, kv: 0, n_kv };
            let first = (batch * self.n_heads + head) * n_q * n_kv;
            let weights = &weights[first..first + n_q * n_kv];
            let mut tile_dv = vec![0.0; n_kv * d_value];
            let mut dscores = for_overwrite(n_q * n_kv);
            match dout {
                None => dscores.fill(0.0),
                Some(dout) => {
                    let dout = self.q_rows(dout, tile, d_value);
                    let dropped = self.dropped(weights, tile);
                    let dropped = View::row_major(dropped.as_deref().unwrap_or(weights), n_q, n_kv);
                    product(&mut tile_dv, (n_kv, d_value), dropped.transposed(), dout, 1.0, false);
                    let v = self.kv_rows(inputs.v, tile, d_value);
                    product(&mut dscores, (n_q, n_kv), dout, v.transposed(), 1.0, false);
                    self.drop_in_place(&mut dscores, tile);
                }
            }
            if let Some(dweights) = dweights {
                for (dscore, dweight) in dscores.iter_mut().zip(&dweights[first..first + n_q * n_kv]) {
                    *dscore += dweight;
                }
            }
            vectorized(
                #[inline(always)]
                || {
                    let scale = self.scale;
                    for (dscores, weights) in dscores.chunks_exact_mut(n_kv).zip(weights.chunks_exact(n_kv)) {
                        let mean = dot(dscores, weights);
                        for (dscore, weight) in dscores.iter_mut().zip(weights) {
                            *dscore = weight * (*dscore - mean) * scale;
                        }
                    }
                },
            );
            let dscores = View::row_major(&dscores, n_q, n_kv);
            let (mut tile_dq, mut tile_dk) = (for_overwrite(n_q * d_head), for_overwrite(n_kv * d_head));
            product(&mut tile_dq, (n_q, d_head), dscores, self.kv_rows(inputs.k, tile, d_head), 1.0, false);
            let q = self.q_rows(inputs.q, tile, d_head);
            product(&mut tile_dk, (n_kv, d_head), dscores.transposed(), q, 1.0, false);
            // SAFETY: No other task has this head.
            unsafe {
                self.scatter(&dq, &tile_dq, tile, (0, n_q), d_head);
                self.scatter(&dk, &tile_dk, tile, (0, n_kv), d_head);
                self.scatter(&dv, &tile_dv, tile, (0, n_kv), d_value);
            }
        });
        gradients
    }

    fn heads(&self) -> impl Iterator<Item = (usize, usize)> + Clone + use<> {
        let n_heads = self.n_heads;
        (0..self.batch_size).flat_map(move |batch| (0..n_heads).map(move |head| (batch, head)))
    }

    /// Runs every task, in parallel where it is worth it; results in order.
    fn run<T: Send, R: Send>(&self, tasks: Vec<T>, task: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
        let scores = self.batch_size * self.n_heads * self.q_length * self.kv_length;
        if scores < 1 << 12 || tasks.len() < 2 {
            return tasks.into_iter().map(task).collect();
        }
        tasks.into_par_iter().map(task).collect()
    }

    /// Number of the row of `n_heads · d` elements, and the head in it, in a tensor `[batch_size, length, n_heads, d]`.
    #[inline(always)]
    fn at(&self, batch: usize, position: usize, length: usize, head: usize) -> usize {
        (batch * length + position) * self.n_heads + head
    }

    fn q_rows<'a>(&self, x: &'a [f32], tile: Tile, width: usize) -> View<'a> {
        self.rows(x, tile, (tile.q, tile.n_q), self.q_length, width)
    }

    fn kv_rows<'a>(&self, x: &'a [f32], tile: Tile, width: usize) -> View<'a> {
        self.rows(x, tile, (tile.kv, tile.n_kv), self.kv_length, width)
    }

    fn rows<'a>(&self, x: &'a [f32], tile: Tile, (first, n): (usize, usize), length: usize, width: usize) -> View<'a> {
        let start = (self.at(tile.batch, first, length, tile.head) * width).min(x.len());
        View::strided(&x[start..], n, width, self.n_heads * width, 1)
    }

    /// Writes the rows of a tile where they belong in a tensor `[batch_size, length, n_heads, width]`.
    ///
    /// # Safety
    /// No other thread may write rows of this tile.
    unsafe fn scatter(
        &self,
        out: &Scattered,
        tile_rows: &[f32],
        tile: Tile,
        (first, length): (usize, usize),
        width: usize,
    ) {
        for (position, row) in (first..).zip(tile_rows.chunks_exact(width)) {
            let at = self.at(tile.batch, position, length, tile.head) * width;
            // SAFETY: The caller has these rows to itself.
            unsafe { out.part(at, width) }.copy_from_slice(row);
        }
    }

    /// Whether every key of the tile comes after every query of it.
    fn is_in_the_future(&self, tile: Tile) -> bool {
        self.causal && tile.kv + self.q_length > tile.q + tile.n_q - 1 + self.kv_length
    }

    /// `scale · q kᵀ` of the tile, minus infinity where blocked.
    fn scores(&self, scores: &mut [f32], inputs: Inputs, tile: Tile) {
        let q = self.q_rows(inputs.q, tile, self.d_head);
        let k = self.kv_rows(inputs.k, tile, self.d_head);
        product(scores, (tile.n_q, tile.n_kv), q, k.transposed(), self.scale, false);
        if matches!(self.blocked, Blocked::None) && !self.causal {
            return;
        }
        for (row, scores) in scores.chunks_exact_mut(tile.n_kv).enumerate() {
            let position = tile.q + row;
            let blocked = match self.blocked {
                Blocked::None => None,
                Blocked::Keys(keys) => Some((keys, tile.batch)),
                Blocked::Full(full) => Some((full, tile.batch * self.q_length + position)),
            };
            if let Some((blocked, row)) = blocked {
                let first = row * self.kv_length + tile.kv;
                for (score, blocked) in scores.iter_mut().zip(&blocked[first..]) {
                    *score = if *blocked { f32::NEG_INFINITY } else { *score };
                }
            }
            if self.causal {
                // The last query sees every key.
                let n_seen = (position + 1 + self.kv_length).saturating_sub(self.q_length + tile.kv);
                scores[n_seen.min(tile.n_kv)..].fill(f32::NEG_INFINITY);
            }
        }
    }

    /// The tile's weights after dropout, if there is any.
    fn dropped(&self, weights: &[f32], tile: Tile) -> Option<Vec<f32>> {
        self.dropout.as_ref()?;
        let mut dropped = weights.to_vec();
        self.drop_in_place(&mut dropped, tile);
        Some(dropped)
    }

    fn drop_in_place(&self, weights: &mut [f32], tile: Tile) {
        let Some(multipliers) = &self.dropout else { return };
        let mut room = for_overwrite(tile.n_kv);
        vectorized(
            #[inline(always)]
            || {
                for (row, weights) in weights.chunks_exact_mut(tile.n_kv).enumerate() {
                    multipliers.fill(tile.batch, tile.head, tile.q + row, tile.kv, &mut room);
                    for (weight, multiplier) in weights.iter_mut().zip(&room) {
                        *weight *= multiplier;
                    }
                }
            },
        );
    }
}
