//! Batches of an epoch, dealt out to several processes.

use std::sync::Arc;

use super::loader::Windows;
use super::{Batch, BatchConfig, Batches, Collator, Position};
use crate::DataError;
use crate::datasets::Dataset;

/// A batch that one of several processes has.
#[derive(Clone, Debug, PartialEq)]
pub struct Dealt<B> {
    /// Rank of the process that has it.
    pub owner: usize,
    /// Number of its samples.
    pub n_samples: usize,
    /// The batch, on that process.
    pub batch: Option<B>,
}

impl<B: Batch> Dealt<B> {
    /// A batch of a process that is alone.
    #[must_use]
    pub fn alone(batch: B) -> Self {
        Self { owner: 0, n_samples: batch.numbers().len(), batch: Some(batch) }
    }
}

impl<B: Batch> Batches<Dealt<B>> {
    /// The batches of [`epoch`](Batches::epoch), of which the process `rank` of `size` has every `size`-th; of the others it knows
    /// the owner and the number of samples, for which it reads [lengths](Dataset::length) and [keys](Dataset::keys) alone.
    ///
    /// # Errors
    /// As [`Batches::endless`].
    ///
    /// # Panics
    /// As [`Batches::endless`].
    pub fn dealt<C: Collator<Batch = B>>(
        samples: Arc<impl Dataset<Sample = C::Sample> + 'static>,
        collator: &C,
        config: &BatchConfig,
        seed: u64,
        (rank, size): (usize, usize),
    ) -> Result<Self, DataError> {
        let end = samples.per_epoch();
        let windows = Windows::new(samples, collator, config, seed, end);
        Self::start(&windows, Position::default(), move |windows, window| {
            if size == 1 {
                return Ok(windows.batches(window)?.into_iter().map(Dealt::alone).collect());
            }
            let batches = windows.numbers_of_batches(window)?;
            // Not the same process first in each window.
            let owners = (0..size).cycle().skip((window % size as u64) as usize);
            let deal = |(numbers, owner): (Vec<u64>, usize)| {
                let batch = (owner == rank).then(|| windows.collate(&numbers)).transpose()?;
                Ok(Dealt { owner, n_samples: numbers.len(), batch })
            };
            batches.into_iter().zip(owners).map(deal).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batches::{BatchSize, Padding, WindowBatch, WindowCollator};
    use crate::datasets::Window;

    struct Lengths;

    impl Dataset for Lengths {
        type Sample = Window;

        fn per_epoch(&self) -> u64 {
            301
        }

        fn sample(&self, number: u64) -> Result<Window, DataError> {
            Ok(Window { ids: vec![number as u32; 2 + (number * 13 % 29) as usize] })
        }
    }

    #[test]
    fn the_batches_of_all_ranks_are_those_of_one_process() {
        let collator = WindowCollator { padding: Padding { pad_id: 0, multiple_of: 4 } };
        for size in [BatchSize::Sequences(5), BatchSize::Tokens(90)] {
            let config = BatchConfig { size, window: 64, workers: 2 };
            let alone: Vec<_> =
                Batches::epoch(Arc::new(Lengths), &collator, &config, 1).unwrap().map(Result::unwrap).collect();
            for n_ranks in [1, 2, 3, 4] {
                let ranks: Vec<Vec<Dealt<WindowBatch>>> = (0..n_ranks)
                    .map(|rank| Batches::dealt(Arc::new(Lengths), &collator, &config, 1, (rank, n_ranks)).unwrap())
                    .map(|batches| batches.map(Result::unwrap).collect())
                    .collect();
                let mut counts = vec![0; n_ranks];
                for (at, expected) in alone.iter().enumerate() {
                    let owner = ranks[0][at].owner;
                    counts[owner] += 1;
                    for (rank, dealt) in ranks.iter().enumerate() {
                        let batch = (rank == owner).then(|| expected.clone());
                        assert_eq!(dealt[at], Dealt { owner, n_samples: expected.numbers.len(), batch });
                    }
                }
                assert!(ranks.iter().all(|dealt| dealt.len() == alone.len()));
                assert!(counts.iter().all(|&n| n * n_ranks * 10 > alone.len() * 9), "{counts:?}");
            }
        }
    }
}
