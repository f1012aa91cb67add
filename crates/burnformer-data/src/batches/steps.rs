//! The part of each training step that a process has.

use std::ops::Range;
use std::sync::Arc;

use burnformer_core::collective::share_of;

use super::loader::Windows;
use super::{Batch, BatchConfig, Batches, Collator, Position};
use crate::DataError;
use crate::datasets::Dataset;

/// How steps are cut into micro-batches, and which of these a process has: its
/// [share](burnformer_core::collective::share_of) of them.
#[derive(Clone, Copy, Debug)]
pub struct StepConfig<F> {
    /// Rank of the process.
    pub rank: usize,
    /// Number of processes that share each step.
    pub size: usize,
    /// Number of samples of a micro-batch, at least one, by the number of samples of its step.
    pub micro_batch: F,
}

/// The micro-batches of a step that a process has.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<B> {
    /// Number of micro-batches of the step, on all processes.
    pub n_micro_batches: usize,
    /// Number of the first of `micro_batches` in the step.
    pub first: usize,
    /// The micro-batches of this process: none if there are fewer than processes.
    pub micro_batches: Vec<B>,
}

impl<B: Batch> Batches<Step<B>> {
    /// The batches of [`endless`](Batches::endless) as steps. Their content and positions do not depend on the number of processes;
    /// each of several processes reads the samples of its own micro-batches, and of the others the
    /// [lengths](Dataset::length) and [keys](Dataset::keys) alone.
    ///
    /// # Errors
    /// As [`Batches::endless`].
    ///
    /// # Panics
    /// As [`Batches::endless`].
    pub fn steps<C: Collator<Batch = B>>(
        samples: Arc<impl Dataset<Sample = C::Sample> + 'static>,
        collator: &C,
        batches: &BatchConfig,
        seed: u64,
        start: Position,
        config: StepConfig<impl Fn(usize) -> usize + Clone + Send + 'static>,
    ) -> Result<Self, DataError> {
        let windows = Windows::new(samples, collator, batches, seed, u64::MAX);
        Self::start(&windows, start, move |windows, window| {
            if config.size > 1 {
                let batches = windows.numbers_of_batches(window)?;
                return batches
                    .iter()
                    .map(|numbers| config.step(numbers, |numbers| windows.collate(numbers)))
                    .collect();
            }
            let mut read = windows.read(window)?;
            let batches = std::mem::take(&mut read.batches);
            batches.iter().map(|places| config.step(places, |places| Ok(read.collate(windows, places)))).collect()
        })
    }
}

