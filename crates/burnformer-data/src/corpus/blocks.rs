//! The blocks of shards that were read first, or last.

use std::sync::{Arc, Mutex, PoisonError};

/// A block of a shard, whose checksum has been verified.
pub(super) type Block = Arc<Vec<u64>>;

/// Number of blocks kept: 16 MiB.
const SLOTS: usize = 256;

/// Keeps some blocks of all shards of a corpus, each in the one slot that its place gives it.
#[derive(Debug)]
pub(super) struct Blocks {
    slots: Vec<Mutex<Option<(Place, Block)>>>,
}

/// The number of a shard, and of a block in it.
type Place = (usize, usize);

impl Blocks {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Mutex::new(None)).collect() }
    }

    /// The block at `place`, if it is here.
    pub(super) fn get(&self, place: Place) -> Option<Block> {
        let slot = self.slot(place).lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().filter(|(at, _)| *at == place).map(|(_, block)| Arc::clone(block))
    }

    /// Keeps a block.
    pub(super) fn put(&self, place: Place, block: &Block) {
        *self.slot(place).lock().unwrap_or_else(PoisonError::into_inner) = Some((place, Arc::clone(block)));
    }

    /// Neighbours never share a slot; an odd step keeps the first blocks of shards apart.
    fn slot(&self, place: Place) -> &Mutex<Option<(Place, Block)>> {
        &self.slots[place.0.wrapping_mul(97).wrapping_add(place.1) % SLOTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_there_until_another_one_takes_its_slot() {
        let blocks = Blocks::new();
        let places = [(1, 2), (2, 2), (1, 3), (1, 2 + SLOTS)];
        for (n, place) in places.into_iter().enumerate() {
            assert!(blocks.get(place).is_none());
            blocks.put(place, &Arc::new(vec![n as u64]));
        }
        let found = places.map(|place| blocks.get(place).map(|block| block[0]));
        assert_eq!(found, [None, Some(1), Some(2), Some(3)]);
    }
}
