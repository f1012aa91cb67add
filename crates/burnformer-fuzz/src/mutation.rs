//! Mutations without guidance, the same in every run.

use burnformer_core::random::{Key, Purpose, Stream};

/// Values that readers of numbers are most often wrong about.
const EDGES: [&[u8]; 8] =
    [&[0], &[0xff], &[0x7f, 0xff], &[0xff; 4], &[0xff; 8], b"-1", b"18446744073709551615", b"1e999"];

/// `n` inputs, each made of one or two `seeds` by a few changes: of bits, bytes, lengths, order and numbers.
pub fn mutations(seeds: &[Vec<u8>], n: u64) -> impl Iterator<Item = Vec<u8>> + '_ {
    let key = Key::new(1, Purpose::Order, "fuzz");
    (0..n).map(move |number| {
        let mut random = Draws(Stream::new(key, number));
        let mut bytes = random.choose(seeds).clone();
        for _ in 0..=random.below(4) {
            change(&mut bytes, seeds, &mut random);
        }
        bytes
    })
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Draws) {
    let at = random.below(bytes.len() + 1);
    let end = (at + 1 + random.below(16)).min(bytes.len());
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at.min(end)..end)),
        4 => {
            let part = bytes[at.min(end)..end].to_vec();
            let place = random.below(bytes.len() + 1);
            bytes.splice(place..place, part);
        }
        5 => drop(bytes.splice(at.min(end)..end, random.choose(&EDGES).iter().copied())),
        6 => {
            let other = random.choose(seeds);
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend(&other[from..]);
        }
        _ => bytes.insert(at, random.below(256) as u8),
    }
}

struct Draws(Stream);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0.below(n.max(1) as u64) as usize
    }

    fn choose<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_differ_from_their_seeds_and_not_between_runs() {
        let seeds = [b"a,b\n1,2\n".to_vec(), b"{}".to_vec()];
        let of = || mutations(&seeds, 500).collect::<Vec<_>>();
        assert_eq!(of(), of());
        assert!(of().iter().filter(|bytes| !seeds.contains(bytes)).count() > 400);
    }
}
