//! Parallel texts, for encoder–decoder models.

use std::sync::Arc;

use burnformer_core::config::{ConfigError, Validate};
use serde::{Deserialize, Serialize};

use super::order::Order;
use super::sample_index::SampleIndex;
use super::{Dataset, Sample, SamplesError, check_max_seq_length};
use crate::DataError;
use crate::corpus::Corpus;

/// Settings of [`TextPairDataset`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextPairsConfig {
    /// Longest source and longest target in tokens, end token included; longer pairs are left out.
    pub max_seq_length: usize,
    /// Largest ratio of the two texts' numbers of tokens; other pairs are left out, since they are rarely translations.
    /// Absent for no limit.
    pub max_length_ratio: Option<f64>,
}

impl Default for TextPairsConfig {
    fn default() -> Self {
        Self { max_seq_length: 256, max_length_ratio: None }
    }
}

impl Validate for TextPairsConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        check_max_seq_length(self.max_seq_length, 2, "2 to 1048576")?;
        let ratio = self.max_length_ratio.unwrap_or(1.0);
        ConfigError::check("max_length_ratio", &ratio, ratio >= 1.0, "1 or more")
    }
}

impl TextPairsConfig {
    /// Whether texts of these lengths, their ends left out, make a pair.
    fn takes(&self, source: usize, target: usize) -> bool {
        let (shorter, longer) = (source.min(target), source.max(target));
        let ratio = self.max_length_ratio.unwrap_or(f64::INFINITY);
        shorter > 0 && longer < self.max_seq_length && longer as f64 <= ratio * shorter as f64
    }
}

/// A source and its target, each with the end token.
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
pub struct TextPairDataset {
    corpus: Arc<Corpus>,
    eos_id: u32,
    /// Size of the vocabulary of either text.
    vocab_sizes: [usize; 2],
    places: SampleIndex,
    order: Order,
    n_left_out: usize,
}

impl TextPairDataset {
    /// Pairs among the given documents of `corpus`; `eos_id` is appended to each text.
    ///
    /// # Errors
    /// If the corpus was not built from pairs, the settings leave no pair, or the corpus is damaged.
    ///
    /// # Panics
    /// If the settings are invalid: a value built in code is the caller's responsibility.
    pub fn new(
        corpus: Arc<Corpus>,
        documents: &[u32],
        eos_id: u32,
        config: &TextPairsConfig,
        seed: u64,
    ) -> Result<Self, DataError> {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        if corpus.manifest().pairs == Some(0) {
            return Err(SamplesError::NoPairs.into());
        }
        let places = SampleIndex::new(&corpus, documents, |document| {
            let middle = document.sentence_end(1)?;
            let is_pair = document.n_sentences() == 2 && config.takes(middle, document.n_tokens() - middle);
            Ok(usize::from(is_pair))
        })?;
        if places.len() == 0 {
            let reason = "two texts within `max_seq_length` and `max_length_ratio`";
            return Err(SamplesError::None { n_documents: documents.len(), reason }.into());
        }
        let n_left_out = documents.len() - places.documents().len();
        let order = Order::new(seed, places.len());
        let source = corpus.tokenizer().vocab_size();
        let vocab_sizes = [source, corpus.pair_tokenizer().map_or(source, |pair| pair.vocab_size())];
        Ok(Self { corpus, eos_id, vocab_sizes, places, order, n_left_out })
    }

    /// Number of documents left out: a text is too long, the lengths differ too much, or the second text is missing.
    #[must_use]
    pub fn n_left_out(&self) -> usize {
        self.n_left_out
    }
}

impl Dataset for TextPairDataset {
    type Sample = TextPair;

    fn per_epoch(&self) -> u64 {
        self.order.len()
    }

    fn sample(&self, number: u64) -> Result<TextPair, DataError> {
        let (place, _) = self.places.find(self.order.at(number));
        let document = self.corpus.document(self.places.documents()[place])?;
        let text = |number: usize| -> Result<Vec<u32>, DataError> {
            let mut ids = document.sentence(number)?;
            // The corpus checks ids against the larger vocabulary only.
            let vocab_size = self.vocab_sizes[number];
            if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocab_size) {
                return Err(SamplesError::ForeignToken { id, vocab_size }.into());
            }
            ids.push(self.eos_id);
            Ok(ids)
        };
        Ok(TextPair { source: text(0)?, target: text(1)? })
    }

    fn length(&self, number: u64) -> Result<usize, DataError> {
        let (place, _) = self.places.find(self.order.at(number));
        let document = self.corpus.document(self.places.documents()[place])?;
        let source = document.sentence_end(1)?;
        // Each text has one more token, at its end.
        Ok(source.max(document.n_tokens() - source) + 1)
    }
}
