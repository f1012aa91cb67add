//! Counts of n-grams.

use std::collections::HashMap;
use std::hash::Hash;

/// Counts of the n-grams of one order.
pub(super) type NgramCounts<'a, T> = HashMap<&'a [T], u64>;

/// Counts the n-grams of `order` tokens.
pub(super) fn count<T: Eq + Hash>(tokens: &[T], order: usize) -> NgramCounts<'_, T> {
    let mut counts = HashMap::new();
    for ngram in tokens.windows(order) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

/// Number of n-grams that both sides have, each counted at the smaller of its two counts.
pub(super) fn matches<T: Eq + Hash>(hypothesis: &NgramCounts<'_, T>, reference: &NgramCounts<'_, T>) -> u64 {
    let in_both = |(ngram, &count): (&&[T], &u64)| reference.get(*ngram).map_or(0, |&most| count.min(most));
    hypothesis.iter().map(in_both).sum()
}
