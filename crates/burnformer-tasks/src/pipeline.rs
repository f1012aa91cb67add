//! Pipelines: model folders as functions on text.

use std::path::Path;

use burn::tensor::Device;
use burnformer_models::{Head, ModelClass};
use burnformer_ops::{DeviceChoice, WeightFormat};

use crate::sentence_transformers::{CrossEncoder, Modules};
use crate::{
    FillMask, QuestionAnswering, TaskError, TextClassification, TextEmbedding, TextGeneration, TextRanking,
    TokenClassification, Translator,
};

/// A model folder, ready for use.
#[derive(Debug)]
#[non_exhaustive]
pub enum Pipeline {
    /// Prediction of masked tokens.
    FillMask(Box<FillMask>),
    /// Classification of texts.
    TextClassification(Box<TextClassification>),
    /// Classification of tokens: entities in texts.
    TokenClassification(Box<TokenClassification>),
    /// Extractive question answering.
    QuestionAnswering(Box<QuestionAnswering>),
    /// Text embeddings.
    TextEmbedding(Box<TextEmbedding>),
    /// Ranking of texts by a cross-encoder.
    TextRanking(Box<TextRanking>),
    /// Continuation of prompts.
    TextGeneration(Box<TextGeneration>),
    /// Translation.
    Translation(Box<Translator>),
}

impl Pipeline {
    /// Loads the model in `folder` on the best device.
    ///
    /// # Errors
    /// If the folder holds no model with a tokenizer, or one that is not supported.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self, TaskError> {
        Self::from_folder_on(folder, &DeviceChoice::Auto.open()?)
    }

    /// Loads the model in `folder` on `device`, prepared for inference in single precision.
    ///
    /// # Errors
    /// As [`Self::from_folder`].
    pub fn from_folder_on(folder: impl AsRef<Path>, device: &Device) -> Result<Self, TaskError> {
        Self::load(folder.as_ref(), device)?.prepared(WeightFormat::F32)
    }

    fn prepared(self, format: WeightFormat) -> Result<Self, TaskError> {
        Ok(match self {
            Self::FillMask(it) => Self::FillMask(Box::new(it.prepared(format)?)),
            Self::TextClassification(it) => Self::TextClassification(Box::new(it.prepared(format)?)),
            Self::TokenClassification(it) => Self::TokenClassification(Box::new(it.prepared(format)?)),
            Self::QuestionAnswering(it) => Self::QuestionAnswering(Box::new(it.prepared(format)?)),
            Self::TextEmbedding(it) => Self::TextEmbedding(Box::new(it.prepared(format)?)),
            Self::TextRanking(it) => Self::TextRanking(Box::new(it.prepared(format)?)),
            Self::TextGeneration(it) => Self::TextGeneration(Box::new(it.prepared(format)?)),
            Self::Translation(it) => Self::Translation(Box::new(it.prepared(format)?)),
        })
    }

    fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        if CrossEncoder::of(folder)?.is_some() {
            let classifier = TextClassification::load(folder, device)?;
            return Ok(match classifier.labels().len() {
                1 => Self::TextRanking(Box::new(TextRanking::of(classifier))),
                _ => Self::TextClassification(Box::new(classifier)),
            });
        }
        if Modules::are_in(folder) {
            return Ok(Self::TextEmbedding(Box::new(TextEmbedding::load(folder, device)?)));
        }
        let found = ModelClass::of(folder)?.head();
        match PIPELINES.iter().find(|(heads, _)| heads.contains(&found)) {
            Some((_, load)) => load(folder, device),
            None => {
                let expected = "masked language modelling, text classification, token classification, question answering, text embedding, \
                     text generation or translation";
                Err(TaskError::OtherTask { folder: folder.to_owned(), found, expected })
            }
        }
    }
}

/// Loads the model in a folder.
type Load = fn(&Path, &Device) -> Result<Pipeline, TaskError>;

/// The pipeline of a model, by its head.
const PIPELINES: [(&[Head], Load); 7] = [
    (&[Head::PreTraining, Head::MaskedLm], |folder, device| {
        Ok(Pipeline::FillMask(Box::new(FillMask::load(folder, device)?)))
    }),
    (&[Head::SequenceClassification], |folder, device| {
        Ok(Pipeline::TextClassification(Box::new(TextClassification::load(folder, device)?)))
    }),
    (&[Head::TokenClassification], |folder, device| {
        Ok(Pipeline::TokenClassification(Box::new(TokenClassification::load(folder, device)?)))
    }),
    (&[Head::QuestionAnswering], |folder, device| {
        Ok(Pipeline::QuestionAnswering(Box::new(QuestionAnswering::load(folder, device)?)))
    }),
    (&[Head::Body], |folder, device| Ok(Pipeline::TextEmbedding(Box::new(TextEmbedding::load(folder, device)?)))),
    (&[Head::CausalLm], |folder, device| Ok(Pipeline::TextGeneration(Box::new(TextGeneration::load(folder, device)?)))),
    (&[Head::Seq2Seq], |folder, device| Ok(Pipeline::Translation(Box::new(Translator::load(folder, device)?)))),
];
