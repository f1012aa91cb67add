//! Which class a text belongs to.

use std::path::Path;

use burn::tensor::Device;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertForSequenceClassification, ModelKind};
use serde::Serialize;

use crate::encode::{check_vocabulary, in_batches, input, max_length, probabilities};
use crate::{AttentionMap, TaskError};

/// Tells the class of a text, or of a pair of texts.
#[derive(Debug)]
pub struct TextClassification {
    model: BertForSequenceClassification,
    tokenizer: Tokenizer,
    labels: Vec<String>,
    max_length: usize,
    pad_id: u32,
    device: Device,
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The most probable class.
    pub label: String,
    /// Its number.
    pub index: usize,
    /// Its probability, in `[0, 1]`.
    pub probability: f64,
    /// The probability of every class, in the order of [`TextClassification::labels`].
    pub probabilities: Vec<f64>,
}

impl TextClassification {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// If it holds no model for text classification with its tokenizer.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        let found = ModelKind::of(folder)?;
        if found != ModelKind::BertForSequenceClassification {
            let expected = "text classification";
            return Err(TaskError::OtherTask { folder: folder.to_owned(), found, expected });
        }
        let (model, config, labels) = BertForSequenceClassification::load(folder, device)?;
        let tokenizer = Tokenizer::load(folder)?;
        check_vocabulary(&tokenizer, config.vocab_size)?;
        let pad_id = tokenizer.specials().pad_id.unwrap_or(config.pad_id);
        let max_length = max_length(&tokenizer, &config);
        Ok(Self { model, tokenizer, labels, max_length, pad_id, device: device.clone() })
    }

    /// The names of the classes.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The class of each text, or pair of texts, in their order. They are put together in batches of similar length.
    ///
    /// # Errors
    /// If a text cannot be tokenised, or the device fails.
    pub fn classify(&self, texts: &[(&str, Option<&str>)]) -> Result<Vec<Prediction>, TaskError> {
        let encode = |&(text, pair): &(&str, Option<&str>)| {
            self.tokenizer.encode_with_specials(text, pair, Some(self.max_length))
        };
        let encoded = texts.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        in_batches(&encoded, self.pad_id, &self.device, |input| {
            let rows = probabilities(self.model.forward(input))?;
            Ok(rows.into_iter().map(|probabilities| self.prediction(probabilities)).collect())
        })
    }

    /// The attention weights of every layer and head over `text`.
    ///
    /// # Errors
    /// If the text cannot be tokenised.
    pub fn attention(&self, text: &str) -> Result<AttentionMap, TaskError> {
        let encoded = self.tokenizer.encode_with_specials(text, None, Some(self.max_length))?;
        let input = input(&[&encoded], self.pad_id, &self.device);
        AttentionMap::new(&self.tokenizer, &encoded.ids, self.model.bert().forward_with_attn_weights(input).1)
    }

    fn prediction(&self, probabilities: Vec<f64>) -> Prediction {
        let greater = |best: usize, other: usize| if probabilities[other] > probabilities[best] { other } else { best };
        let index = (0..probabilities.len()).fold(0, greater);
        let label = self.labels.get(index).cloned().unwrap_or_default();
        Prediction { label, index, probability: probabilities[index], probabilities }
    }
}
