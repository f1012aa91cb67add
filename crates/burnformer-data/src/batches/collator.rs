//! How samples are put together in a batch.

use super::Batch;
use crate::datasets::Sample;

/// Puts samples together in a batch. A collator is a value: it holds what its batches need beside the samples, such as the
/// [`Padding`](super::Padding) of texts.
///
/// Each thread that makes batches has a clone.
pub trait Collator: Clone + Send + Sync + 'static {
    /// What a row is made of.
    type Sample: Sample;
    /// What the rows become.
    type Batch: Batch;

    /// Puts samples together. `numbers` are theirs, in the same order.
    fn collate(&self, numbers: Vec<u64>, samples: Vec<Self::Sample>) -> Self::Batch;

    /// Length of the rows of a batch whose longest sample has `length` tokens: `length` itself, or more if rows are padded
    /// to a multiple. [`BatchSize::Tokens`](super::BatchSize::Tokens) counts in it.
    fn row_length(&self, length: usize) -> usize {
        length
    }
}
