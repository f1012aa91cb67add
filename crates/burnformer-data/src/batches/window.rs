//! One window of samples, cut into batches.

use std::collections::{HashMap, HashSet};

use burnformer_core::random::{Key, Permutation};

use super::{BatchConfig, BatchSize, Collator};

/// How many batches are looked through for one without a sample's keys.
const TRIES: usize = 64;

/// Length and keys of a sample.
pub(super) type Shape<K> = (usize, K);

/// Sorts samples of these shapes by length, cuts them into batches, and shuffles these in an order that depends only on `window`.
/// No two samples of a batch share a key; if that needs more batches than there would be, all of them are smaller.
///
/// A batch is the places of its samples in `samples`.
pub(super) fn cut<K: AsRef<[u64]>>(
    window: u64,
    samples: &[Shape<K>],
    collator: &impl Collator,
    config: &BatchConfig,
    key: Key,
) -> Vec<Vec<usize>> {
    let mut batches = by_length(samples, collator, config);
    let order = Permutation::new(key, window, batches.len() as u64);
    let places = 0..batches.len() as u64;
    places.map(|place| std::mem::take(&mut batches[order.at(place) as usize])).collect()
}

/// Counts the batches into which [`cut`] cuts samples of these shapes.
pub(super) fn count<K: AsRef<[u64]>>(samples: &[Shape<K>], collator: &impl Collator, config: &BatchConfig) -> u64 {
    by_length(samples, collator, config).len() as u64
}

/// The batches of [`cut`] from those of the longest samples to those of the shortest.
fn by_length<K: AsRef<[u64]>>(samples: &[Shape<K>], collator: &impl Collator, config: &BatchConfig) -> Vec<Vec<usize>> {
    let mut sorted: Vec<usize> = (0..samples.len()).collect();
    // Samples of one length stay in the order of their numbers: sorting is stable.
    sorted.sort_by_key(|&place| samples[place].0);
    let mut places = Places::new(samples.iter().map(|(_, keys)| keys.as_ref()), collator, config);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for place in sorted.into_iter().rev() {
        let (length, keys) = &samples[place];
        let batch = places.next(*length, keys.as_ref());
        if batch == batches.len() {
            batches.push(Vec::new());
        }
        batches[batch].push(place);
    }
    batches.iter_mut().for_each(|batch| batch.reverse());
    batches
}

/// The batches of samples that come from the longest to the shortest.
struct Places<'a, C> {
    collator: &'a C,
    config: &'a BatchConfig,
    /// Largest number of samples of a batch, so that all batches are about as large if a key needs many.
    most: usize,
    /// Number of samples for which each batch has room.
    room: Vec<usize>,
    /// Keys of the samples of each batch.
    keys: Vec<HashSet<u64>>,
    /// For each batch, itself if it has room, else a later batch; all in front of that are full.
    with_room: Vec<usize>,
    /// For each key, the first batch behind all batches that have it.
    behind: HashMap<u64, usize>,
}

impl<'a, C: Collator> Places<'a, C> {
    /// No batch yet, for samples with these keys.
    fn new<'k>(keys: impl ExactSizeIterator<Item = &'k [u64]>, collator: &'a C, config: &'a BatchConfig) -> Self {
        let (n_samples, mut counts) = (keys.len(), HashMap::new());
        for key in keys.flatten() {
            *counts.entry(key).or_insert(0_usize) += 1;
        }
        let most = counts.values().max().map_or(n_samples, |&n_batches| n_samples.div_ceil(n_batches)).max(1);
        let (room, keys, with_room, behind) = (Vec::new(), Vec::new(), vec![0], HashMap::new());
        Self { collator, config, most, room, keys, with_room, behind }
    }

    /// The batch of the next sample: the first one with room and without its keys, of a limited number that is looked through,
    /// so that the time does not grow with the square of samples that share a key.
    fn next(&mut self, length: usize, keys: &[u64]) -> usize {
        let mut batch = self.first_with_room(0);
        let mut tries = 1;
        while batch < self.room.len() && keys.iter().any(|key| self.keys[batch].contains(key)) {
            let from = match tries < TRIES {
                true => batch + 1,
                false => keys.iter().filter_map(|key| self.behind.get(key)).max().copied().unwrap_or(0),
            };
            batch = self.first_with_room(from);
            tries += 1;
        }
        if batch == self.room.len() {
            self.room.push(self.capacity(length));
            self.keys.push(HashSet::new());
            self.with_room.push(batch + 1);
        }
        self.room[batch] -= 1;
        if self.room[batch] == 0 {
            self.with_room[batch] = batch + 1;
        }
        for &key in keys {
            self.keys[batch].insert(key);
            let behind = self.behind.entry(key).or_default();
            *behind = (*behind).max(batch + 1);
        }
        batch
    }

    /// The first batch from number `from` on that has room, or a new one.
    fn first_with_room(&mut self, from: usize) -> usize {
        let mut found = from;
        while self.with_room[found] != found {
            found = self.with_room[found];
        }
        let mut passed = from;
        while passed != found {
            passed = std::mem::replace(&mut self.with_room[passed], found);
        }
        found
    }

    /// Number of samples in a batch that has this one as its longest, at least one.
    fn capacity(&self, longest: usize) -> usize {
        let most = match self.config.size {
            BatchSize::Sequences(n) => n,
            BatchSize::Tokens(n) => n / self.collator.row_length(longest).max(1),
        };
        most.clamp(1, self.most)
    }
}
