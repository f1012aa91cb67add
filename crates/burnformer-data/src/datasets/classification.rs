//! Samples for classification: a text, or a pair, with its class.

use rayon::prelude::*;

use super::order::Order;
use super::{Dataset, Sample, SamplesError};
use crate::DataError;
use crate::labelled::{Example, LabelledTexts};
use crate::tokenizer::{Tokenizer, TokenizerError};

/// One text with its class: `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassificationSample {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Number of tokens of the first segment.
    pub first_length: usize,
    /// Class index.
    pub label: u32,
}

impl ClassificationSample {
    /// Tokenises a text, truncated to `max_seq_length` tokens; the second value tells whether that cut something off.
    ///
    /// # Errors
    /// If the special tokens alone fill the length, or the tokenizer refuses the text.
    pub fn encode(
        example: &Example,
        tokenizer: &Tokenizer,
        max_seq_length: usize,
    ) -> Result<(Self, bool), TokenizerError> {
        let Example { text, pair, label } = example;
        let encoded = tokenizer.encode_with_specials(text, pair.as_deref(), Some(max_seq_length))?;
        let first_length = encoded.type_ids.iter().take_while(|&&segment| segment == 0).count();
        Ok((Self { ids: encoded.ids, first_length, label: *label }, encoded.is_cut))
    }
}

impl Sample for ClassificationSample {
    fn length(&self) -> usize {
        self.ids.len()
    }
}

/// [`ClassificationSample`]s in memory, shuffled in each epoch.
#[derive(Clone, Debug)]
pub struct ClassificationDataset {
    samples: Vec<ClassificationSample>,
    order: Order,
    n_cut: u64,
}

impl ClassificationDataset {
    /// Tokenises `texts` on all cores.
    ///
    /// # Errors
    /// If there are none, or as [`ClassificationSample::encode`].
    pub fn new(
        texts: &LabelledTexts,
        tokenizer: &Tokenizer,
        max_seq_length: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        let encode = |example: &Example| ClassificationSample::encode(example, tokenizer, max_seq_length);
        let (samples, is_cut): (Vec<_>, Vec<bool>) =
            texts.examples.par_iter().map(encode).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        if samples.is_empty() {
            return Err(SamplesError::None { n_documents: 0, reason: "a class" }.into());
        }
        let order = Order::new(seed, samples.len() as u64);
        Ok(Self { samples, order, n_cut: is_cut.into_iter().map(u64::from).sum() })
    }

    /// Number of texts that were truncated.
    #[must_use]
    pub fn n_cut(&self) -> u64 {
        self.n_cut
    }
}

impl Dataset for ClassificationDataset {
    type Sample = ClassificationSample;

    fn per_epoch(&self) -> u64 {
        self.order.len()
    }

    fn sample(&self, number: u64) -> Result<ClassificationSample, DataError> {
        Ok(self.samples[self.order.at(number) as usize].clone())
    }

    fn length(&self, number: u64) -> Result<usize, DataError> {
        Ok(self.samples[self.order.at(number) as usize].length())
    }
}
