//! Batches for token classification.

use std::ops::Range;

use super::positions::{moved, rows_of};
use super::{Batch, Collator, Padded, Padding, PaddingStats};
use crate::datasets::TokenClassificationSample;

/// Sentences, with labels at the first tokens of their words. Other tokens are not listed, so no label has to
/// be ignored later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenClassificationBatch {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// The sentences.
    pub tokens: Padded,
    /// Positions of the words' first tokens in `[batch_size * seq_length]`: `row * seq_length + column`, in order.
    pub positions: Vec<u32>,
    /// Label index at each of `positions`.
    pub labels: Vec<u32>,
    /// Positions of further tokens of words with a label, which are trained on and in no metric.
    pub further_positions: Vec<u32>,
    /// Label index at each of `further_positions`.
    pub further_labels: Vec<u32>,
}

impl TokenClassificationBatch {
    /// The words of each row, as ranges of `positions` and `labels`: metrics look at one sentence at a time.
    pub fn sentences(&self) -> impl Iterator<Item = Range<usize>> {
        let length = self.tokens.seq_length;
        (0..self.tokens.batch_size()).map(move |row| rows_of(&self.positions, row..row + 1, length))
    }
}

/// Makes [`TokenClassificationBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenClassificationCollator {
    /// Padding of sentences.
    pub padding: Padding,
}

impl Collator for TokenClassificationCollator {
    type Sample = TokenClassificationSample;
    type Batch = TokenClassificationBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<TokenClassificationSample>) -> TokenClassificationBatch {
        let tokens = Padded::new(samples.iter().map(|sample| sample.ids.as_slice()), &self.padding);
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        let (mut further_positions, mut further_labels) = (Vec::new(), Vec::new());
        for (row, sample) in samples.into_iter().enumerate() {
            let first = (row * tokens.seq_length) as u32;
            positions.extend(sample.positions.iter().map(|position| first + position));
            labels.extend(sample.labels);
            further_positions.extend(sample.further.iter().map(|(position, _)| first + position));
            further_labels.extend(sample.further.iter().map(|(_, label)| label));
        }
        TokenClassificationBatch { numbers, tokens, positions, labels, further_positions, further_labels }
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl Batch for TokenClassificationBatch {
    fn rows(&self, rows: Range<usize>) -> Self {
        let length = self.tokens.seq_length;
        let tokens = self.tokens.rows(rows.clone());
        let words = rows_of(&self.positions, rows.clone(), length);
        let further = rows_of(&self.further_positions, rows.clone(), length);
        let moved_to = |positions| moved(positions, rows.start, length, tokens.seq_length);
        Self {
            numbers: self.numbers[rows.clone()].to_vec(),
            positions: moved_to(&self.positions[words.clone()]),
            labels: self.labels[words].to_vec(),
            further_positions: moved_to(&self.further_positions[further.clone()]),
            further_labels: self.further_labels[further].to_vec(),
            tokens,
        }
    }

    fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn padding_stats(&self) -> PaddingStats {
        self.tokens.padding_stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> TokenClassificationBatch {
        let sample = |ids: &[u32], positions: &[u32], labels: &[u32]| TokenClassificationSample {
            ids: ids.to_vec(),
            positions: positions.to_vec(),
            labels: labels.to_vec(),
            // The token behind the first word of two tokens.
            further: if ids.len() == 5 { vec![(2, 7)] } else { vec![] },
        };
        let samples = vec![
            sample(&[2, 7, 3], &[1], &[4]),
            sample(&[2, 5, 9, 6, 3], &[1, 3], &[0, 1]),
            sample(&[2, 8, 8, 3], &[1, 2], &[2, 3]),
        ];
        let padding = Padding { pad_id: 0, multiple_of: 2 };
        TokenClassificationCollator { padding }.collate(vec![6, 7, 8], samples)
    }

    #[test]
    fn labels_stand_at_the_first_tokens_of_words() {
        let batch = batch();
        assert_eq!(batch.tokens.ids, [[2, 7, 3, 0, 0, 0], [2, 5, 9, 6, 3, 0], [2, 8, 8, 3, 0, 0]].concat());
        assert_eq!((&batch.positions[..], &batch.labels[..]), (&[1, 7, 9, 13, 14][..], &[4, 0, 1, 2, 3][..]));
        assert_eq!((&batch.further_positions[..], &batch.further_labels[..]), (&[8][..], &[7][..]));
        assert_eq!(batch.sentences().collect::<Vec<_>>(), [0..1, 1..3, 3..5]);
        assert_eq!(batch.padding_stats(), PaddingStats { tokens: 12, total: 18 });
    }

    #[test]
    fn rows_keep_their_labels_without_padding_that_others_needed() {
        let parts = batch().split(2);
        let last = &parts[1];
        assert_eq!((&last.tokens.ids[..], &last.numbers[..]), (&[2, 8, 8, 3][..], &[8][..]));
        assert_eq!((&last.positions[..], &last.labels[..]), (&[1, 2][..], &[2, 3][..]));
        assert_eq!((&parts[0].positions[..], &parts[0].further_positions[..]), (&[1, 7, 9][..], &[8][..]));
        let row = batch().rows(1..2);
        assert_eq!((row.positions, row.further_positions, row.further_labels), (vec![1, 3], vec![2], vec![7]));
        assert!(last.further_positions.is_empty());
    }
}
