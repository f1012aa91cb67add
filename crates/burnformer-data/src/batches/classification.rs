//! Batches for classification.

use std::ops::Range;

use super::{Batch, Collator, Padded, Padding, PaddingStats};
use crate::datasets::ClassificationSample;

/// Texts with their classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassificationBatch {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// The texts.
    pub tokens: Padded,
    /// Number of tokens of each text that belong to its first segment.
    pub first_lengths: Vec<usize>,
    /// Class index of each text.
    pub labels: Vec<u32>,
}

/// Makes [`ClassificationBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassificationCollator {
    /// Padding of texts.
    pub padding: Padding,
}

impl Collator for ClassificationCollator {
    type Sample = ClassificationSample;
    type Batch = ClassificationBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<ClassificationSample>) -> ClassificationBatch {
        let tokens = Padded::new(samples.iter().map(|sample| sample.ids.as_slice()), &self.padding);
        let first_lengths = samples.iter().map(|sample| sample.first_length).collect();
        let labels = samples.iter().map(|sample| sample.label).collect();
        ClassificationBatch { numbers, tokens, first_lengths, labels }
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl Batch for ClassificationBatch {
    fn rows(&self, rows: Range<usize>) -> Self {
        Self {
            numbers: self.numbers[rows.clone()].to_vec(),
            tokens: self.tokens.rows(rows.clone()),
            first_lengths: self.first_lengths[rows.clone()].to_vec(),
            labels: self.labels[rows].to_vec(),
        }
    }

    fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn padding_stats(&self) -> PaddingStats {
        self.tokens.padding_stats()
    }
}
