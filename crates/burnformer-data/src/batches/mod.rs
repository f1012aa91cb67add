//! Samples put together in batches of similar length, ahead of their use.
//!
//! Samples are taken in windows of consecutive numbers; inside a window they are sorted by length and cut into batches. A
//! batch has a [`Position`], and any position is reached by making one window, whatever came before. A [`Collator`] makes a
//! batch of samples: each kind of sample has its own, with what its batches need, such as the token for padding.

mod classification;
mod collator;
mod config;
mod loader;
mod padded;
mod parts;
mod positions;
mod pretraining;
#[cfg(feature = "tensor")]
mod tensor;
mod text;
mod token_classification;
mod window;

#[cfg(test)]
mod tests;

pub use classification::{ClassificationBatch, ClassificationCollator};
pub use collator::Collator;
pub use config::{BatchConfig, BatchSize};
pub use loader::{Batches, Position, batches_per_epoch};
pub use padded::{Padded, Padding};
pub use parts::parts;
pub use pretraining::{PretrainingBatch, PretrainingCollator};
#[cfg(feature = "tensor")]
pub use tensor::{
    ClassificationTensors, PaddedTensors, PretrainingTensors, TextPairTensors, TokenClassificationTensors,
    WindowTensors,
};
pub use text::{TextPairBatch, TextPairCollator, WindowBatch, WindowCollator};
pub use token_classification::{TokenClassificationBatch, TokenClassificationCollator};

use std::ops::Range;

/// Samples of similar length as rows of equal length. A [`Collator`] makes one.
pub trait Batch: Send + 'static {
    /// Some of the rows, as a batch of its own, without padding that only other rows needed.
    ///
    /// # Panics
    /// If there are no such rows.
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

    /// The numbers of the samples, one for each row; what dropout draws by.
    fn numbers(&self) -> &[u64];

    /// How much of the rows is padding.
    fn padding_stats(&self) -> PaddingStats;
}

/// How many places of a batch there are, and how many of them hold a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaddingStats {
    /// Places that hold a token.
    pub tokens: u64,
    /// Places in all.
    pub total: u64,
}

impl PaddingStats {
    /// The share of places that hold padding, in `[0, 1]`; 0 if there are none.
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
