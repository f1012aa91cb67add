//! Data sets: samples as functions of their number.
//!
//! A sample depends only on the corpus, the seed and its number: not on its batch, on the threads
//! that build it, or on earlier samples. Numbers continue over epochs; in each epoch every sample comes once, in a new
//! order.

mod balanced;
mod classification;
mod context_windows;
mod error;
mod language_model;
mod masking;
mod order;
mod paired;
mod pretraining;
mod question_answering;
mod sample_index;
mod text_pairs;
mod token_classification;

#[cfg(test)]
mod tests;

pub use classification::{ClassificationDataset, ClassificationSample, MultiLabelDataset, ScoreDataset};
pub use context_windows::{ContextWindow, ContextWindows, EncodedContext, WindowPlace};
pub use error::SamplesError;
pub use language_model::{LanguageModelConfig, LanguageModelDataset, Window};
pub use masking::{Masked, Masking, MaskingConfig};
pub use paired::{PairedConfig, PairedDataset, PairedSample};
pub use pretraining::{PretrainingConfig, PretrainingDataset, PretrainingSample};
pub use question_answering::{QuestionAnsweringDataset, QuestionAnsweringSample};
pub use text_pairs::{TextPair, TextPairDataset, TextPairsConfig};
pub use token_classification::{FurtherLabels, LostWords, TokenClassificationDataset, TokenClassificationSample};

use burnformer_core::config::ConfigError;

use crate::DataError;

/// Longest sequence that settings may ask for, so that sizes computed from it stay far from overflow.
const LONGEST: usize = 1 << 20;

fn check_max_seq_length(max_seq_length: usize, least: usize, range: &'static str) -> Result<(), ConfigError> {
    ConfigError::check("max_seq_length", &max_seq_length, (least..=LONGEST).contains(&max_seq_length), range)
}

/// A data set with random access.
pub trait Dataset: Send + Sync {
    /// Type of the samples.
    type Sample: Sample;

    /// Number of samples per epoch, at least one.
    fn per_epoch(&self) -> u64;

    /// Sample `number`. Its epoch is `number / per_epoch()`.
    ///
    /// # Errors
    /// If the corpus is damaged there.
    fn sample(&self, number: u64) -> Result<Self::Sample, DataError>;

    /// [`Sample::length`] of sample `number`. Data sets override it if they know the length without building the
    /// sample.
    ///
    /// # Errors
    /// As [`Self::sample`].
    fn length(&self, number: u64) -> Result<usize, DataError> {
        Ok(self.sample(number)?.length())
    }

    /// [`Sample::keys`] of sample `number`. Data sets override it if they know the keys without building the sample.
    ///
    /// # Errors
    /// As [`Self::sample`].
    fn keys(&self, number: u64) -> Result<Vec<u64>, DataError> {
        if Self::Sample::HAS_KEYS { Ok(self.sample(number)?.keys().to_vec()) } else { Ok(Vec::new()) }
    }
}

/// One sample.
pub trait Sample: Send + 'static {
    /// Length in tokens, by which samples are batched; that of the longer text if two texts are padded
    /// separately.
    fn length(&self) -> usize;

    /// `true` if samples have [keys](Self::keys).
    const HAS_KEYS: bool = false;

    /// Keys of the sample: no two samples with a key in common are in one batch.
    fn keys(&self) -> &[u64] {
        &[]
    }
}
