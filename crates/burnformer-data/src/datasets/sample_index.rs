//! Where in which document each sample is taken from.

use crate::DataError;
use crate::corpus::Corpus;

/// Documents with a number of samples each.
#[derive(Clone, Debug, Default)]
pub(super) struct SampleIndex {
    documents: Vec<u32>,
    /// Sum of the samples up to and with each document.
    ends: Vec<u64>,
}

impl SampleIndex {
    /// Asks `samples_of` how many samples each of `documents` has; those with none are left out.
    pub(super) fn new(
        corpus: &Corpus,
        documents: &[u32],
        samples_of: impl Fn(crate::corpus::Document<'_>) -> usize,
    ) -> Result<Self, DataError> {
        let mut places = Self::default();
        let mut end = 0;
        for &index in documents {
            let n_samples = samples_of(corpus.document(index)?);
            if n_samples > 0 {
                end += n_samples as u64;
                places.documents.push(index);
                places.ends.push(end);
            }
        }
        Ok(places)
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The documents that have samples.
    pub(super) fn documents(&self) -> &[u32] {
        &self.documents
    }

    /// The place of sample `index`: which of [`SampleIndex::documents`], and which of its samples.
    ///
    /// # Panics
    /// If there is no such sample.
    pub(super) fn find(&self, index: u64) -> (usize, usize) {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        let place = self.ends.partition_point(|&end| end <= index);
        let before = if place == 0 { 0 } else { self.ends[place - 1] };
        (place, (index - before) as usize)
    }
}
