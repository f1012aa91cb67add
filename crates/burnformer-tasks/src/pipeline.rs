//! From a model folder to answers, in one call.

use std::path::Path;

use burn::tensor::Device;
use burnformer_models::ModelKind;
use burnformer_ops::DeviceChoice;

use crate::sentence_transformers::Modules;
use crate::{FillMask, TaskError, TextClassification, TextEmbedding, Translator};

/// A model folder, ready for use.
#[derive(Debug)]
#[non_exhaustive]
pub enum Pipeline {
    /// Predicts hidden tokens.
    FillMask(Box<FillMask>),
    /// Tells the class of a text.
    TextClassification(Box<TextClassification>),
    /// Makes a vector of a text.
    TextEmbedding(Box<TextEmbedding>),
    /// Translates a text.
    Translation(Box<Translator>),
}

impl Pipeline {
    /// Loads what `folder` holds, on the best device.
    ///
    /// # Errors
    /// If the folder holds no model with a tokenizer, or one that is not supported.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self, TaskError> {
        Self::from_folder_on(folder, &DeviceChoice::Auto.open()?)
    }

    /// Loads what `folder` holds, on `device`.
    ///
    /// # Errors
    /// As [`Self::from_folder`].
    pub fn from_folder_on(folder: impl AsRef<Path>, device: &Device) -> Result<Self, TaskError> {
        let folder = folder.as_ref();
        if Modules::are_in(folder) {
            return Ok(Self::TextEmbedding(Box::new(TextEmbedding::load(folder, device)?)));
        }
        match ModelKind::of(folder)? {
            ModelKind::PreTraining | ModelKind::MaskedLm => {
                Ok(Self::FillMask(Box::new(FillMask::load(folder, device)?)))
            }
            ModelKind::SequenceClassification => {
                Ok(Self::TextClassification(Box::new(TextClassification::load(folder, device)?)))
            }
            ModelKind::Seq2Seq => Ok(Self::Translation(Box::new(Translator::load(folder, device)?))),
            ModelKind::Body => Ok(Self::TextEmbedding(Box::new(TextEmbedding::load(folder, device)?))),
            found => {
                let expected = "masked language modelling, text classification, text embedding or translation";
                Err(TaskError::OtherTask { folder: folder.to_owned(), found, expected })
            }
        }
    }
}
