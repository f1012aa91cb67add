//! Text embeddings.

use std::path::Path;

use burn::tensor::Device;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{Pooling, Pretrained};
use burnformer_ops::WeightFormat;
use serde::Serialize;

use crate::encode::{Encode, behind, finite, prompt_length};
use crate::sentence_transformers::Modules;
use crate::{EmbeddingModel, Prompts, Similarity, TaskError};

/// Text embedding: the pooled hidden states of the tokens.
///
/// Source: Reimers and Gurevych 2019.
#[derive(Debug)]
pub struct TextEmbedding {
    model: EmbeddingModel,
    encode: Encode,
    dimensions: Option<usize>,
    /// The text in front of every text.
    prompt: String,
}

impl TextEmbedding {
    /// Loads the model in `folder`: one of sentence-transformers (`modules.json`) as configured there, any other BERT
    /// with the L2-normalised mean over its tokens.
    ///
    /// # Errors
    /// If the folder holds no BERT with its tokenizer, or asks for what is not supported.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        let model = EmbeddingModel::open(folder, device)?;
        let tokenizer = Tokenizer::load(&model.modules().transformer)?;
        Self::new(model, tokenizer, device)
    }

    /// The pipeline of a model that is on `device`, with its tokenizer.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(model: EmbeddingModel, tokenizer: Tokenizer, device: &Device) -> Result<Self, TaskError> {
        let Modules { text, settings, .. } = model.modules();
        let config = model.bert().config();
        let mut encode = Encode::new(tokenizer, config, device)?;
        text.apply(&mut encode, config.max_seq_length)?;
        let (dimensions, prompt) = (settings.dimensions, settings.prompts.default_prompt().to_owned());
        Ok(Self { model, encode, dimensions, prompt })
    }

    /// The same pipeline with the weights of its model laid out once, as `format`, for the products of this processor: see
    /// [`Pretrained::prepare`].
    ///
    /// # Errors
    /// If the processor or the device has no products of this type.
    pub fn prepared(self, format: WeightFormat) -> Result<Self, TaskError> {
        Ok(Self { model: self.model.prepare(format)?, ..self })
    }

    /// The same pipeline with another pooling.
    ///
    /// # Errors
    /// [`TaskError::PoolingWidth`] if it makes vectors of another width than the model's dense layer takes.
    pub fn with_pooling(self, pooling: Pooling) -> Result<Self, TaskError> {
        Ok(Self { model: self.model.with_pooling(pooling)?, ..self })
    }

    /// The same pipeline with L2-normalised embeddings, or without normalisation.
    #[must_use]
    pub fn with_normalization(self, is_normalized: bool) -> Self {
        Self { model: self.model.with_normalization(is_normalized), ..self }
    }

    /// The same pipeline with the first `n` dimensions of each embedding alone. They are not normalised again.
    ///
    /// # Errors
    /// [`TaskError::Dimensions`] if `n` is 0, or greater than the number of dimensions.
    pub fn with_dimensions(self, n: usize) -> Result<Self, TaskError> {
        let found = self.model.width();
        let is_possible = (1..=found).contains(&n);
        is_possible.then_some(Self { dimensions: Some(n), ..self }).ok_or(TaskError::Dimensions { found, asked: n })
    }

    /// The same pipeline with this text in front of every text, in place of the model's default prompt.
    #[must_use]
    pub fn with_prompt(self, prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), ..self }
    }

    /// Prompts of the model, by name.
    #[must_use]
    pub fn prompts(&self) -> &Prompts {
        &self.model.modules().settings.prompts
    }

    /// Similarity of two embeddings, as the model's files say; the cosine if they say nothing.
    #[must_use]
    pub fn similarity(&self) -> Similarity {
        self.model.modules().settings.similarity
    }

    /// Number of elements of an embedding.
    #[must_use]
    pub fn n_dimensions(&self) -> usize {
        self.dimensions.map_or(self.model.width(), |n| n.min(self.model.width()))
    }

    /// The embedding of each text, in input order. Texts are run in batches of similar length, and truncated to
    /// the model's longest sequence.
    ///
    /// # Errors
    /// [`TaskError::Text`] if a text cannot be tokenised, or has no tokens and the tokenizer adds none; if the device fails.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TaskError> {
        self.embed_behind(&self.prompt, texts)
    }

    /// [`Self::embed`] with another prompt.
    pub(crate) fn embed_behind(&self, prompt: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, TaskError> {
        let encode = |text: &&str| self.encode.text(&behind(prompt, text), None);
        let encoded = self.encode.each(texts, encode, |encoded| encoded.is_cut)?;
        let left_out = match self.model.modules().pooling.include_prompt {
            true => 0,
            false => prompt_length(&self.encode.tokenizer, prompt, self.encode.max_length)?,
        };
        self.encode.in_batches(&encoded, |_, input| {
            let values = finite(self.model.forward_behind(left_out, input))?;
            Ok(values.chunks(self.model.width()).map(|row| row[..self.n_dimensions()].to_vec()).collect())
        })
    }

    /// The same pipeline, which reads special tokens written in a text, such as `[SEP]`, as text or as special tokens.
    #[must_use]
    pub fn with_split_special_tokens(self, splits: bool) -> Self {
        Self { encode: self.encode.with_split_special_tokens(splits), ..self }
    }

    /// Number of texts so far that were longer than the model can take, and were truncated.
    #[must_use]
    pub fn n_cut(&self) -> u64 {
        self.encode.n_cut()
    }

    /// Longest text that the model can take, in tokens, special tokens included.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.encode.max_length
    }

    /// The texts behind the first by their similarity to the first, the most similar first.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn most_similar<'a>(&self, texts: &[&'a str]) -> Result<Vec<SimilarText<'a>>, TaskError> {
        let embeddings = self.embed(texts)?;
        let Some((first, others)) = embeddings.split_first() else { return Ok(Vec::new()) };
        let similar = |(index, (&text, embedding)): (usize, (&&'a str, &Vec<f32>))| SimilarText {
            index,
            text,
            similarity: self.similarity().of(first, embedding),
        };
        let mut similar: Vec<_> = (1..).zip(texts[1..].iter().zip(others)).map(similar).collect();
        similar.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        Ok(similar)
    }
}

/// A text and its similarity to another one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SimilarText<'a> {
    /// Index of the text in the list.
    pub index: usize,
    /// The text.
    pub text: &'a str,
    /// [`TextEmbedding::similarity`] of the embeddings.
    pub similarity: f64,
}
