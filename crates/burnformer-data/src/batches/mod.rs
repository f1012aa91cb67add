//! Batches of samples of similar length, built ahead of use.
//!
//! Samples are taken in windows of consecutive numbers; inside a window they are sorted by length and cut into batches.
//! Samples that share a
//! [key](crate::datasets::Sample::keys) come into different batches. A batch has a [`Position`], and any position is reached by building one window. A [`Collator`] builds a batch from
//! samples: each kind of sample has its own, with what its batches need, such as the padding token.

mod classification;
mod collator;
mod config;
mod dealt;
mod loader;
mod padded;
mod paired;
mod parts;
mod positions;
mod pretraining;
mod question_answering;
mod steps;
#[cfg(feature = "tensor")]
mod tensor;
mod text;
mod token_classification;
mod window;

#[cfg(test)]
mod tests;

pub use classification::{
    ClassificationBatch, ClassificationCollator, MultiLabelBatch, MultiLabelCollator, ScoreBatch, ScoreCollator,
};
pub use collator::Collator;
pub use config::{BatchConfig, BatchSize};
pub use dealt::Dealt;
pub use loader::{Batches, Position, batches_per_epoch};
pub use padded::{Padded, Padding};
pub use paired::{PairedBatch, PairedCollator};
pub use parts::parts;
pub use pretraining::{PretrainingBatch, PretrainingCollator};
pub use question_answering::{QuestionAnsweringBatch, QuestionAnsweringCollator, WindowQuestion};
pub use steps::{Step, StepConfig};
#[cfg(feature = "tensor")]
pub use tensor::{
    ClassificationTensors, PaddedTensors, PairedTensors, PretrainingTensors, QuestionAnsweringTensors, TextPairTensors,
    TokenClassificationTensors, WindowTensors,
};
pub use text::{TextPairBatch, TextPairCollator, WindowBatch, WindowCollator};
pub use token_classification::{TokenClassificationBatch, TokenClassificationCollator};

use std::ops::Range;

/// Samples of similar length as rows of equal length, built by a [`Collator`].
pub trait Batch: Send + 'static {
    /// A batch of these rows alone, without padding that only other rows needed.
    ///
    /// # Panics
    /// If a row is out of range.
    #[must_use]
    fn rows(&self, rows: Range<usize>) -> Self;

    /// Cuts the batch into batches of at most `n_rows` rows, which must be positive.
    fn split(self, n_rows: usize) -> Vec<Self>
    where
        Self: Sized,
    {
        let batch_size = self.numbers().len();
        if batch_size <= n_rows {
            return vec![self];
        }
        (0..batch_size).step_by(n_rows).map(|start| self.rows(start..(start + n_rows).min(batch_size))).collect()
    }

    /// Sample number of each row, which keys the dropout masks.
    fn numbers(&self) -> &[u64];

    /// Padding of the rows.
    fn padding_stats(&self) -> PaddingStats;
}

/// Numbers of positions in batches: with a token, and in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaddingStats {
    /// Number of positions that hold a token.
    pub tokens: u64,
    /// Number of positions, padding included.
    pub total: u64,
}

impl PaddingStats {
    /// Share of padding, in `[0, 1]`; 0 without positions.
    #[must_use]
    pub fn padding_share(&self) -> f64 {
        if self.total == 0 { 0.0 } else { (self.total - self.tokens) as f64 / self.total as f64 }
    }
}

impl std::ops::AddAssign for PaddingStats {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.total += other.total;
    }
}
