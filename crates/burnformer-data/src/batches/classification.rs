//! Batches for classification and regression.

use std::ops::Range;

use super::{Batch, Collator, Padded, Padding, PaddingStats};
use crate::datasets::ClassificationSample;
use crate::scored::Score;

/// Texts with their classes, their labels or their scores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassificationBatch<L = u32> {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// The texts.
    pub tokens: Padded,
    /// Number of tokens of each text that belong to its first segment.
    pub first_lengths: Vec<usize>,
    /// Class index of each text, the indices of its labels, or its score.
    pub labels: Vec<L>,
}

/// Texts with any number of labels each.
pub type MultiLabelBatch = ClassificationBatch<Vec<u32>>;

/// Texts with a score each.
pub type ScoreBatch = ClassificationBatch<Score>;

/// Makes [`ClassificationBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassificationCollator {
    /// Padding of texts.
    pub padding: Padding,
}

/// Makes [`MultiLabelBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiLabelCollator {
    /// Padding of texts.
    pub padding: Padding,
}

/// Makes [`ScoreBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScoreCollator {
    /// Padding of texts.
    pub padding: Padding,
}

impl<L> ClassificationBatch<L> {
    fn collate(numbers: Vec<u64>, samples: Vec<ClassificationSample<L>>, padding: &Padding) -> Self {
        let tokens = Padded::new(samples.iter().map(|sample| sample.ids.as_slice()), padding);
        let first_lengths = samples.iter().map(|sample| sample.first_length).collect();
        let labels = samples.into_iter().map(|sample| sample.label).collect();
        Self { numbers, tokens, first_lengths, labels }
    }
}

impl Collator for ClassificationCollator {
    type Sample = ClassificationSample;
    type Batch = ClassificationBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<ClassificationSample>) -> ClassificationBatch {
        ClassificationBatch::collate(numbers, samples, &self.padding)
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl Collator for MultiLabelCollator {
    type Sample = ClassificationSample<Vec<u32>>;
    type Batch = MultiLabelBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<ClassificationSample<Vec<u32>>>) -> MultiLabelBatch {
        ClassificationBatch::collate(numbers, samples, &self.padding)
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl Collator for ScoreCollator {
    type Sample = ClassificationSample<Score>;
    type Batch = ScoreBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<ClassificationSample<Score>>) -> ScoreBatch {
        ClassificationBatch::collate(numbers, samples, &self.padding)
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl<L: Clone + Send + Sync + 'static> Batch for ClassificationBatch<L> {
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
