//! Index from sample numbers to documents.

use crate::DataError;
use crate::corpus::Corpus;

/// Documents with a number of samples each.
#[derive(Clone, Debug, Default)]
pub(super) struct SampleIndex {
    documents: Vec<u32>,
    /// Cumulative number of samples, up to and including each document.
    ends: Vec<u64>,
}

impl SampleIndex {
    /// Indexes `documents`, with the number of samples of each from `samples_of`; documents without samples are left
    /// out.
    pub(super) fn new(
        corpus: &Corpus,
        documents: &[u32],
        samples_of: impl Fn(crate::corpus::Document<'_>) -> Result<usize, DataError>,
    ) -> Result<Self, DataError> {
        let mut places = Self::default();
        let mut end = 0;
        for &index in documents {
            let n_samples = samples_of(corpus.document(index)?)?;
            if n_samples > 0 {
                end += n_samples as u64;
                places.documents.push(index);
                places.ends.push(end);
            }
        }
        Ok(places)
    }

    /// Number of samples.
    pub(super) fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The documents that have samples.
    pub(super) fn documents(&self) -> &[u32] {
        &self.documents
    }

    /// The place of sample `index`: index into [`SampleIndex::documents`], and index of the sample in the document.
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
