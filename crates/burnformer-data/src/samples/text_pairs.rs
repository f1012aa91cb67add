//! Parallel texts, for models that turn one into the other.

use std::sync::Arc;

use burnformer_core::config::{ConfigError, Validate};
use serde::{Deserialize, Serialize};

use super::order::Order;
use super::places::Places;
use super::{Sample, Samples, SamplesError, check_max_seq_length};
use crate::DataError;
use crate::corpus::Corpus;

/// Settings of [`TextPairs`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextPairsConfig {
    /// Longest source and longest target in tokens, without special ones; longer pairs are left out.
    pub max_seq_length: usize,
}

impl Default for TextPairsConfig {
    fn default() -> Self {
        Self { max_seq_length: 256 }
    }
}

impl Validate for TextPairsConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        check_max_seq_length(self.max_seq_length, 1, "1 to 1048576")
    }
}

/// A text and what it is to be turned into, without special tokens: which ones a model wants around them is its own matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPair {
    /// Tokens of the first text.
    pub source: Vec<u32>,
    /// Tokens of the second text.
    pub target: Vec<u32>,
}

impl Sample for TextPair {
    fn length(&self) -> usize {
        self.source.len().max(self.target.len())
    }
}

/// The pairs of a corpus that was built from records with two texts.
#[derive(Debug)]
pub struct TextPairs {
    corpus: Arc<Corpus>,
    places: Places,
    order: Order,
    n_too_long: usize,
}

impl TextPairs {
    /// Pairs among the given documents of `corpus`.
    ///
    /// # Errors
    /// If there is none that is short enough, or the corpus is damaged.
    ///
    /// # Panics
    /// If the settings cannot work: a value built in code is the caller's responsibility.
    pub fn new(corpus: Arc<Corpus>, documents: &[u32], config: &TextPairsConfig, seed: u64) -> Result<Self, DataError> {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        let fits = |length: usize| length <= config.max_seq_length;
        let places = Places::new(&corpus, documents, |document| {
            let middle = document.sentence_end(1);
            usize::from(document.n_sentences() == 2 && fits(middle) && fits(document.n_tokens() - middle))
        })?;
        if places.len() == 0 {
            let reason = "two texts of at most `max_seq_length` tokens";
            return Err(SamplesError::None { n_documents: documents.len(), reason }.into());
        }
        let n_too_long = documents.len() - places.documents().len();
        let order = Order::new(seed, places.len());
        Ok(Self { corpus, places, order, n_too_long })
    }

    /// How many documents were left out, since a text is too long or there are not two.
    #[must_use]
    pub fn n_left_out(&self) -> usize {
        self.n_too_long
    }
}

impl Samples for TextPairs {
    type Sample = TextPair;

    fn per_epoch(&self) -> u64 {
        self.order.len()
    }

    fn sample(&self, number: u64) -> Result<TextPair, DataError> {
        let (place, _) = self.places.find(self.order.at(number));
        let document = self.corpus.document(self.places.documents()[place])?;
        let (mut source, mut target) = (Vec::new(), Vec::new());
        document.sentence(0)?.append_to(&mut source);
        document.sentence(1)?.append_to(&mut target);
        Ok(TextPair { source, target })
    }
}
