//! Batches, built ahead on threads.

use std::ops::Range;
use std::sync::Arc;

use burnformer_core::config::Validate;
use burnformer_core::random::{Key, Purpose};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Batch, BatchConfig, Collator, window};
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

/// The batches of a data set from a position on, endless or up to the end of an epoch; or the [steps](super::Step) of a run, of
/// which a process has a part.
///
/// They do not depend on the number of threads. A few windows per thread are built ahead and held in memory.
pub struct Batches<B> {
    windows: Ordered<Result<Vec<B>, DataError>>,
    /// The rest of the window at `next`.
    left: std::vec::IntoIter<B>,
    next: Position,
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
        let windows = Windows::new(samples, collator, config, seed, u64::MAX);
        Self::start(&windows, start, Windows::batches)
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
        let windows = Windows::new(samples, collator, config, seed, end);
        Self::start(&windows, Position::default(), Windows::batches)
    }
}

impl<B: Send + 'static> Batches<B> {
    /// Makes windows by `read` ahead, from `start` on.
    pub(super) fn start<S, C: Collator>(
        windows: &Windows<S, C>,
        start: Position,
        read: impl Fn(&Windows<S, C>, u64) -> Result<Vec<B>, DataError> + Clone + Send + 'static,
    ) -> Result<Self, DataError>
    where
        S: Dataset<Sample = C::Sample> + 'static,
    {
        let end = windows.end.div_ceil(windows.size());
        let windows = Ordered::start(windows.config.workers, start.window..end, || {
            let (windows, read) = (windows.clone(), read.clone());
            move |window: u64| read(&windows, window)
        });
        let windows = windows.map_err(|source| CorpusError::Thread { source })?;
        let mut batches = Self { windows, left: Vec::new().into_iter(), next: start, failed: false };
        batches.fill()?;
        batches.left.by_ref().take(start.batch).for_each(drop);
        Ok(batches)
    }

    /// Position of the next batch. Batches that start from here continue identically.
    #[must_use]
    pub fn position(&self) -> Position {
        self.next
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
        let shapes = (window * size..((window + 1) * size).min(end)).map(|number| shape(samples, number));
        Ok(window::count(&shapes.collect::<Result<Vec<_>, DataError>>()?, collator, config))
    };
    (0..end.div_ceil(size)).into_par_iter().map(n_batches).sum()
}

impl<B: Send + 'static> Iterator for Batches<B> {
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
        Some(Ok(batch))
    }
}

/// Windows of samples, cut into batches.
pub(super) struct Windows<S, C> {
    samples: Arc<S>,
    collator: C,
    config: BatchConfig,
    key: Key,
    /// The number behind that of the last sample.
    end: u64,
}

impl<S: Dataset<Sample = C::Sample>, C: Collator> Windows<S, C> {
    /// # Panics
    /// If the settings are invalid.
    pub(super) fn new(samples: Arc<S>, collator: &C, config: &BatchConfig, seed: u64, end: u64) -> Self {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        let key = Key::new(seed, Purpose::Order, "batches");
        Self { samples, collator: collator.clone(), config: config.clone(), key, end }
    }

    /// Number of samples of a window.
    fn size(&self) -> u64 {
        self.config.window as u64
    }

    /// Numbers of the samples of a window.
    fn numbers(&self, window: u64) -> Range<u64> {
        let first = window * self.size();
        first..(first + self.size()).min(self.end)
    }

    /// The batches of a window.
    pub(super) fn batches(&self, window: u64) -> Result<Vec<C::Batch>, DataError> {
        let mut read = self.read(window)?;
        let batches = std::mem::take(&mut read.batches);
        Ok(batches.iter().map(|places| read.collate(self, places)).collect())
    }

    /// A window of which every sample is read, once.
    pub(super) fn read(&self, window: u64) -> Result<Read<C::Sample>, DataError> {
        let numbers = self.numbers(window);
        let samples = numbers.clone().map(|number| self.samples.sample(number));
        let samples = samples.collect::<Result<Vec<_>, _>>()?;
        let shapes: Vec<_> = samples.iter().map(|sample| (sample.length(), sample.keys())).collect();
        let batches = self.cut(window, &shapes);
        Ok(Read { batches, first: numbers.start, samples: samples.into_iter().map(Some).collect() })
    }

    /// The batches of a window, each as the numbers of its samples, of which only lengths and keys are read.
    pub(super) fn numbers_of_batches(&self, window: u64) -> Result<Vec<Vec<u64>>, DataError> {
        let numbers = self.numbers(window);
        let shapes = numbers.clone().map(|number| shape(self.samples.as_ref(), number));
        let batches = self.cut(window, &shapes.collect::<Result<Vec<_>, _>>()?);
        let number = |place: usize| numbers.start + place as u64;
        Ok(batches.into_iter().map(|places| places.into_iter().map(number).collect()).collect())
    }

    /// A batch of the samples of these numbers.
    pub(super) fn collate(&self, numbers: &[u64]) -> Result<C::Batch, DataError> {
        let samples = numbers.iter().map(|&number| self.samples.sample(number)).collect::<Result<_, _>>()?;
        Ok(self.collator.collate(numbers.to_vec(), samples))
    }

    fn cut<K: AsRef<[u64]>>(&self, window: u64, shapes: &[window::Shape<K>]) -> Vec<Vec<usize>> {
        window::cut(window, shapes, &self.collator, &self.config, self.key)
    }
}

impl<S, C: Clone> Clone for Windows<S, C> {
    fn clone(&self) -> Self {
        let (samples, collator, config) = (Arc::clone(&self.samples), self.collator.clone(), self.config.clone());
        Self { samples, collator, config, key: self.key, end: self.end }
    }
}

/// A window of samples that are read.
pub(super) struct Read<S> {
    /// The places of the samples of each batch.
    pub(super) batches: Vec<Vec<usize>>,
    /// Number of the first sample.
    first: u64,
    /// The samples that are in no batch yet.
    samples: Vec<Option<S>>,
}

impl<S: Sample> Read<S> {
    /// A batch of the samples at these places, which are in no other.
    pub(super) fn collate<D, C: Collator<Sample = S>>(
        &mut self,
        windows: &Windows<D, C>,
        places: &[usize],
    ) -> C::Batch {
        let numbers = places.iter().map(|&place| self.first + place as u64).collect();
        windows.collator.collate(numbers, places.iter().filter_map(|&place| self.samples[place].take()).collect())
    }
}

/// Length and keys of a sample.
fn shape(samples: &impl Dataset, number: u64) -> Result<window::Shape<Vec<u64>>, DataError> {
    Ok((samples.length(number)?, samples.keys(number)?))
}
