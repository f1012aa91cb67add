//! Histogram of lengths.

use serde::Serialize;

/// Histogram of lengths by powers of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Count of the lengths of `n` bits: 0, 1, 2–3, 4–7, …
    counts: Vec<u64>,
    sum: u64,
    longest: u64,
}

/// A range of lengths with its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Shortest length of the range.
    pub from: u64,
    /// Longest length of the range.
    pub to: u64,
    /// Number of lengths in the range.
    pub count: u64,
}

impl Histogram {
    pub(super) fn add(&mut self, length: u64) {
        let bits = (u64::BITS - length.leading_zeros()) as usize;
        self.counts.resize(self.counts.len().max(bits + 1), 0);
        self.counts[bits] += 1;
        self.sum += length;
        self.longest = self.longest.max(length);
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
        self.longest = self.longest.max(other.longest);
    }

    /// Number of lengths.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Sum of the lengths.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Mean length; 0 if there are none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        super::share(self.sum, self.count())
    }

    /// Longest length; 0 if there are none.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// The non-empty ranges, in ascending order.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let range = |bits: usize| if bits == 0 { (0, 0) } else { (1 << (bits - 1), u64::MAX >> (64 - bits)) };
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(move |(bits, &count)| {
            let (from, to) = range(bits);
            Bucket { from, to, count }
        })
    }
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form {
            mean: f64,
            longest: u64,
            buckets: Vec<Bucket>,
        }
        Form { mean: self.mean(), longest: self.longest, buckets: self.buckets().collect() }.serialize(serializer)
    }
}
