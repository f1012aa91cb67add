//! N-grams, counted.

use std::collections::HashMap;
use std::hash::Hash;

/// How often each n-gram of one order occurs.
pub(super) type NgramCounts<'a, T> = HashMap<&'a [T], u64>;

/// Counts the runs of `order` tokens.
pub(super) fn count<T: Eq + Hash>(tokens: &[T], order: usize) -> NgramCounts<'_, T> {
    let mut counts = HashMap::new();
    for ngram in tokens.windows(order) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

/// How many n-grams both sides have, each as often as the side that has fewer of it.
pub(super) fn matches<T: Eq + Hash>(hypothesis: &NgramCounts<'_, T>, reference: &NgramCounts<'_, T>) -> u64 {
    let in_both = |(ngram, &count): (&&[T], &u64)| reference.get(*ngram).map_or(0, |&most| count.min(most));
    hypothesis.iter().map(in_both).sum()
}
