//! The interface of collators, which build batches.

use super::Batch;
use crate::datasets::Sample;

/// Builds a batch from samples. A collator is a value: it holds what its batches need besides the samples, such as the
/// [`Padding`](super::Padding) of texts.
///
/// Each thread that makes batches has a clone.
pub trait Collator: Clone + Send + Sync + 'static {
    /// Type of the samples.
    type Sample: Sample;
    /// Type of the batches.
    type Batch: Batch;

    /// Builds a batch. `numbers` are the sample numbers, in the same order.
    fn collate(&self, numbers: Vec<u64>, samples: Vec<Self::Sample>) -> Self::Batch;

    /// Length of the rows of a batch whose longest sample has `length` tokens: `length` itself, or more if rows are
    /// padded to a multiple. [`BatchSize::Tokens`](super::BatchSize::Tokens) counts in it.
    fn row_length(&self, length: usize) -> usize {
        length
    }
}
