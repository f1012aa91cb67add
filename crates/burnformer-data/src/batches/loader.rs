//! Batches, built ahead on threads.

use std::sync::Arc;

use burnformer_core::config::Validate;
use burnformer_core::random::{Key, Purpose};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Batch, BatchConfig, Collator, PaddingStats, window};
use crate::DataError;
use crate::corpus::CorpusError;
use crate::datasets::{Dataset, Sample};
use crate::parallel::Ordered;

/// Position of a batch: the window of samples that it is cut from, and its index there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Index of the window; window `w` has the samples `w * size` to `(w + 1) * size`.
    pub window: u64,
    /// Index of the batch within the window.
    pub batch: usize,
}

/// The batches of a data set from a position on, endless or up to the end of an epoch.
///
/// The batches do not depend on the number of threads. A few windows per thread are built ahead and held in memory.
pub struct Batches<B> {
    windows: Ordered<Result<Vec<B>, DataError>>,
    /// The rest of the window at `next`.
    left: std::vec::IntoIter<B>,
    next: Position,
    padding: PaddingStats,
    failed: bool,
}

impl<B: Batch> Batches<B> {
    /// The batches of `samples` from `start` on, without end, built by `collator`.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    ///
    /// # Panics
    /// If the settings are invalid: a value built in code is the caller's responsibility.
    pub fn endless<C: Collator<Batch = B>>(
        samples: Arc<impl Dataset<Sample = C::Sample> + 'static>,
        collator: &C,
        config: &BatchConfig,
        seed: u64,
        start: Position,
    ) -> Result<Self, DataError> {
        Self::new(samples, collator, config, seed, start, u64::MAX)
    }

    /// The batches of the first epoch: each sample once. For evaluation.
    ///
    /// # Errors
    /// As [`Batches::endless`].
    ///
    /// # Panics
    /// As [`Batches::endless`].
    pub fn epoch<C: Collator<Batch = B>>(
        samples: Arc<impl Dataset<Sample = C::Sample> + 'static>,
        collator: &C,
        config: &BatchConfig,
        seed: u64,
    ) -> Result<Self, DataError> {
        let end = samples.per_epoch();
        Self::new(samples, collator, config, seed, Position::default(), end)
    }

    fn new<C: Collator<Batch = B>>(
        samples: Arc<impl Dataset<Sample = C::Sample> + 'static>,
        collator: &C,
        config: &BatchConfig,
        seed: u64,
        start: Position,
        end: u64,
    ) -> Result<Self, DataError> {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        let size = config.window as u64;
        let key = Key::new(seed, Purpose::Order, "batches");
        let windows = Ordered::start(config.workers, start.window..end.div_ceil(size), || {
            let (samples, collator, config) = (Arc::clone(&samples), collator.clone(), config.clone());
            move |window: u64| {
                let first = window * size;
                let numbers = first..(first + size).min(end);
                let samples = numbers.map(|number| Ok((number, samples.sample(number)?)));
                let samples = samples.collect::<Result<Vec<_>, DataError>>()?;
                Ok(window::cut(window, samples, &collator, &config, key))
            }
        });
        let windows = windows.map_err(|source| CorpusError::Thread { source })?;
        let mut batches = Self {
            windows,
            left: Vec::new().into_iter(),
            next: start,
            padding: PaddingStats::default(),
            failed: false,
        };
        batches.fill()?;
        batches.left.by_ref().take(start.batch).for_each(drop);
        Ok(batches)
    }

    /// Position of the next batch. Batches that start from here continue identically.
    #[must_use]
    pub fn position(&self) -> Position {
        self.next
    }

    /// Padding of the batches so far.
    #[must_use]
    pub fn padding_stats(&self) -> PaddingStats {
        self.padding
    }

    /// Takes the next window; empty after the last.
    fn fill(&mut self) -> Result<(), DataError> {
        if let Some(window) = self.windows.next() {
            self.left = window?.into_iter();
        }
        Ok(())
    }
}

/// Number of batches of [`Batches::epoch`], computed from the lengths and keys of the samples on all cores, without
/// building a batch.
///
/// # Errors
/// As [`Dataset::length`].
///
/// # Panics
/// As [`Batches::endless`].
pub fn batches_per_epoch<C: Collator>(
    samples: &impl Dataset<Sample = C::Sample>,
    collator: &C,
    config: &BatchConfig,
) -> Result<u64, DataError> {
    if let Err(error) = config.validate() {
        panic!("{error}");
    }
    let (size, end) = (config.window as u64, samples.per_epoch());
    let n_batches = |window: u64| {
        let numbers = window * size..((window + 1) * size).min(end);
        let shape = |number| -> Result<(usize, Vec<u64>), DataError> {
            if !C::Sample::HAS_KEYS {
                return Ok((samples.length(number)?, Vec::new()));
            }
            let sample = samples.sample(number)?;
            Ok((sample.length(), sample.keys().to_vec()))
        };
        Ok(window::count(numbers.map(shape).collect::<Result<_, _>>()?, collator, config))
    };
    (0..end.div_ceil(size)).into_par_iter().map(n_batches).sum()
}

impl<B: Batch> Iterator for Batches<B> {
    type Item = Result<B, DataError>;

    /// The next batch. An error ends the iterator.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.left.as_slice().is_empty() {
            self.next = Position { window: self.next.window + 1, batch: 0 };
            if let Err(error) = self.fill() {
                self.failed = true;
                return Some(Err(error));
            }
        }
        let batch = self.left.next()?;
        self.next.batch += 1;
        self.padding += batch.padding_stats();
        Some(Ok(batch))
    }
}
