//! One window of samples, cut into batches.

use burnformer_core::random::{Key, Permutation};

use super::{Batch, BatchConfig, BatchSize, Padding};
use crate::datasets::Sample;

/// Sorts the samples by length, cuts them into batches, and puts these in an order that depends on `window` alone.
pub(super) fn cut<B: Batch>(
    window: u64,
    mut samples: Vec<(u64, B::Sample)>,
    config: &BatchConfig,
    padding: &Padding,
    key: Key,
) -> Vec<B> {
    // Samples of one length stay in the order of their numbers: sorting is stable.
    samples.sort_by_key(|(_, sample)| sample.length());
    let mut batches = Vec::new();
    while !samples.is_empty() {
        let n_rows = rows_from_the_end(&samples, config);
        let (numbers, samples) = samples.split_off(samples.len() - n_rows).into_iter().unzip();
        batches.push(Some(B::collate(numbers, samples, padding)));
    }
    let order = Permutation::new(key, window, batches.len() as u64);
    (0..batches.len()).filter_map(|position| batches[order.at(position as u64) as usize].take()).collect()
}

/// How many of the longest samples make a batch, at least one.
fn rows_from_the_end<S: Sample>(samples: &[(u64, S)], config: &BatchConfig) -> usize {
    let most = match config.size {
        BatchSize::Sequences(n) => n,
        BatchSize::Tokens(n) => {
            let longest = samples.last().map_or(0, |(_, sample)| sample.length());
            n / longest.next_multiple_of(config.pad_to_multiple_of).max(1)
        }
    };
    most.clamp(1, samples.len())
}
