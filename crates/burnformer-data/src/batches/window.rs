//! One window of samples, cut into batches.

use burnformer_core::random::{Key, Permutation};

use super::{BatchConfig, BatchSize, Collator};
use crate::datasets::Sample;

/// Sorts the samples by length, cuts them into batches, and shuffles these in an order that depends only on `window`.
pub(super) fn cut<C: Collator>(
    window: u64,
    mut samples: Vec<(u64, C::Sample)>,
    collator: &C,
    config: &BatchConfig,
    key: Key,
) -> Vec<C::Batch> {
    // Samples of one length stay in the order of their numbers: sorting is stable.
    samples.sort_by_key(|(_, sample)| sample.length());
    let mut batches = Vec::new();
    while let Some((_, longest)) = samples.last() {
        let n_rows = n_rows(longest.length(), samples.len(), collator, config);
        let (numbers, samples) = samples.split_off(samples.len() - n_rows).into_iter().unzip();
        batches.push(Some(collator.collate(numbers, samples)));
    }
    let order = Permutation::new(key, window, batches.len() as u64);
    (0..batches.len()).filter_map(|position| batches[order.at(position as u64) as usize].take()).collect()
}

/// Counts the batches into which [`cut`] cuts samples of these lengths.
pub(super) fn count(mut lengths: Vec<usize>, collator: &impl Collator, config: &BatchConfig) -> u64 {
    lengths.sort_unstable();
    let mut n_batches = 0;
    while let Some(&longest) = lengths.last() {
        lengths.truncate(lengths.len() - n_rows(longest, lengths.len(), collator, config));
        n_batches += 1;
    }
    n_batches
}

/// Number of samples in the batch that has the longest of `n_samples`, at least one.
fn n_rows(longest: usize, n_samples: usize, collator: &impl Collator, config: &BatchConfig) -> usize {
    let most = match config.size {
        BatchSize::Sequences(n) => n,
        BatchSize::Tokens(n) => n / collator.row_length(longest).max(1),
    };
    most.clamp(1, n_samples)
}