impl<F: Fn(usize) -> usize> StepConfig<F> {
    /// The step of these samples, whose micro-batches `collate` makes.
    fn step<I, B>(
        &self,
        samples: &[I],
        collate: impl FnMut(&[I]) -> Result<B, DataError>,
    ) -> Result<Step<B>, DataError> {
        let parts: Vec<&[I]> = samples.chunks((self.micro_batch)(samples.len())).collect();
        let own: Range<usize> = share_of(self.rank, self.size, parts.len());
        let micro_batches = parts[own.clone()].iter().copied().map(collate).collect::<Result<_, _>>()?;
        Ok(Step { n_micro_batches: parts.len(), first: own.start, micro_batches })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batches::{BatchSize, Padding, PairedBatch, PairedCollator};
    use crate::datasets::PairedSample;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    const COLLATOR: PairedCollator = PairedCollator { padding: Padding { pad_id: 0, multiple_of: 4 } };

    /// Pairs of texts of lengths that look random and keys that some share. Counts the samples that are read.
    #[derive(Default)]
    struct Counted {
        n_read: AtomicU64,
    }

    impl Dataset for Counted {
        type Sample = PairedSample;

        fn per_epoch(&self) -> u64 {
            150
        }

        fn sample(&self, number: u64) -> Result<PairedSample, DataError> {
            self.n_read.fetch_add(1, Relaxed);
            let (text, keys) = (vec![number as u32 + 1; self.length(number)?], self.keys(number)?);
            Ok(PairedSample {
                text,
                pair: vec![1],
                negatives: vec![vec![2; 3]; (number % 3) as usize],
                score: None,
                keys,
            })
        }

        fn length(&self, number: u64) -> Result<usize, DataError> {
            Ok(3 + (number * 7 % 31) as usize)
        }

        fn keys(&self, number: u64) -> Result<Vec<u64>, DataError> {
            Ok(vec![number % 40])
        }
    }

    fn config(size: BatchSize) -> BatchConfig {
        BatchConfig { size, window: 64, workers: 2 }
    }

    /// The steps of two windows and a half from `start` on, and the number of samples read for them.
    fn steps(
        size: BatchSize,
        rank: usize,
        n_ranks: usize,
        start: Position,
        micro_batch: impl Fn(usize) -> usize + Clone + Send + 'static,
    ) -> (Vec<(Position, Step<PairedBatch>)>, u64) {
        let samples = Arc::new(Counted::default());
        let own = StepConfig { rank, size: n_ranks, micro_batch };
        let mut steps = Batches::steps(Arc::clone(&samples), &COLLATOR, &config(size), 1, start, own).unwrap();
        let mut found = Vec::new();
        while steps.position() < (Position { window: 2, batch: 2 }) {
            let step = steps.next().unwrap().unwrap();
            found.push((steps.position(), step));
        }
        drop(steps);
        (found, samples.n_read.load(Relaxed))
    }

    #[test]
    fn the_micro_batches_of_all_ranks_are_those_of_one_process() {
        let by_parts = |n: usize| n.div_ceil(3).max(1);
        for (size, by_tokens) in [(BatchSize::Sequences(10), false), (BatchSize::Tokens(300), true)] {
            let micro_batch = move |n: usize| if by_tokens { by_parts(n) } else { 4 };
            for start in [Position::default(), Position { window: 1, batch: 3 }] {
                let whole = Batches::endless(Arc::new(Counted::default()), &COLLATOR, &config(size), 1, start).unwrap();
                let (alone, _) = steps(size, 0, 1, start, micro_batch);
                assert!(alone.len() > 4);
                for ((_, step), whole) in alone.iter().zip(whole) {
                    let whole = whole.unwrap();
                    let n_rows = micro_batch(whole.numbers.len());
                    assert_eq!(step.micro_batches, whole.split(n_rows));
                    assert_eq!((step.n_micro_batches, step.first), (step.micro_batches.len(), 0));
                }
                for n_ranks in [2, 3, 4, 7] {
                    let ranks: Vec<_> =
                        (0..n_ranks).map(|rank| steps(size, rank, n_ranks, start, micro_batch).0).collect();
                    for (at, (position, expected)) in alone.iter().enumerate() {
                        let mut found = Vec::new();
                        for rank in &ranks {
                            let (position_here, step) = &rank[at];
                            assert_eq!(position_here, position);
                            assert_eq!((step.n_micro_batches, step.first), (expected.n_micro_batches, found.len()));
                            found.extend(step.micro_batches.clone());
                        }
                        assert_eq!(found, expected.micro_batches, "step {at} on {n_ranks} ranks");
                    }
                }
            }
        }
    }

    #[test]
    fn a_rank_reads_the_samples_of_its_own_micro_batches() {
        let n_read = |rank, n_ranks| steps(BatchSize::Sequences(8), rank, n_ranks, Position::default(), |_| 2).1;
        let alone = n_read(0, 1);
        for n_ranks in [2, 4] {
            let ranks: Vec<u64> = (0..n_ranks).map(|rank| n_read(rank, n_ranks)).collect();
            // How far threads have come ahead differs.
            assert!(ranks.iter().all(|&n| n < alone * 3 / 4), "{ranks:?} of {alone}");
        }
    }
}
