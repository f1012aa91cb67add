//! Batches of plain text: windows for language models, pairs for translation.

use std::ops::Range;

use super::{Batch, Collator, Padded, Padding, PaddingStats};
use crate::datasets::{TextPair, Window};

/// Windows of consecutive tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowBatch {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// All tokens of each window but the last.
    pub inputs: Padded,
    /// All tokens of each window but the first: the token after each input.
    pub targets: Padded,
}

/// Makes [`WindowBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowCollator {
    /// Padding of inputs and targets.
    pub padding: Padding,
}

impl Collator for WindowCollator {
    type Sample = Window;
    type Batch = WindowBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<Window>) -> WindowBatch {
        let inputs = Padded::new(samples.iter().map(|window| &window.ids[..window.ids.len() - 1]), &self.padding);
        let targets = Padded::new(samples.iter().map(|window| &window.ids[1..]), &self.padding);
        WindowBatch { numbers, inputs, targets }
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl Batch for WindowBatch {
    fn rows(&self, rows: Range<usize>) -> Self {
        let numbers = self.numbers[rows.clone()].to_vec();
        Self { numbers, inputs: self.inputs.rows(rows.clone()), targets: self.targets.rows(rows) }
    }

    fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn padding_stats(&self) -> PaddingStats {
        self.inputs.padding_stats()
    }
}

/// Pairs of texts, each side padded to its own length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextPairBatch {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// The first texts.
    pub source: Padded,
    /// The second texts.
    pub target: Padded,
}

/// Makes [`TextPairBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPairCollator {
    /// Padding of each side.
    pub padding: Padding,
}

impl Collator for TextPairCollator {
    type Sample = TextPair;
    type Batch = TextPairBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<TextPair>) -> TextPairBatch {
        let source = Padded::new(samples.iter().map(|pair| pair.source.as_slice()), &self.padding);
        let target = Padded::new(samples.iter().map(|pair| pair.target.as_slice()), &self.padding);
        TextPairBatch { numbers, source, target }
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl Batch for TextPairBatch {
    fn rows(&self, rows: Range<usize>) -> Self {
        let numbers = self.numbers[rows.clone()].to_vec();
        Self { numbers, source: self.source.rows(rows.clone()), target: self.target.rows(rows) }
    }

    fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn padding_stats(&self) -> PaddingStats {
        let mut padding = self.source.padding_stats();
        padding += self.target.padding_stats();
        padding
    }
}
