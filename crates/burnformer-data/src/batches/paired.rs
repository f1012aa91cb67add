//! Batches for text embeddings.

use std::ops::Range;

use super::{Batch, Collator, Padded, Padding, PaddingStats};
use crate::datasets::PairedSample;

/// Pairs of texts and their negatives; first texts, second texts and negatives are padded each by themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairedBatch {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// The first texts.
    pub texts: Padded,
    /// The second texts.
    pub pairs: Padded,
    /// The negatives of all pairs, pair by pair.
    pub negatives: Padded,
    /// Number of negatives of each pair.
    pub n_negatives: Vec<usize>,
    /// Score of each pair; empty if they have none.
    pub scores: Vec<f32>,
}

/// Makes [`PairedBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairedCollator {
    /// Padding of texts.
    pub padding: Padding,
}

impl Collator for PairedCollator {
    type Sample = PairedSample;
    type Batch = PairedBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<PairedSample>) -> PairedBatch {
        let negatives: Vec<&[u32]> =
            samples.iter().flat_map(|sample| sample.negatives.iter().map(Vec::as_slice)).collect();
        PairedBatch {
            numbers,
            texts: Padded::new(samples.iter().map(|sample| sample.text.as_slice()), &self.padding),
            pairs: Padded::new(samples.iter().map(|sample| sample.pair.as_slice()), &self.padding),
            negatives: Padded::new(negatives.iter().copied(), &self.padding),
            n_negatives: samples.iter().map(|sample| sample.negatives.len()).collect(),
            scores: samples.iter().filter_map(|sample| sample.score).collect(),
        }
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl Batch for PairedBatch {
    fn rows(&self, rows: Range<usize>) -> Self {
        let first: usize = self.n_negatives[..rows.start].iter().sum();
        let n: usize = self.n_negatives[rows.clone()].iter().sum();
        Self {
            numbers: self.numbers[rows.clone()].to_vec(),
            texts: self.texts.rows(rows.clone()),
            pairs: self.pairs.rows(rows.clone()),
            negatives: self.negatives.rows(first..first + n),
            n_negatives: self.n_negatives[rows.clone()].to_vec(),
            scores: if self.scores.is_empty() { Vec::new() } else { self.scores[rows].to_vec() },
        }
    }

    fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn padding_stats(&self) -> PaddingStats {
        let mut padding = self.texts.padding_stats();
        padding += self.pairs.padding_stats();
        padding += self.negatives.padding_stats();
        padding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_batch_have_the_negatives_of_their_rows() {
        let sample = |id: u32, n: usize| PairedSample {
            text: vec![id; id as usize],
            pair: vec![id],
            negatives: vec![vec![id, id]; n],
            score: Some(id as f32),
            keys: Vec::new(),
        };
        let collator = PairedCollator { padding: Padding { pad_id: 0, multiple_of: 1 } };
        let whole = || vec![sample(1, 2), sample(2, 0), sample(3, 1)];
        let batch = collator.collate(vec![7, 8, 9], whole());
        assert_eq!(batch.negatives.ids, [1, 1, 1, 1, 3, 3]);
        assert_eq!(batch.padding_stats(), PaddingStats { tokens: 6 + 3 + 6, total: 9 + 3 + 6 });
        for rows in [0..1, 1..2, 1..3, 0..3] {
            let expected = collator.collate(batch.numbers[rows.clone()].to_vec(), whole()[rows.clone()].to_vec());
            assert_eq!(batch.rows(rows.clone()), expected, "{rows:?}");
        }
    }
}
