//! Batches for BERT's pretraining.

use std::ops::Range;

use super::positions::{moved, rows_of};
use super::{Batch, Collator, Padded, Padding, PaddingStats};
use crate::datasets::PretrainingSample;

/// Masked sequences, and the tokens that were masked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PretrainingBatch {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// The sequences.
    pub tokens: Padded,
    /// Number of tokens of each sequence that belong to its first segment.
    pub first_lengths: Vec<usize>,
    /// Positions of the masked tokens in `[batch_size * seq_length]`: `row * seq_length + column`, in order.
    pub masked_positions: Vec<u32>,
    /// The original tokens at these positions.
    pub masked_labels: Vec<u32>,
    /// `true` for each row whose second text follows the first; empty without next-sentence prediction.
    pub is_next: Vec<bool>,
}

impl PretrainingBatch {
    /// `[batch_size, seq_length]`: 1 in the second segment, 0 in the first and in padding.
    pub fn segments(&self) -> impl Iterator<Item = u8> {
        self.tokens.segments(&self.first_lengths)
    }
}

/// Makes [`PretrainingBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PretrainingCollator {
    /// Padding of sequences.
    pub padding: Padding,
}

impl Collator for PretrainingCollator {
    type Sample = PretrainingSample;
    type Batch = PretrainingBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<PretrainingSample>) -> PretrainingBatch {
        let tokens = Padded::new(samples.iter().map(|sample| sample.ids.as_slice()), &self.padding);
        let mut batch = PretrainingBatch { numbers, tokens, ..PretrainingBatch::default() };
        for (row, sample) in samples.into_iter().enumerate() {
            let first = (row * batch.tokens.seq_length) as u32;
            batch.first_lengths.push(sample.first_length);
            batch.masked_positions.extend(sample.masked.positions.iter().map(|position| first + position));
            batch.masked_labels.extend(sample.masked.labels);
            batch.is_next.extend(sample.is_next);
        }
        batch
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl Batch for PretrainingBatch {
    fn rows(&self, rows: Range<usize>) -> Self {
        let length = self.tokens.seq_length;
        let masked = rows_of(&self.masked_positions, rows.clone(), length);
        let tokens = self.tokens.rows(rows.clone());
        Self {
            numbers: self.numbers[rows.clone()].to_vec(),
            first_lengths: self.first_lengths[rows.clone()].to_vec(),
            masked_positions: moved(&self.masked_positions[masked.clone()], rows.start, length, tokens.seq_length),
            tokens,
            masked_labels: self.masked_labels[masked].to_vec(),
            is_next: if self.is_next.is_empty() { Vec::new() } else { self.is_next[rows].to_vec() },
        }
    }

    fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn padding_stats(&self) -> PaddingStats {
        self.tokens.padding_stats()
    }
}
