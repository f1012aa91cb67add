//! The interface between generation and models.

use burn::tensor::{Device, Int, Tensor};
use burnformer_nn::DecoderCache;
use std::borrow::Cow;

/// A model that returns the logits of the next token and remembers the tokens so far. [`generate`](crate::generate)
/// runs on any of them: an encoder–decoder, whose sources are texts for its encoder, or a decoder alone, whose sources
/// are prompts.
pub trait StepDecoder {
    /// Cache of the tokens so far of every row.
    type Cache: StepCache;

    /// Sizes and special tokens.
    fn spec(&self) -> DecoderSpec;

    /// Device of the weights.
    fn device(&self) -> Device;

    /// The tokens that a text for `source` begins with, at least one: the start token of an encoder–decoder, or all of
    /// a prompt.
    fn prompt<'a>(&self, source: &'a [u32]) -> Cow<'a, [u32]>;

    /// A cache without tokens, with a row for each source. An encoder–decoder encodes the sources here.
    fn begin(&self, sources: &[&[u32]]) -> Self::Cache;

    /// Appends tokens to every row and returns the logits behind the last of them.
    ///
    /// # Shapes
    /// - tokens: `[n_rows, n_new]`
    /// - returns: `[n_rows, vocab_size]`
    fn step(&self, tokens: Tensor<2, Int>, cache: &mut Self::Cache) -> Tensor<2>;

    /// Largest number of generated tokens where the settings have none: 50 more than the source has (Vaswani et al.
    /// 2017, section 6.1).
    fn default_max_length(&self, source_length: usize) -> usize {
        source_length + 50
    }
}

/// Sizes and special tokens of a [`StepDecoder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderSpec {
    /// Number of tokens of the sources.
    pub source_vocab_size: usize,
    /// Longest source.
    pub max_source_length: usize,
    /// Number of tokens of the texts, the width of the logits.
    pub vocab_size: usize,
    /// Longest text, its prompt included.
    pub max_seq_length: usize,
    /// The token that ends a text; `None` if every text has the largest length.
    pub eos_id: Option<u32>,
    /// Tokens that are never generated: padding, start tokens.
    pub never: Vec<u32>,
}

/// The rows of a batch that is decoded, adjacent where they belong to one source.
pub trait StepCache: Sized {
    /// Continues with these rows, in this order; one may come several times, or never. Everything that belongs to a
    /// source rather than to a row stays.
    ///
    /// # Shapes
    /// - rows: `[n]`
    fn select_rows(&mut self, rows: Tensor<1, Int>);

    /// Continues with what belongs to these sources, in this order; one may come several times, or never. Rows stay.
    ///
    /// # Shapes
    /// - sources: `[n]`
    fn select_sources(&mut self, sources: &Tensor<1, Int>);

    /// Adds the rows and sources of `other`, of the same model, behind its own. Rows may have different numbers of tokens.
    fn join(&mut self, other: Self);
}

impl StepCache for DecoderCache {
    fn select_rows(&mut self, rows: Tensor<1, Int>) {
        self.select(rows);
    }

    fn select_sources(&mut self, sources: &Tensor<1, Int>) {
        self.select_memory(sources);
    }

    fn join(&mut self, other: Self) {
        Self::join(self, other);
    }
}
