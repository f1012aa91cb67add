//! Keys of random numbers: seed, purpose and place.

/// Purpose of random numbers. With the same seed and place, two purposes have different keys.
// The numbers are part of every key: a new one would change what a seed means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Initial weights; place = path of the parameter, counter = element.
    Weights = 1,
    /// The order of samples; counter = epoch.
    Order = 2,
    /// Which texts are paired; counter = sample number.
    Pair = 3,
    /// Which tokens are masked, and how; counter = sample number.
    Mask = 4,
    /// Dropout; place = site in the model, counter = (sample number, row, column).
    Dropout = 5,
    /// The next token in generation; parts = source and sample, counter = position.
    Sampling = 6,
    /// The values that a search tries; place = key of the setting, counter = trial.
    Search = 7,
}

/// The key of a family of draws: a mix of seed, purpose and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// The key of `place` (a parameter's path, a data set's name, or empty) under `seed`.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, place: &str) -> Self {
        // The length keeps two places apart of which one is the other followed by zero bytes.
        let mut key = mix(mix(seed) ^ (purpose as u64)) ^ place.len() as u64;
        for chunk in place.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            key = mix(key) ^ u64::from_le_bytes(word);
        }
        Self(mix(key))
    }

    /// The key of part `index` of the place this key belongs to.
    #[must_use]
    pub fn part(self, index: u64) -> Self {
        Self(mix(mix(self.0) ^ index.wrapping_add(1)))
    }

    /// The two words that [`philox4x32_10`](super::philox4x32_10) takes.
    #[inline]
    #[must_use]
    pub fn words(self) -> [u32; 2] {
        [self.0 as u32, (self.0 >> 32) as u32]
    }
}

/// A bijection of 64-bit words in which every input bit changes every output bit with probability near one half.
///
/// Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014), after its Weyl increment.
fn mix(word: u64) -> u64 {
    let z = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The first outputs of SplitMix64 from state 1234567, as its reference implementation prints them.
    #[test]
    fn mixing_is_splitmix64() {
        let golden = 0x9E37_79B9_7F4A_7C15_u64;
        let outputs: Vec<u64> = (0..3).map(|i| mix(1_234_567_u64.wrapping_add(golden.wrapping_mul(i)))).collect();
        assert_eq!(outputs, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    const PURPOSES: [Purpose; 7] = [
        Purpose::Weights,
        Purpose::Order,
        Purpose::Pair,
        Purpose::Mask,
        Purpose::Dropout,
        Purpose::Sampling,
        Purpose::Search,
    ];

    #[test]
    fn seed_purpose_place_and_part_all_matter() {
        let mut keys = HashSet::new();
        for seed in 0..4 {
            for purpose in PURPOSES {
                for place in ["", "\0", "a", "b", "ab", "layers.0.weight", "layers.0.weighs", "layers.1.weight"] {
                    let key = Key::new(seed, purpose, place);
                    keys.insert(key);
                    keys.extend((0..4).map(|index| key.part(index)));
                }
            }
        }
        assert_eq!(keys.len(), 4 * 7 * 8 * 5);
    }
}
