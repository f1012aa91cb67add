//! The order of samples in each epoch.

use burnformer_core::random::{Key, Permutation, Purpose};

/// A new random order of `len` items in every epoch.
#[derive(Clone, Debug)]
pub(super) struct Order {
    seed: u64,
    key: Key,
    len: u64,
}

impl Order {
    pub(super) fn new(seed: u64, len: u64) -> Self {
        Self { seed, key: Key::new(seed, Purpose::Order, "samples"), len }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Index of the item of sample `number`.
    pub(super) fn at(&self, number: u64) -> u64 {
        Permutation::new(self.key, number / self.len, self.len).at(number % self.len)
    }
}
