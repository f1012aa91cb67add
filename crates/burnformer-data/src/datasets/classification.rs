//! Samples for classification: a text, or a pair, with its class, its labels or its score.

use rayon::prelude::*;

use super::balanced::Balanced;
use super::order::Order;
use super::{Dataset, Sample, SamplesError};
use crate::DataError;
use crate::labelled::{Example, LabelledTexts};
use crate::scored::Score;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// One text with its label: `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassificationSample<L = u32> {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Number of tokens of the first segment.
    pub first_length: usize,
    /// Class index, indices of the labels, or the score.
    pub label: L,
}

impl<L: Clone> ClassificationSample<L> {
    /// Tokenises a text, truncated to `max_seq_length` tokens; the second value tells whether that cut something off.
    ///
    /// # Errors
    /// If the special tokens alone fill the length, or the tokenizer refuses the text.
    pub fn encode(
        example: &Example<L>,
        tokenizer: &Tokenizer,
        max_seq_length: usize,
    ) -> Result<(Self, bool), TokenizerError> {
        let Example { text, pair, label } = example;
        let encoded = tokenizer.encode_with_specials(text, pair.as_deref(), Some(max_seq_length))?;
        let first_length = encoded.type_ids.iter().take_while(|&&segment| segment == 0).count();
        Ok((Self { ids: encoded.ids, first_length, label: label.clone() }, encoded.is_cut))
    }
}

impl<L: Send + 'static> Sample for ClassificationSample<L> {
    fn length(&self) -> usize {
        self.ids.len()
    }
}

/// [`ClassificationSample`]s in memory, shuffled in each epoch.
#[derive(Clone, Debug)]
pub struct ClassificationDataset<L = u32> {
    samples: Vec<ClassificationSample<L>>,
    order: Order,
    /// Which sample it is by the number, if classes come equally often.
    balanced: Option<Balanced>,
    n_cut: u64,
}

/// Texts with any number of labels each.
pub type MultiLabelDataset = ClassificationDataset<Vec<u32>>;

/// Texts with a score each.
pub type ScoreDataset = ClassificationDataset<Score>;

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
        Self::of(&texts.examples, tokenizer, max_seq_length, seed)
    }

    /// The same samples with each class equally often: of as many consecutive samples as there are classes, one is of each. An
    /// epoch has as many samples as before; texts of rare classes come several times, those of frequent ones not in every epoch.
    /// A class without a text is left out.
    #[must_use]
    pub fn balanced(self) -> Self {
        let balanced = Balanced::new(&self.samples, self.order.seed());
        Self { balanced: Some(balanced), ..self }
    }
}

impl<L: Clone + Send + Sync> ClassificationDataset<L> {
    /// Tokenises `examples` on all cores.
    ///
    /// # Errors
    /// If there are none, or as [`ClassificationSample::encode`].
    pub fn of(
        examples: &[Example<L>],
        tokenizer: &Tokenizer,
        max_seq_length: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        let encode = |example: &Example<L>| ClassificationSample::encode(example, tokenizer, max_seq_length);
        let (samples, is_cut): (Vec<_>, Vec<bool>) =
            examples.par_iter().map(encode).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        if samples.is_empty() {
            return Err(SamplesError::None { n_documents: 0, reason: "a class" }.into());
        }
        let order = Order::new(seed, samples.len() as u64);
        Ok(Self { samples, order, balanced: None, n_cut: is_cut.into_iter().map(u64::from).sum() })
    }
}

impl<L> ClassificationDataset<L> {
    /// Number of texts that were truncated.
    #[must_use]
    pub fn n_cut(&self) -> u64 {
        self.n_cut
    }

    /// The samples, in the order of the texts.
    #[must_use]
    pub fn samples(&self) -> &[ClassificationSample<L>] {
        &self.samples
    }

    fn at(&self, number: u64) -> &ClassificationSample<L> {
        let index = self.balanced.as_ref().map_or_else(|| self.order.at(number) as usize, |it| it.at(number));
        &self.samples[index]
    }
}

impl<L: Clone + Send + Sync + 'static> Dataset for ClassificationDataset<L> {
    type Sample = ClassificationSample<L>;

    fn per_epoch(&self) -> u64 {
        self.order.len()
    }

    fn sample(&self, number: u64) -> Result<ClassificationSample<L>, DataError> {
        Ok(self.at(number).clone())
    }

    fn length(&self, number: u64) -> Result<usize, DataError> {
        Ok(self.at(number).length())
    }
}
