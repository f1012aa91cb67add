//! Ranking of texts by what they have to do with a query.

use std::path::Path;

use burn::tensor::Device;
use burnformer_models::{Head, ModelClass};
use burnformer_ops::WeightFormat;
use serde::Serialize;

use crate::sentence_transformers::{CrossEncoder, Modules};
use crate::{TaskError, TextClassification, TextEmbedding};

/// Ranking of texts by a query: with a cross-encoder by the score of each pair, with any other model by the similarity of
/// the embeddings.
///
/// Source: `CrossEncoder.rank` of sentence-transformers, and its `encode_query` and `encode_document`.
#[derive(Debug)]
pub struct TextRanking(Ranker);

#[derive(Debug)]
enum Ranker {
    Pairs(Box<TextClassification>),
    Embeddings(Box<TextEmbedding>),
}

/// What texts are ranked by, as [`TextRanking::query`] reads it.
#[derive(Clone, Debug)]
pub enum RankingQuery {
    /// The text itself, of which a cross-encoder makes pairs.
    Text(String),
    /// Its embedding.
    Embedding(Vec<f32>),
}

/// A text of a list, and its score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RankedText<'a> {
    /// Index of the text in the list.
    pub index: usize,
    /// Score of the query and the text: the greater, the better they go together.
    pub score: f64,
    /// The text.
    pub text: &'a str,
}

impl TextRanking {
    /// Loads the model in `folder`: a classifier with one label, or any model that [`TextEmbedding::load`] takes.
    ///
    /// # Errors
    /// If there is no such model with its tokenizer, or it asks for what is not supported.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        let is_classifier = || Ok::<_, TaskError>(ModelClass::of(folder)?.head() == Head::SequenceClassification);
        if CrossEncoder::of(folder)?.is_none() && (Modules::are_in(folder) || !is_classifier()?) {
            return Ok(Self(Ranker::Embeddings(Box::new(TextEmbedding::load(folder, device)?))));
        }
        let model = TextClassification::load(folder, device)?;
        match model.labels().len() {
            1 => Ok(Self::of(model)),
            n_labels => Err(TaskError::NoScore { folder: folder.to_owned(), n_labels }),
        }
    }

    /// Ranking by a classifier with one label.
    pub(crate) fn of(model: TextClassification) -> Self {
        Self(Ranker::Pairs(Box::new(model)))
    }

    /// The same pipeline with the weights of its model laid out once, as `format`: see [`TextEmbedding::prepared`].
    ///
    /// # Errors
    /// If the processor or the device has no products of this type.
    pub fn prepared(self, format: WeightFormat) -> Result<Self, TaskError> {
        Ok(Self(match self.0 {
            Ranker::Pairs(model) => Ranker::Pairs(Box::new(model.prepared(format)?)),
            Ranker::Embeddings(model) => Ranker::Embeddings(Box::new(model.prepared(format)?)),
        }))
    }

    /// The same, which reads special tokens written in a text, such as `[SEP]`, as text or as special tokens.
    #[must_use]
    pub fn with_split_special_tokens(self, splits: bool) -> Self {
        Self(match self.0 {
            Ranker::Pairs(model) => Ranker::Pairs(Box::new(model.with_split_special_tokens(splits))),
            Ranker::Embeddings(model) => Ranker::Embeddings(Box::new(model.with_split_special_tokens(splits))),
        })
    }

    /// Number of texts so far, or of pairs of query and text, that were longer than the model can take, and were truncated.
    #[must_use]
    pub fn n_cut(&self) -> u64 {
        match &self.0 {
            Ranker::Pairs(model) => model.n_cut(),
            Ranker::Embeddings(model) => model.n_cut(),
        }
    }

    /// Longest text, or pair of query and text, that the model can take, in tokens, special tokens included.
    #[must_use]
    pub fn max_length(&self) -> usize {
        match &self.0 {
            Ranker::Pairs(model) => model.max_length(),
            Ranker::Embeddings(model) => model.max_length(),
        }
    }

    /// A query, which is read once for any number of texts.
    ///
    /// # Errors
    /// If it cannot be tokenised, or the device fails.
    pub fn query(&self, query: &str) -> Result<RankingQuery, TaskError> {
        let Ranker::Embeddings(model) = &self.0 else { return Ok(RankingQuery::Text(query.to_owned())) };
        let embedding = model.embed_behind(model.prompts().query(), &[query]).map_err(|error| match error {
            // The query is none of the texts, which are numbered.
            TaskError::Text { source, .. } => source.into(),
            error => error,
        })?;
        Ok(RankingQuery::Embedding(embedding.concat()))
    }

    /// The score of a query of this model and each text: the greater, the better they go together.
    ///
    /// # Errors
    /// [`TaskError::Text`] if a text cannot be tokenised, or has no tokens and the tokenizer adds none; if the device fails.
    ///
    /// # Panics
    /// If the query is one of another model.
    pub fn scores(&self, query: &RankingQuery, texts: &[&str]) -> Result<Vec<f64>, TaskError> {
        match (&self.0, query) {
            (Ranker::Pairs(model), RankingQuery::Text(query)) => {
                model.scores(&texts.iter().map(|&text| (query.as_str(), Some(text))).collect::<Vec<_>>())
            }
            (Ranker::Embeddings(model), RankingQuery::Embedding(query)) => {
                let texts = model.embed_behind(model.prompts().document(), texts)?;
                Ok(texts.iter().map(|text| model.similarity().of(query, text)).collect())
            }
            _ => panic!("scores: the query is one of another model"),
        }
    }

    /// The texts by their scores with `query`, the best first; of equal ones, the first.
    ///
    /// # Errors
    /// As [`Self::query`] and [`Self::scores`].
    pub fn rank<'a>(&self, query: &str, texts: &[&'a str]) -> Result<Vec<RankedText<'a>>, TaskError> {
        let scores = self.scores(&self.query(query)?, texts)?;
        let ranked = |((index, &text), score)| RankedText { index, score, text };
        let mut ranked: Vec<_> = texts.iter().enumerate().zip(scores).map(ranked).collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(ranked)
    }
}
