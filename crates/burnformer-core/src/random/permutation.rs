//! Random permutations of any length, computed position by position without storing them.

use super::{Key, philox4x32_10};

/// Rounds of the Feistel network; Luby and Rackoff need four for a permutation that chosen queries cannot tell from a
/// random one, and the halves here can be a few bits wide.
const ROUNDS: u32 = 8;

/// Random permutation of `0..len`. Each position is computed alone, in constant time and memory.
///
/// ```
/// use burnformer_core::random::{Key, Permutation, Purpose};
///
/// let order = Permutation::new(Key::new(42, Purpose::Order, ""), 0, 5);
/// let mut visited: Vec<u64> = (0..5).map(|position| order.at(position)).collect();
/// visited.sort_unstable();
/// assert_eq!(visited, [0, 1, 2, 3, 4]);
/// ```
///
/// Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains" (an alternating Feistel network on the next
/// power of two, walked until it falls into the range), with Philox as the round function.
#[derive(Clone, Debug)]
pub struct Permutation {
    key: [u32; 2],
    counter: u64,
    len: u64,
    low_bits: u32,
    high_bits: u32,
}

impl Permutation {
    /// Permutation number `counter`, such as the epoch, of `len` elements under `key`.
    #[must_use]
    pub fn new(key: Key, counter: u64, len: u64) -> Self {
        let bits = (u64::BITS - len.saturating_sub(1).leading_zeros()).max(2);
        Self { key: key.words(), counter, len, low_bits: bits / 2, high_bits: bits - bits / 2 }
    }

    /// The element at `position`.
    ///
    /// # Panics
    /// If `position` is not below the length.
    #[must_use]
    pub fn at(&self, position: u64) -> u64 {
        assert!(position < self.len, "position {position} of a permutation of {}", self.len);
        let mut index = self.encrypt(position);
        // The domain is less than twice the range, so two steps suffice on average.
        while index >= self.len {
            index = self.encrypt(index);
        }
        index
    }

    fn encrypt(&self, index: u64) -> u64 {
        let mask = |bits: u32| u64::MAX >> (u64::BITS - bits);
        let mut low = index & mask(self.low_bits);
        let mut high = index >> self.low_bits;
        for round in 0..ROUNDS {
            if round % 2 == 0 {
                high ^= self.scramble(low, round) & mask(self.high_bits);
            } else {
                low ^= self.scramble(high, round) & mask(self.low_bits);
            }
        }
        high << self.low_bits | low
    }

    /// The round function. Halves have at most 32 bits.
    fn scramble(&self, half: u64, round: u32) -> u64 {
        let counter = [half as u32, round, self.counter as u32, (self.counter >> 32) as u32];
        u64::from(philox4x32_10(counter, self.key)[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn order(counter: u64, len: u64) -> Vec<u64> {
        let permutation = Permutation::new(Key::new(9, Purpose::Order, ""), counter, len);
        (0..len).map(|position| permutation.at(position)).collect()
    }

    proptest! {
        #[test]
        fn every_index_appears_once(counter: u64, len in 1_u64..3000) {
            let mut visited = order(counter, len);
            visited.sort_unstable();
            prop_assert_eq!(visited, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn all_orders_of_four_things_are_equally_likely() {
        let mut counts = HashMap::new();
        let n = 24_000;
        for counter in 0..n {
            *counts.entry(order(counter, 4)).or_insert(0_u64) += 1;
        }
        assert_eq!(counts.len(), 24);
        let expected = n as f64 / 24.0;
        let chi_square: f64 = counts.values().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
        assert!(chi_square < 49.7, "chi square {chi_square} with 23 degrees of freedom (0.999 quantile 49.73)");
    }

    #[test]
    fn the_largest_length_works() {
        let permutation = Permutation::new(Key::new(0, Purpose::Order, ""), 0, u64::MAX);
        assert_ne!(permutation.at(0), permutation.at(u64::MAX - 1));
    }
}
