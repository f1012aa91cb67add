//! Batches of plain text: windows for language models, pairs for translation.

use std::ops::Range;

use super::{Batch, Padded, Padding, PaddingStats};
use crate::datasets::{TextPair, Window};

/// Windows of consecutive tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowBatch {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// All tokens of each window but the last.
    pub inputs: Padded,
    /// All tokens of each window but the first: what follows each input.
    pub targets: Padded,
}

impl Batch for WindowBatch {
    type Sample = Window;

    fn collate(numbers: Vec<u64>, samples: Vec<Window>, padding: &Padding) -> Self {
        let inputs = Padded::new(samples.iter().map(|window| &window.ids[..window.ids.len() - 1]), padding);
        let targets = Padded::new(samples.iter().map(|window| &window.ids[1..]), padding);
        Self { numbers, inputs, targets }
    }

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

/// Pairs of texts, each side filled up to its own length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextPairBatch {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// The first texts.
    pub source: Padded,
    /// The second texts.
    pub target: Padded,
}

impl Batch for TextPairBatch {
    type Sample = TextPair;

    fn collate(numbers: Vec<u64>, samples: Vec<TextPair>, padding: &Padding) -> Self {
        let source = Padded::new(samples.iter().map(|pair| pair.source.as_slice()), padding);
        let target = Padded::new(samples.iter().map(|pair| pair.target.as_slice()), padding);
        Self { numbers, source, target }
    }

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
