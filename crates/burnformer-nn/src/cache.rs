//! Key-value caches: the positions that decoding has behind it.
//!
//! Keys and values are written once, to the next places of a pool, and stay there. A row is a list of places: rows that begin
//! alike share them, and where rows are selected only lists are copied.

use crate::{Mask, Offsets};
use burn::tensor::{Int, Tensor, TensorData};
use burnformer_ops::{self as ops, Places, assert_same_axis};

/// Places of a pool that may be in no list, besides as many as are in lists.
const FEW: usize = 256;

/// Projected keys and values, `[batch_size, kv_length, n_kv_heads, d_head]` each.
#[derive(Clone, Debug)]
pub struct KeyValue {
    pub(crate) key: Tensor<4>,
    pub(crate) value: Tensor<4>,
}

impl KeyValue {
    /// Number of positions.
    #[must_use]
    pub fn kv_length(&self) -> usize {
        self.key.dims()[1]
    }
}

/// Keys and values at places, `[n_places, n_kv_heads, d_head]` each. There may be room behind the places in use.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) key: Tensor<3>,
    pub(crate) value: Tensor<3>,
}

impl From<KeyValue> for Pool {
    fn from(KeyValue { key, value }: KeyValue) -> Self {
        let flat = |x: Tensor<4>| {
            let [batch_size, length, n_heads, d_head] = x.dims();
            x.reshape([batch_size * length, n_heads, d_head])
        };
        Self { key: flat(key), value: flat(value) }
    }
}

impl Pool {
    /// Writes `new` to the places of `pool` from `first` on.
    pub(crate) fn store(pool: &mut Option<Self>, first: usize, new: Self) {
        *pool = Some(match pool.take() {
            None => new,
            Some(Self { key, value }) => {
                Self { key: ops::store(key, first, new.key), value: ops::store(value, first, new.value) }
            }
        });
    }

    /// The first `n` places.
    fn first(self, n: usize) -> Self {
        Self { key: self.key.narrow(0, 0, n), value: self.value.narrow(0, 0, n) }
    }

    fn select(self, places: &Tensor<1, Int>) -> Self {
        Self { key: self.key.select(0, places.clone()), value: self.value.select(0, places.clone()) }
    }
}

/// Lists of places, and the pools of all layers that they are of.
#[derive(Clone, Debug)]
pub(crate) struct Pools {
    /// `None` for a layer of another stage of a pipeline, or before the first place.
    pub(crate) layers: Vec<Option<Pool>>,
    lists: Places,
    /// Number of places in use, some of which may be in no list any more.
    n_used: usize,
}

impl Pools {
    pub(crate) fn empty(n_layers: usize) -> Self {
        Self { layers: vec![None; n_layers], lists: Places::default(), n_used: 0 }
    }

    /// Continues with these lists, in this order.
    fn select(&mut self, numbers: &[usize]) {
        self.lists = self.lists.select(numbers);
        if self.n_used > 2 * self.lists.n_places() + FEW {
            self.compact();
        }
    }

    /// Gives back the places that are in no list.
    fn compact(&mut self) {
        let mut is_kept = vec![false; self.n_used];
        self.lists.lists().flatten().for_each(|&place| is_kept[place as usize] = true);
        let kept: Vec<i64> = (0..).zip(is_kept).filter_map(|(place, is_kept)| is_kept.then_some(place)).collect();
        let mut numbers = vec![0; self.n_used];
        (0..).zip(&kept).for_each(|(number, &place)| numbers[place as usize] = number);
        let renumbered = |list: &[u32]| list.iter().map(|&place| numbers[place as usize]).collect::<Vec<u32>>();
        self.lists = self.lists.lists().map(renumbered).collect();
        self.n_used = kept.len();
        for layer in &mut self.layers {
            *layer = layer.take().map(|pool| {
                let places = TensorData::new(kept.clone(), [kept.len()]);
                let places = Tensor::from_data(places, &pool.key.device());
                pool.select(&places)
            });
        }
    }

    /// Adds the lists of `other` behind these, with their places.
    fn join(&mut self, other: Self) {
        let first = self.n_used as u32;
        let moved = other.lists.lists().map(|list| list.iter().map(|&place| first + place).collect::<Vec<_>>());
        self.lists = self.lists.lists().map(<[u32]>::to_vec).chain(moved).collect();
        for (pool, other_pool) in self.layers.iter_mut().zip(other.layers) {
            if let Some(other_pool) = other_pool {
                Pool::store(pool, self.n_used, other_pool.first(other.n_used));
            }
        }
        self.n_used += other.n_used;
    }

