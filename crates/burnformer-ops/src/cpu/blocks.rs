//! Which parts of the memory of [`allocator`](super::allocator) are in use. Addresses only: nothing here reads or writes
//! memory.

use std::collections::{BTreeMap, BTreeSet};

/// Free blocks, each handed out by best fit and joined with its neighbours when it comes back.
pub(super) struct Blocks {
    /// Length of each free block, by its address.
    by_address: BTreeMap<usize, usize>,
    /// Length and address of each free block.
    by_length: BTreeSet<(usize, usize)>,
    /// The part of the latest map that was never handed out, so that its bytes are zero: its address and length.
    fresh: (usize, usize),
}

impl Blocks {
    pub(super) const fn new() -> Self {
        Self { by_address: BTreeMap::new(), by_length: BTreeSet::new(), fresh: (0, 0) }
    }

    /// Adds `len` bytes of zeros. What is left of those before is free as any other block.
    pub(super) fn add(&mut self, start: *const u8, len: usize) {
        let (rest, rest_len) = std::mem::replace(&mut self.fresh, (start.addr(), len));
        self.free(rest, rest_len);
        expose(start);
    }

    /// A block, and whether its bytes are zero; `None` if there is none of that size.
    pub(super) fn take(&mut self, size: usize) -> Option<(*const u8, bool)> {
        if let Some(&(len, address)) = self.by_length.range((size, 0)..).next() {
            self.remove(address, len);
            self.free(address + size, len - size);
            return Some((at(address), false));
        }
        let (fresh, fresh_len) = self.fresh;
        // A free block that ends where the fresh part begins makes one with it.
        let before = self.by_address.range(..fresh).next_back().map(|(&address, &len)| (address, len));
        let (address, len) = before.filter(|&(address, len)| address + len == fresh).unwrap_or((fresh, 0));
        let missing = size - len;
        if missing > fresh_len {
            return None;
        }
        if len > 0 {
            self.remove(address, len);
        }
        self.fresh = (fresh + missing, fresh_len - missing);
        Some((at(address), len == 0))
    }

    /// Takes back a block that was handed out.
    pub(super) fn give_back(&mut self, start: *const u8, size: usize) {
        self.free(start.addr(), size);
    }

    /// Makes a block of `old` bytes one of `new` bytes without moving it; `false` if that is not possible.
    pub(super) fn resize(&mut self, start: *const u8, old: usize, new: usize) -> bool {
        let end = start.addr() + old;
        if new <= old {
            self.free(start.addr() + new, old - new);
            return true;
        }
        let more = new - old;
        if let Some(&len) = self.by_address.get(&end).filter(|&&len| len >= more) {
            self.remove(end, len);
            self.free(end + more, len - more);
            return true;
        }
        let (fresh, fresh_len) = self.fresh;
        let is_next = end == fresh && more <= fresh_len;
        if is_next {
            self.fresh = (fresh + more, fresh_len - more);
        }
        is_next
    }

    /// Adds a free block, joined with the free ones in front of it and behind it.
    fn free(&mut self, mut address: usize, mut len: usize) {
        if len == 0 {
            return;
        }
        if let Some((&before, &before_len)) = self.by_address.range(..address).next_back()
            && before + before_len == address
        {
            self.remove(before, before_len);
            (address, len) = (before, before_len + len);
        }
        if let Some(&behind_len) = self.by_address.get(&(address + len)) {
            self.remove(address + len, behind_len);
            len += behind_len;
        }
        self.by_address.insert(address, len);
        self.by_length.insert((len, address));
    }

    fn remove(&mut self, address: usize, len: usize) {
        self.by_address.remove(&address);
        self.by_length.remove(&(len, address));
    }
}

/// Lets [`at`] make pointers into the map that begins here.
fn expose(start: *const u8) {
    start.expose_provenance();
}

fn at(address: usize) -> *const u8 {
    std::ptr::with_exposed_provenance(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks over a map of 1000 bytes at this address.
    const MAP: usize = 0x10000;

    fn blocks() -> Blocks {
        let mut blocks = Blocks::new();
        blocks.add(at(MAP), 1000);
        blocks
    }

    fn taken(blocks: &mut Blocks, size: usize) -> Option<(usize, bool)> {
        blocks.take(size).map(|(start, is_zero)| (start.addr() - MAP, is_zero))
    }

    #[test]
    fn the_smallest_free_block_that_fits_is_taken() {
        let mut blocks = blocks();
        for (size, address) in [(300, 0), (10, 300), (200, 310), (10, 510)] {
            assert_eq!(taken(&mut blocks, size), Some((address, true)));
        }
        blocks.give_back(at(MAP), 300);
        blocks.give_back(at(MAP + 310), 200);
        assert_eq!(taken(&mut blocks, 150), Some((310, false)));
        assert_eq!(taken(&mut blocks, 150), Some((0, false)));
        assert_eq!(taken(&mut blocks, 481), None);
        assert_eq!(taken(&mut blocks, 480), Some((520, true)));
    }

    #[test]
    fn neighbours_are_joined_in_any_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut blocks = blocks();
            let starts = [400, 300, 300].map(|size| taken(&mut blocks, size).unwrap().0);
            for index in order {
                blocks.give_back(at(MAP + starts[index]), [400, 300, 300][index]);
            }
            assert_eq!(taken(&mut blocks, 1000), Some((0, false)), "{order:?}");
        }
    }

    #[test]
    fn the_last_free_block_grows_into_what_was_never_used() {
        let mut blocks = blocks();
        assert_eq!(taken(&mut blocks, 600), Some((0, true)));
        blocks.give_back(at(MAP), 600);
        assert_eq!(taken(&mut blocks, 1001), None);
        assert_eq!(taken(&mut blocks, 700), Some((0, false)));
        assert_eq!(taken(&mut blocks, 300), Some((700, true)));
    }

    #[test]
    fn a_block_grows_and_shrinks_in_its_place() {
        let mut blocks = blocks();
        assert_eq!((taken(&mut blocks, 100), taken(&mut blocks, 100)), (Some((0, true)), Some((100, true))));
        assert!(!blocks.resize(at(MAP), 100, 150));
        assert!(blocks.resize(at(MAP + 100), 100, 900));
        assert!(!blocks.resize(at(MAP + 100), 900, 901));
        assert!(blocks.resize(at(MAP + 100), 900, 300));
        assert!(blocks.resize(at(MAP + 100), 300, 400));
        assert_eq!(taken(&mut blocks, 500), Some((500, false)));
        assert_eq!(taken(&mut blocks, 1), None);
    }

    #[test]
    fn what_is_left_of_a_map_is_used_behind_the_next() {
        let mut blocks = blocks();
        blocks.add(at(MAP + 5000), 2000);
        assert_eq!(taken(&mut blocks, 1500), Some((5000, true)));
        assert_eq!(taken(&mut blocks, 1000), Some((0, false)));
    }
}
