//! Windows of consecutive tokens, for models that predict the next one.

use std::ops::Range;
use std::sync::Arc;

use burnformer_core::config::{ConfigError, Validate};
use serde::{Deserialize, Serialize};

use super::order::Order;
use super::sample_index::SampleIndex;
use super::{Dataset, Sample, SamplesError, check_max_seq_length};
use crate::DataError;
use crate::corpus::{Corpus, Document};
use crate::tokenizer::Tokenizer;

/// Settings of [`LanguageModelDataset`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageModelConfig {
    /// Largest number of tokens that a window predicts.
    pub max_seq_length: usize,
}

impl Default for LanguageModelConfig {
    fn default() -> Self {
        Self { max_seq_length: 512 }
    }
}

impl Validate for LanguageModelConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        check_max_seq_length(self.max_seq_length, 1, "1 to 1048576")
    }
}

/// Consecutive tokens of one document: all but the last are the model's input, all but the first the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The tokens, at least two.
    pub ids: Vec<u32>,
}

impl Sample for Window {
    fn length(&self) -> usize {
        self.ids.len() - 1
    }
}

/// Cuts documents into [`Window`]s.
///
/// A document stands between the tokenizer's first and last token. Windows never reach into another document, and each
/// token but the first is predicted once an epoch: the last token of a window is the first of the next.
#[derive(Debug)]
pub struct LanguageModelDataset {
    corpus: Arc<Corpus>,
    places: SampleIndex,
    order: Order,
    length: usize,
    first_id: u32,
    last_id: u32,
}

impl LanguageModelDataset {
    /// Windows of the given documents of `corpus`.
    ///
    /// # Errors
    /// If the tokenizer is not the corpus's or lacks a first or last token, there is no document, or the corpus is
    /// damaged.
    ///
    /// # Panics
    /// If the settings are invalid: a value built in code is the caller's responsibility.
    pub fn new(
        corpus: Arc<Corpus>,
        documents: &[u32],
        tokenizer: &Tokenizer,
        config: &LanguageModelConfig,
        seed: u64,
    ) -> Result<Self, DataError> {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        corpus.check_tokenizer(tokenizer)?;
        let specials = tokenizer.specials();
        let first_id = specials.bos_id.ok_or(SamplesError::NoToken { role: "first" })?;
        let last_id = specials.eos_id.ok_or(SamplesError::NoToken { role: "last" })?;
        let length = config.max_seq_length;
        let places = SampleIndex::new(&corpus, documents, |document| Ok((document.n_tokens() + 1).div_ceil(length)))?;
        if places.len() == 0 {
            return Err(SamplesError::None { n_documents: documents.len(), reason: "a sentence" }.into());
        }
        let order = Order::new(seed, places.len());
        Ok(Self { corpus, places, order, length, first_id, last_id })
    }

    /// The document of a window, and the window's place in a sequence of the first token, the document's tokens, and
    /// the last token.
    fn window(&self, number: u64) -> Result<(Document<'_>, Range<usize>), DataError> {
        let (place, part) = self.places.find(self.order.at(number));
        let document = self.corpus.document(self.places.documents()[place])?;
        let (start, end) = (part * self.length, (document.n_tokens() + 2).min((part + 1) * self.length + 1));
        Ok((document, start..end))
    }
}

impl Dataset for LanguageModelDataset {
    type Sample = Window;

    fn per_epoch(&self) -> u64 {
        self.order.len()
    }

    fn sample(&self, number: u64) -> Result<Window, DataError> {
        let (document, Range { start, end }) = self.window(number)?;
        let n_tokens = document.n_tokens();
        let mut ids = Vec::with_capacity(end - start);
        if start == 0 {
            ids.push(self.first_id);
        }
        ids.extend(document.tokens(start.saturating_sub(1)..(end - 1).min(n_tokens))?);
        if end == n_tokens + 2 {
            ids.push(self.last_id);
        }
        Ok(Window { ids })
    }

    fn length(&self, number: u64) -> Result<usize, DataError> {
        Ok(self.window(number)?.1.len() - 1)
    }
}