    /// Appends `n_new` places to each list; before the first place there are as many lists as `n_rows`. What is stored there
    /// begins at [`Step::first`].
    fn extend(&mut self, n_rows: usize, n_new: usize, is_causal: bool) -> Step {
        let first = self.n_used;
        let is_beginning = self.lists.n_lists() == 0;
        let before = |row| if is_beginning { &[][..] } else { self.lists.list(row) };
        let offsets = Offsets::from((0..n_rows).map(|row| before(row).len()).collect::<Vec<_>>());
        let new = |row: usize| (0..n_new).map(move |position| (first + row * n_new + position) as u32);
        let lists: Places = (0..n_rows).map(|row| before(row).iter().copied().chain(new(row))).collect();
        let seen = match n_new {
            1 => lists.clone(),
            _ => {
                // Each position sees a beginning of its row: parts of one list, since copies would be quadratic in the length.
                let hidden = |position: usize| if is_causal { n_new - 1 - position } else { 0 };
                let mut end = 0;
                let spans = lists.lists().flat_map(|list| {
                    let start = end;
                    end += list.len();
                    let end = end;
                    (0..n_new).map(move |position| start..end - hidden(position))
                });
                let spans = spans.collect();
                Places::new(lists.lists().flatten().copied().collect(), spans)
            }
        };
        self.lists = lists;
        self.n_used += n_rows * n_new;
        Step { first, seen, offsets, is_beginning }
    }
}

/// New positions of all rows.
pub(crate) struct Step {
    /// The place of the first row's first new position; the others follow.
    pub(crate) first: usize,
    /// The places that each new position sees.
    pub(crate) seen: Places,
    /// Number of positions of each row before.
    pub(crate) offsets: Offsets,
    /// `true` if no row has a position before.
    pub(crate) is_beginning: bool,
}

/// Key-value cache of a stack: keys and values of the memory, if there is cross-attention, and of all positions so far.
#[derive(Clone, Debug)]
pub struct DecoderCache {
    pub(crate) past: Pools,
    pub(crate) memory: Option<MemoryPools>,
}

/// Keys and values of the memory. The lists are those of its sequences.
#[derive(Clone, Debug)]
pub(crate) struct MemoryPools {
    pub(crate) pools: Pools,
    /// Number of lists of a sequence: one, or one for each query where the mask has it.
    n_lists: usize,
}

impl MemoryPools {
    /// Without the pools of any layer; `mask` is that of `n_sequences` sequences of `kv_length` positions.
    pub(crate) fn new(n_layers: usize, n_sequences: usize, kv_length: usize, mask: Mask) -> Self {
        let (n_lists, blocked) = match mask {
            Mask::None => (1, None),
            Mask::Keys(keys) => (1, Some(keys.into_data())),
            Mask::Full(full) => (full.dims()[1], Some(full.into_data())),
        };
        let blocked: Option<Vec<bool>> = blocked.map(|blocked| blocked.iter::<bool>().collect());
        let is_seen =
            |list: usize, position: usize| blocked.as_ref().is_none_or(|blocked| !blocked[list * kv_length + position]);
        let seen = |list: usize| {
            let first = list / n_lists * kv_length;
            (0..kv_length)
                .filter(move |&position| is_seen(list, position))
                .map(move |position| (first + position) as u32)
                .collect::<Vec<_>>()
        };
        let lists = (0..n_sequences * n_lists).map(seen).collect();
        Self { pools: Pools { lists, n_used: n_sequences * kv_length, ..Pools::empty(n_layers) }, n_lists }
    }

    fn n_sequences(&self) -> usize {
        self.pools.lists.n_lists() / self.n_lists.max(1)
    }

    /// The places that each of `n_new` positions of `n_rows` rows sees. As many rows look at each sequence, and they are adjacent.
    pub(crate) fn seen(&self, n_rows: usize, n_new: usize) -> Places {
        let n_sequences = self.n_sequences();
        assert!(
            n_rows.is_multiple_of(n_sequences),
            "decoder cache: {n_rows} rows cannot share {n_sequences} sequences of the memory evenly"
        );
        let n_queries = n_rows / n_sequences.max(1) * n_new;
        assert!(
            self.n_lists == 1 || self.n_lists == n_queries,
            "decoder cache: the mask of the memory has {} queries, found {n_queries} for each sequence",
            self.n_lists
        );
        let list = |query: usize| query / n_queries * self.n_lists + query % n_queries % self.n_lists;
        self.pools.lists.select(&(0..n_sequences * n_queries).map(list).collect::<Vec<_>>())
    }
}

