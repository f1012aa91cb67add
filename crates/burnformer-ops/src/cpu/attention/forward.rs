//! Outputs, and the logarithms of the denominators.

use super::prefetch::{self, share};
use super::product::product;
use super::scratch::{Matrix, Memory, padded, with_memory};
use super::{Attention, Head, Inputs, KV_TILE, Part, few, parts, softmax};
use crate::cpu::buffer::Scattered;
use crate::cpu::for_overwrite;

/// Queries whose scores are in the first-level cache at once.
const Q_BLOCK: usize = 24;
/// Blocks of a task, at most: so many that copying keys and values in the layout of the products is little beside them.
const MOST_BLOCKS: usize = 21;
/// Blocks of a task, at least, if there are so many.
const FEWEST_BLOCKS: usize = 4;

/// What a task knows of the keys so far.
struct Running<'a> {
    values: Matrix<'a>,
    maxima: &'a mut [f32],
    sums: &'a mut [f32],
}

impl Attention<'_> {
    /// Output `[batch_size, q_length, n_heads, d_value]` and logarithm of the denominators `[batch_size, n_heads, q_length]`.
    pub(crate) fn forward(&self, inputs: Inputs) -> (Vec<f32>, Vec<f32>) {
        let mut out = for_overwrite(self.batch_size * self.q_length * self.n_heads * self.d_value);
        let mut logsumexp = for_overwrite(self.n_heads_of_all() * self.q_length);
        let (rows, logarithms) = (Scattered::new(&mut out), Scattered::new(&mut logsumexp));
        if self.q_length <= few::QUERIES {
            self.forward_few(inputs, &rows, &logarithms);
            return (out, logsumexp);
        }
        // Whole blocks, of which each has the same queries for any number of threads.
        let tasks_of_head = (2 * rayon::current_num_threads()).div_ceil(self.n_heads_of_all());
        let blocks = self.q_length.div_ceil(Q_BLOCK).div_ceil(tasks_of_head).clamp(FEWEST_BLOCKS, MOST_BLOCKS);
        let n_each = blocks * Q_BLOCK;
        let n_parts = self.q_length.div_ceil(n_each);
        self.each(self.n_heads_of_all() * n_parts, |task| {
            let (index, part) = (task / n_parts, task % n_parts);
            let first = part * n_each;
            let queries = Part { first, n: n_each.min(self.q_length - first) };
            // SAFETY: No other task has these queries of this head.
            let logarithms = unsafe { logarithms.part(index * self.q_length + first, queries.n) };
            let head = self.head(index);
            let next = self.next(index).filter(|_| n_parts == 1);
            self.with_values(inputs, head, next, queries, logarithms, |values| {
                // SAFETY: As above.
                unsafe { self.scatter(&rows, values.rows(), (head, queries, self.q_length), self.d_value, 1.0) };
            });
        });
        (out, logsumexp)
    }

    /// Hands the values of some queries to `give`.
    fn with_values(
        &self,
        inputs: Inputs,
        head: Head,
        next: Option<Head>,
        queries: Part,
        logarithms: &mut [f32],
        give: impl FnOnce(&Matrix),
    ) {
        let (d_head, d_value, n_q) = (self.d_head, self.d_value, queries.n);
        let (q_block, kv_tile) = (Q_BLOCK.min(n_q), KV_TILE.min(self.kv_length));
        let size = Memory::size(q_block, d_head)
            + Memory::size(q_block, kv_tile)
            + Memory::size(d_head, kv_tile)
            + Memory::size(kv_tile, d_value)
            + Memory::size(n_q, d_value)
            + Memory::size(1, kv_tile)
            + 2 * Memory::size(1, n_q);
        with_memory(size, |mut memory| {
            let [mut q, mut scores] = [d_head, kv_tile].map(|columns| memory.matrix(q_block, columns));
            let (mut k, mut v) = (memory.matrix(d_head, kv_tile), memory.matrix(kv_tile, d_value));
            let mut running =
                Running { values: memory.matrix(n_q, d_value), maxima: memory.row(n_q), sums: memory.row(n_q) };
            let room = memory.row(kv_tile);
            running.values.clear([n_q, d_value]);
            running.maxima.fill(f32::NEG_INFINITY);
            running.sums.fill(0.0);

            let n_keys = self.n_seen(queries.first + n_q - 1, self.n_keys(head.batch));
            for keys in parts(n_keys, KV_TILE) {
                let from = |x, width| self.kv_rows(x, head, keys.first, width);
                k.copy_transposed(self.vectors, from(inputs.k, d_head), [keys.n, d_head]);
                v.copy(self.vectors, from(inputs.v, d_value), [keys.n, d_value], 1.0);
                for (number, block) in parts(n_q, Q_BLOCK).enumerate() {
                    if let Some(next) = next {
                        self.fetch(inputs, next, number, n_q.div_ceil(Q_BLOCK));
                    }
                    let block = Part { first: queries.first + block.first, n: block.n };
                    let n_seen = self.n_seen(block.first + block.n - 1, n_keys).saturating_sub(keys.first).min(keys.n);
                    if n_seen == 0 {
                        continue;
                    }
                    q.copy(
                        self.vectors,
                        self.q_rows(inputs.q, head, block.first, d_head),
                        [block.n, d_head],
                        self.scale,
                    );
                    let shape = [block.n, d_head, padded(n_seen)];
                    product(self.vectors, scores.data, scores.stride, q.rows().factor(), k.rows(), shape, false);
                    let first = block.first - queries.first;
                    let seen = Part { n: n_seen, ..keys };
                    self.weigh(&mut scores, (head, block, seen), &mut running.from(first), room);
                    let values = running.values.rows_from(first);
                    let shape = [block.n, n_seen, padded(d_value)];
                    product(self.vectors, values.data, values.stride, scores.rows().factor(), v.rows(), shape, true);
                }
            }

            for ((logarithm, maximum), sum) in logarithms.iter_mut().zip(&*running.maxima).zip(&*running.sums) {
                *logarithm = maximum + sum.ln();
            }
            self.vectors.vectorized(
                #[inline(always)]
                || {
                    for (values, sum) in running.values.data.chunks_exact_mut(running.values.stride).zip(&*running.sums)
                    {
                        softmax::scale(&mut values[..d_value], softmax::inverse(*sum));
                    }
                },
            );
            give(&running.values);
        });
    }

    /// Fetches a share of a head's inputs.
    pub(super) fn fetch(&self, inputs: Inputs, head: Head, part: usize, n_parts: usize) {
        let (queries, keys) = (share(self.q_length, part, n_parts), share(self.kv_length, part, n_parts));
        prefetch::rows(self.q_rows(inputs.q, head, 0, self.d_head), queries, self.d_head);
        prefetch::rows(self.kv_rows(inputs.k, head, 0, self.d_head), keys.clone(), self.d_head);
        prefetch::rows(self.kv_rows(inputs.v, head, 0, self.d_value), keys, self.d_value);
    }

    /// Makes weights of the scores of some queries and keys, relative to the largest score so far, and shrinks what came
    /// of the keys before to the same.
    fn weigh(
        &self,
        scores: &mut Matrix,
        (head, queries, keys): (Head, Part, Part),
        running: &mut Running,
        room: &mut [f32],
    ) {
        let (width, d_value) = (padded(keys.n), padded(self.d_value));
        self.block(scores, head, queries, keys);
        let (mut sums, mut shrinks) = ([0.0; Q_BLOCK], [0.0; Q_BLOCK]);
        let (sums, shrinks) = (&mut sums[..queries.n], &mut shrinks[..queries.n]);
        let known = softmax::Known { maxima: &mut running.maxima[..queries.n], sums, shrinks };
        softmax::exponentials(self.vectors, scores, width, known);
        let (scores_stride, values_stride) = (scores.stride, running.values.stride);
        self.vectors.vectorized(
            #[inline(always)]
            || {
                let values = running.values.data.chunks_exact_mut(values_stride);
                for (((of_all, sum), shrink), values) in running.sums.iter_mut().zip(&*sums).zip(&*shrinks).zip(values)
                {
                    if keys.first == 0 || *shrink == 1.0 {
                        *of_all += sum;
                    } else {
                        *of_all = *of_all * shrink + sum;
                        softmax::scale(&mut values[..d_value], *shrink);
                    }
                }
                if let Some(multipliers) = &self.dropout {
                    let rows = scores.data.chunks_exact_mut(scores_stride).take(queries.n);
                    for (position, scores) in (queries.first..).zip(rows) {
                        multipliers.fill(head.batch, head.head, position, keys.first, &mut room[..width]);
                        softmax::multiply(&mut scores[..width], &room[..width]);
                    }
                }
            },
        );
    }
}

impl Running<'_> {
    /// From one row on.
    fn from(&mut self, row: usize) -> Running<'_> {
        Running { values: self.values.rows_from(row), maxima: &mut self.maxima[row..], sums: &mut self.sums[row..] }
    }
}
