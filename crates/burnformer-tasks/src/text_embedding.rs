//! Text embeddings.

use std::path::Path;

use burn::tensor::Device;
use burnformer_models::{Bert, Pooling, normalize};
use serde::Serialize;

use crate::TaskError;
use crate::encode::Encode;
use crate::sentence_transformers::Modules;

/// Text embedding: the pooled hidden states of the tokens.
///
/// Source: Reimers and Gurevych 2019.
#[derive(Debug)]
pub struct TextEmbedding {
    model: Bert,
    encode: Encode,
    pooling: Pooling,
    normalized: bool,
}

impl TextEmbedding {
    /// Loads the model in `folder`: one of sentence-transformers (`modules.json`) as configured there, any other BERT
    /// with the L2-normalised mean over its tokens.
    ///
    /// # Errors
    /// If the folder holds no BERT with its tokenizer, or lists a module that is not supported.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        let modules = Modules::of(folder)?;
        let model = Bert::load(&modules.transformer, device)?;
        let mut encode = Encode::load(&modules.transformer, model.config(), device)?;
        encode.max_length = modules.max_length.map_or(encode.max_length, |length| length.min(encode.max_length));
        let Modules { pooling, normalized, .. } = modules;
        Ok(Self { model, encode, pooling, normalized })
    }

    /// The same pipeline with another pooling.
    #[must_use]
    pub fn with_pooling(self, pooling: Pooling) -> Self {
        Self { pooling, ..self }
    }

    /// The same pipeline with L2-normalised embeddings, or without normalisation.
    #[must_use]
    pub fn with_normalization(self, normalized: bool) -> Self {
        Self { normalized, ..self }
    }

    /// Number of elements of an embedding.
    #[must_use]
    pub fn d_model(&self) -> usize {
        self.model.config().d_model
    }

    /// The embedding of each text, in input order. Texts are run in batches of similar length, and truncated to
    /// the model's longest sequence.
    ///
    /// # Errors
    /// If a text cannot be tokenised, or the device fails.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TaskError> {
        let encoded = texts.iter().map(|text| self.encode.text(text, None)).collect::<Result<Vec<_>, _>>()?;
        self.encode.in_batches(&encoded, |_, input| {
            let mask_pad = input.mask_pad.clone();
            let pooled = self.pooling.apply(self.model.forward(input), mask_pad);
            let rows = if self.normalized { normalize(pooled) } else { pooled };
            let values: Vec<f32> = rows.try_into_data()?.iter::<f32>().collect();
            Ok(values.chunks(self.d_model()).map(<[f32]>::to_vec).collect())
        })
    }

    /// The texts behind the first by their similarity to the first, the most similar first.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn most_similar<'a>(&self, texts: &[&'a str]) -> Result<Vec<SimilarText<'a>>, TaskError> {
        let embeddings = self.embed(texts)?;
        let Some((first, others)) = embeddings.split_first() else { return Ok(Vec::new()) };
        let similar = |(&text, embedding): (&&'a str, &Vec<f32>)| SimilarText {
            text,
            similarity: cosine_similarity(first, embedding),
        };
        let mut similar: Vec<_> = texts[1..].iter().zip(others).map(similar).collect();
        similar.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        Ok(similar)
    }
}

/// A text and its similarity to another one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SimilarText<'a> {
    /// The text.
    pub text: &'a str,
    /// Cosine similarity of the embeddings, in `[-1, 1]`.
    pub similarity: f64,
}

/// The cosine of the angle between two vectors, in `[-1, 1]`; 0 if one of them is zero.
///
/// # Panics
/// If one is longer than the other.
#[must_use]
pub fn cosine_similarity(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "cosine_similarity: vectors of one length");
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 { 0.0 } else { (dot(a, b) / norms).clamp(-1.0, 1.0) }
}
