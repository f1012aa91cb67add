//! Text embeddings.

use std::path::Path;

use burn::tensor::{Bool, Device, Int, Tensor};
use burnformer_models::{Bert, Pooling};
use serde::Serialize;

use crate::encode::{Encode, behind, finite};
use crate::sentence_transformers::{Modules, PoolingSettings, Step, load_steps, with_normalization};
use crate::{Prompts, Similarity, TaskError};

/// Text embedding: the pooled hidden states of the tokens.
///
/// Source: Reimers and Gurevych 2019.
#[derive(Debug)]
pub struct TextEmbedding {
    model: Bert,
    encode: Encode,
    pooling: PoolingSettings,
    /// What follows the pooling, in order.
    steps: Vec<Step>,
    dimensions: Option<usize>,
    prompts: Prompts,
    /// The text in front of every text.
    prompt: String,
    similarity: Similarity,
}

impl TextEmbedding {
    /// Loads the model in `folder`: one of sentence-transformers (`modules.json`) as configured there, any other BERT
    /// with the L2-normalised mean over its tokens.
    ///
    /// # Errors
    /// If the folder holds no BERT with its tokenizer, or asks for what is not supported.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        let modules = Modules::of(folder)?;
        let model = Bert::load(&modules.transformer, device)?;
        let mut encode = Encode::load(&modules.transformer, model.config(), device)?;
        modules.text.apply(&mut encode, model.config().max_seq_length)?;
        let Modules { pooling, steps, settings, .. } = modules;
        let steps = load_steps(steps, model.config().d_model * pooling.modes.len(), device)?;
        let prompt = settings.prompts.default_prompt().to_owned();
        let (dimensions, similarity) = (settings.dimensions, settings.similarity);
        Ok(Self { model, encode, pooling, steps, dimensions, prompts: settings.prompts, prompt, similarity })
    }

    /// The same pipeline with another pooling.
    ///
    /// # Errors
    /// [`TaskError::PoolingWidth`] if it makes vectors of another width than the model's dense layer takes.
    pub fn with_pooling(self, pooling: Pooling) -> Result<Self, TaskError> {
        let modes = vec![pooling];
        let found = self.model.config().d_model;
        match self.steps.iter().find_map(Step::width_in_front).filter(|&expected| expected != found) {
            Some(expected) => Err(TaskError::PoolingWidth { found, expected }),
            None => Ok(Self { pooling: PoolingSettings { modes, ..self.pooling }, ..self }),
        }
    }

    /// The same pipeline with L2-normalised embeddings, or without normalisation.
    #[must_use]
    pub fn with_normalization(self, is_normalized: bool) -> Self {
        Self { steps: with_normalization(self.steps, is_normalized), ..self }
    }

    /// The same pipeline with the first `n` dimensions of each embedding alone. They are not normalised again.
    ///
    /// # Errors
    /// [`TaskError::Dimensions`] if `n` is 0, or greater than the number of dimensions.
    pub fn with_dimensions(self, n: usize) -> Result<Self, TaskError> {
        let found = self.width();
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
        &self.prompts
    }

    /// Similarity of two embeddings, as the model's files say; the cosine if they say nothing.
    #[must_use]
    pub fn similarity(&self) -> Similarity {
        self.similarity
    }

    /// Number of elements of an embedding.
    #[must_use]
    pub fn n_dimensions(&self) -> usize {
        self.dimensions.map_or(self.width(), |n| n.min(self.width()))
    }

    /// [`Self::n_dimensions`] before some are cut off.
    fn width(&self) -> usize {
        let pooled = self.model.config().d_model * self.pooling.modes.len();
        self.steps.iter().fold(pooled, |width, step| step.width(width))
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
        let left_out = if self.pooling.include_prompt { 0 } else { self.prompt_length(prompt)? };
        self.encode.in_batches(&encoded, |_, input| {
            let mask_pad = input.mask_pad.clone();
            let hidden = self.model.forward(input);
            let mask = without_first(mask_pad, left_out, &hidden);
            let pooled = self.pooling.modes.iter().map(|mode| mode.apply(hidden.clone(), mask.clone())).collect();
            let rows = self.steps.iter().fold(Tensor::cat(pooled, 1), |rows, step| step.forward(rows));
            let values = finite(rows)?;
            Ok(values.chunks(self.width()).map(|row| row[..self.n_dimensions()].to_vec()).collect())
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

    /// Number of tokens of a prompt, with the special ones in front of it.
    fn prompt_length(&self, prompt: &str) -> Result<usize, TaskError> {
        if prompt.is_empty() {
            return Ok(0);
        }
        let ids = self.encode.text(prompt, None)?.ids;
        let ends_special = ids.last().is_some_and(|id| self.encode.tokenizer.special_ids().contains(id));
        Ok(ids.len() - usize::from(ends_special))
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
            similarity: self.similarity.of(first, embedding),
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

/// The mask of `hidden`, which marks the first `n` tokens of every row too.
fn without_first(mask: Option<Tensor<2, Bool>>, n: usize, hidden: &Tensor<3>) -> Option<Tensor<2, Bool>> {
    if n == 0 {
        return mask;
    }
    let [batch_size, seq_length, _] = hidden.dims();
    let positions = Tensor::<1, Int>::arange(0..seq_length as i64, &hidden.device());
    let first = positions.lower_elem(n as i64).reshape([1, seq_length]).expand([batch_size, seq_length]);
    Some(match mask {
        Some(mask) => mask.bool_or(first),
        None => first,
    })
}
