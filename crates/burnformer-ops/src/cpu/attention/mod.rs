//! Scaled dot-product attention in tiles: neither pass holds more scores than one tile a task, unless the weights are
//! asked for.
//!
//! Source: Dao et al. 2022, algorithms 1 and 4 (running maximum and denominator; scores made again in the backward pass),
//! with tiles for a CPU's caches. Dropout's numbers are drawn again as well.

mod backward;
mod dots;
mod few;
mod forward;
mod prefetch;
mod product;
mod scratch;
mod softmax;
#[cfg(test)]
mod tests;
mod transpose;
mod weights;

use super::dropout::Multipliers;
use super::{Vectors, buffer::Scattered};
use product::Rows;
use rayon::prelude::*;
use scratch::{Matrix, padded};

/// Keys of a tile, a multiple of [`scratch::LINE`].
const KV_TILE: usize = 256;

/// Below this many multiplications a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 19;

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
    pub(crate) vectors: Vectors,
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

/// One head of one sequence.
#[derive(Clone, Copy)]
struct Head {
    batch: usize,
    head: usize,
}

/// Some neighbours of a sequence.
#[derive(Clone, Copy)]
struct Part {
    first: usize,
    n: usize,
}

/// `length` in parts of at most `size`.
fn parts(length: usize, size: usize) -> impl Iterator<Item = Part> + Clone {
    (0..length).step_by(size).map(move |first| Part { first, n: size.min(length - first) })
}

impl Attention<'_> {
    /// Heads of all sequences.
    fn n_heads_of_all(&self) -> usize {
        self.batch_size * self.n_heads
    }

    fn head(&self, index: usize) -> Head {
        Head { batch: index / self.n_heads, head: index % self.n_heads }
    }

    /// Runs every task, in parallel where it is worth it.
    fn each(&self, n_tasks: usize, task: impl Fn(usize) + Send + Sync) {
        let multiplications = self.n_heads_of_all() * self.q_length * self.kv_length * (self.d_head + self.d_value);
        if multiplications < WORTH_A_THREAD || n_tasks < 2 {
            (0..n_tasks).for_each(task);
        } else {
            (0..n_tasks).into_par_iter().for_each(task);
        }
    }

    /// Number of the row of `n_heads · width` elements, and the head in it, in a tensor `[batch_size, length, n_heads, width]`.
    #[inline(always)]
    fn at(&self, Head { batch, head }: Head, position: usize, length: usize) -> usize {
        (batch * length + position) * self.n_heads + head
    }

    /// The head's rows in a tensor `[batch_size, q_length, n_heads, width]`, from one query on.
    fn q_rows<'a>(&self, x: &'a [f32], head: Head, first: usize, width: usize) -> Rows<'a> {
        self.rows(x, self.at(head, first, self.q_length), width)
    }

    /// The head's rows in a tensor `[batch_size, kv_length, n_heads, width]`, from one key on.
    fn kv_rows<'a>(&self, x: &'a [f32], head: Head, first: usize, width: usize) -> Rows<'a> {
        self.rows(x, self.at(head, first, self.kv_length), width)
    }

    fn rows<'a>(&self, x: &'a [f32], at: usize, width: usize) -> Rows<'a> {
        Rows { data: &x[at * width..], stride: self.n_heads * width }
    }

    /// How many keys the query may see: none behind them takes part. Keys before may be blocked too.
    #[inline(always)]
    fn n_seen(&self, position: usize, n_keys: usize) -> usize {
        // The last query sees every key.
        let past = (position + 1 + self.kv_length).saturating_sub(self.q_length);
        if self.causal { past.min(n_keys) } else { n_keys }
    }

    /// Keys of a sequence up to the last one that is not blocked for all its queries.
    fn n_keys(&self, batch: usize) -> usize {
        let Blocked::Keys(blocked) = self.blocked else { return self.kv_length };
        let blocked = &blocked[batch * self.kv_length..][..self.kv_length];
        blocked.iter().rposition(|blocked| !blocked).map_or(0, |last| last + 1)
    }

    /// Which keys are blocked for a query, from one on.
    #[inline(always)]
    fn blocked(&self, batch: usize, position: usize, first: usize) -> Option<&[bool]> {
        let (blocked, row) = match self.blocked {
            Blocked::None => return None,
            Blocked::Keys(keys) => (keys, batch),
            Blocked::Full(full) => (full, batch * self.q_length + position),
        };
        Some(&blocked[row * self.kv_length..][first..self.kv_length])
    }

    /// Writes minus infinity for scores that are blocked, and behind the last key.
    fn block(&self, scores: &mut Matrix, head: Head, queries: Part, keys: Part) {
        let (width, stride) = (padded(keys.n), scores.stride);
        if matches!(self.blocked, Blocked::None) && !self.causal && width == keys.n {
            return;
        }
        self.vectors.vectorized(
            #[inline(always)]
            || {
                let rows = scores.data.chunks_exact_mut(stride).take(queries.n);
                for (position, scores) in (queries.first..).zip(rows) {
                    let n_seen = self.n_seen(position, keys.first + keys.n).saturating_sub(keys.first);
                    softmax::block(&mut scores[..width], n_seen, self.blocked(head.batch, position, keys.first));
                }
            },
        );
    }

    /// Writes rows of `width` elements, times `factor`, where they belong in a tensor `[batch_size, length, n_heads, width]`.
    ///
    /// # Safety
    /// No other thread may write rows of these positions of this head.
    unsafe fn scatter(
        &self,
        out: &Scattered,
        from: Rows,
        (head, part, length): (Head, Part, usize),
        width: usize,
        factor: f32,
    ) {
        self.vectors.vectorized(
            #[inline(always)]
            || {
                for i in 0..part.n {
                    let at = self.at(head, part.first + i, length) * width;
                    // SAFETY: The caller has these rows to itself.
                    let out = unsafe { out.part(at, width) };
                    for (out, from) in out.iter_mut().zip(&from.data[i * from.stride..][..width]) {
                        *out = from * factor;
                    }
                }
            },
        );
    }
}