impl DecoderCache {
    /// Number of positions so far, of the longest row.
    #[must_use]
    pub fn seq_length(&self) -> usize {
        self.past.lists.longest()
    }

    /// Number of positions of each row so far.
    #[must_use]
    pub fn offsets(&self) -> Offsets {
        self.past.lists.lists().map(<[u32]>::len).collect::<Vec<_>>().into()
    }

    /// Continues with these rows of the positions so far, in this order; one may come several times, or never. The memory
    /// stays.
    ///
    /// # Shapes
    /// - rows: `[n]`, each less than the batch size so far
    pub fn select(&mut self, rows: Tensor<1, Int>) {
        // Before the first position all rows are alike.
        if self.past.lists.n_lists() > 0 {
            self.past.select(&numbers(rows));
        }
    }

    /// Continues with these sequences of the memory, in this order; one may come several times, or never. Rows of positions
    /// stay: [`Self::select`] those that look at them. Without cross-attention there is no memory, and nothing changes.
    ///
    /// # Shapes
    /// - sequences: `[n]`, each less than the number of sequences so far
    pub fn select_memory(&mut self, sequences: &Tensor<1, Int>) {
        if let Some(MemoryPools { pools, n_lists }) = &mut self.memory {
            let lists = |sequence: usize| sequence * *n_lists..(sequence + 1) * *n_lists;
            pools.select(&numbers(sequences.clone()).into_iter().flat_map(lists).collect::<Vec<_>>());
        }
    }

    /// Adds the rows and the sequences of `other`, a cache by the same stack, behind its own. Its rows may have other
    /// numbers of positions.
    ///
    /// # Panics
    /// If one of them has a memory and the other has not, or masks that depend on the query.
    pub fn join(&mut self, other: Self) {
        self.past.join(other.past);
        match (&mut self.memory, other.memory) {
            (None, None) => {}
            (Some(memory), Some(other)) if memory.n_lists == other.n_lists => memory.pools.join(other.pools),
            _ => panic!("decoder cache: caches with different kinds of memory do not go together"),
        }
    }

    /// Appends `n_new` positions to each of `n_rows` rows.
    pub(crate) fn extend(&mut self, n_rows: usize, n_new: usize, is_causal: bool) -> Step {
        let found = self.past.lists.n_lists();
        if found > 0 {
            let [n_heads, d_head] = self
                .past
                .layers
                .iter()
                .flatten()
                .next()
                .map_or([0, 0], |pool| [pool.key.dims()[1], pool.key.dims()[2]]);
            let shapes = [[found, self.seq_length(), n_heads, d_head], [n_rows, n_new, n_heads, d_head]];
            assert_same_axis("decoder cache", "batch_size", ("cache", &shapes[0], 0), ("x", &shapes[1], 0));
        }
        self.past.extend(n_rows, n_new, is_causal)
    }
}

fn numbers(rows: Tensor<1, Int>) -> Vec<usize> {
    rows.into_data().iter::<i64>().map(|row| row as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_position_sees_a_beginning_of_its_row_and_none_is_copied() {
        for is_causal in [true, false] {
            let mut pools = Pools::empty(1);
            pools.extend(2, 3, is_causal);
            pools.select(&[1, 0, 1]);
            let step = pools.extend(3, 4, is_causal);
            assert_eq!((step.first, step.seen.n_lists(), step.is_beginning), (6, 12, false));
            for (row, past) in [[3, 4, 5], [0, 1, 2], [3, 4, 5]].into_iter().enumerate() {
                let first = step.seen.list(4 * row);
                for position in 0..4 {
                    let n_new = if is_causal { position + 1 } else { 4 };
                    let new = (0..n_new).map(|new| (6 + 4 * row + new) as u32);
                    let seen = step.seen.list(4 * row + position);
                    assert_eq!(seen, past.into_iter().chain(new).collect::<Vec<u32>>(), "{row} {position}");
                    assert_eq!(seen.as_ptr(), first.as_ptr(), "{row} {position}");
                }
            }
        }
    }
}
