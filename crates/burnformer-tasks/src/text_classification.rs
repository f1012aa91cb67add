//! Classification of texts.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use burnformer_models::{BertForSequenceClassification, Head, OutputActivation, Outputs, Pretrained};
use burnformer_ops::WeightFormat;
use serde::Serialize;

use crate::encode::{Encode, behind, expect_head, finite, probabilities};
use crate::sentence_transformers::CrossEncoder;
use crate::{Answer, AnswerOptions, TaskError};

/// Classification of a text, or of a pair of texts.
#[derive(Debug)]
pub struct TextClassification {
    model: BertForSequenceClassification,
    encode: Encode,
    /// The text in front of every first text.
    prompt: String,
}

/// Prediction for one text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The most probable class.
    pub label: String,
    /// Index of that class.
    pub index: usize,
    /// Probability of that class, in `[0, 1]`; of a model that gives [`Outputs::Score`] its score, which is any number.
    pub probability: f64,
    /// The probability of every class, in the order of [`TextClassification::labels`]. They add up to 1 if the model gives
    /// [`Outputs::Classes`].
    pub probabilities: Vec<f64>,
}

/// A class and its probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassProbability<'a> {
    /// The class.
    pub label: &'a str,
    /// Its probability, in `[0, 1]`.
    pub probability: f64,
}

impl Prediction {
    /// The `n` most probable classes, the best first; `labels` are those of the [model](TextClassification::labels).
    #[must_use]
    pub fn top<'a>(&self, labels: &'a [String], n: usize) -> Vec<ClassProbability<'a>> {
        // The first of equally probable classes is the better one.
        let order = |&a: &usize, &b: &usize| {
            let (of_a, of_b) = (self.probabilities[a], self.probabilities[b]);
            of_b.total_cmp(&of_a).then(a.cmp(&b))
        };
        let mut best: Vec<usize> = (0..labels.len().min(self.probabilities.len())).collect();
        if n < best.len() {
            // Of many classes few are wanted: no need to sort them all.
            best.select_nth_unstable_by(n, order);
            best.truncate(n);
        }
        best.sort_unstable_by(order);
        best.into_iter()
            .map(|index| ClassProbability { label: &labels[index], probability: self.probabilities[index] })
            .collect()
    }

    /// The classes whose probability is at least `threshold`, the best first.
    #[must_use]
    pub fn above<'a>(&self, labels: &'a [String], threshold: f64) -> Vec<ClassProbability<'a>> {
        let mut classes = self.top(labels, labels.len());
        classes.retain(|class| class.probability >= threshold);
        classes
    }
}

impl TextClassification {
    /// Loads the model in `folder`: a classifier, or a cross-encoder of sentence-transformers as configured there.
    ///
    /// # Errors
    /// If it holds no model for text classification with its tokenizer, or asks for what is not supported.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        let cross_encoder = CrossEncoder::of(folder)?;
        let from = cross_encoder.as_ref().map_or(folder, |it| &it.transformer);
        expect_head(from, &[Head::SequenceClassification])?;
        let model = BertForSequenceClassification::load(from, device)?;
        let mut encode = Encode::load(from, model.config(), device)?;
        let Some(settings) = cross_encoder else { return Ok(Self { model, encode, prompt: String::new() }) };
        settings.text.apply(&mut encode, model.config().max_seq_length)?;
        let prompt = settings.prompts().default_prompt().to_owned();
        let model = match settings.activation() {
            Some(activation) => model.with_score_activation(activation),
            None => model,
        };
        Ok(Self { model, encode, prompt })
    }

    /// The same pipeline with the weights of its model laid out once, as `format`, for the products of this processor: see
    /// [`Pretrained::prepare`].
    ///
    /// # Errors
    /// If the processor or the device has no products of this type.
    pub fn prepared(self, format: WeightFormat) -> Result<Self, TaskError> {
        Ok(Self { model: self.model.prepare(format)?, ..self })
    }

    /// What the probabilities of a [`Prediction`] mean.
    #[must_use]
    pub fn outputs(&self) -> Outputs {
        self.model.outputs()
    }

    /// The names of the classes.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        self.model.labels()
    }

    /// The class of each text, or pair of texts, in input order. Texts are run in batches of similar length.
    ///
    /// # Errors
    /// [`TaskError::Text`] if a text cannot be tokenised, or has no tokens and the tokenizer adds none; if the device fails.
    pub fn classify(&self, texts: &[(&str, Option<&str>)]) -> Result<Vec<Prediction>, TaskError> {
        let rows = self.rows(self.outputs(), texts)?;
        Ok(rows.into_iter().map(|probabilities| self.prediction(probabilities)).collect())
    }

    /// The outputs for each pair of texts, as sentence-transformers' `CrossEncoder` with one label gives them.
    pub(crate) fn scores(&self, texts: &[(&str, Option<&str>)]) -> Result<Vec<f64>, TaskError> {
        let activation = self.model.score_activation().unwrap_or(OutputActivation::Sigmoid);
        Ok(self.rows(Outputs::Score(activation), texts)?.concat())
    }

    /// What becomes of the logits of each text.
    fn rows(&self, outputs: Outputs, texts: &[(&str, Option<&str>)]) -> Result<Vec<Vec<f64>>, TaskError> {
        let encode = |&(text, pair): &(&str, Option<&str>)| self.encode.text(&behind(&self.prompt, text), pair);
        let encoded = self.encode.each(texts, encode, |encoded| encoded.is_cut)?;
        self.encode.in_batches(&encoded, |_, input| {
            let logits = self.model.forward(input);
            match outputs {
                Outputs::Classes => probabilities(logits),
                Outputs::Labels => activated(OutputActivation::Sigmoid, logits),
                Outputs::Score(activation) => activated(activation, logits),
            }
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

    /// What is said of a text, for programs or people.
    #[must_use]
    pub fn answer<'a>(&'a self, prediction: &'a Prediction, options: &AnswerOptions) -> Answer<'a> {
        Answer::new(prediction, self.outputs(), self.labels(), options)
    }

    fn prediction(&self, probabilities: Vec<f64>) -> Prediction {
        let greater = |best: usize, other: usize| if probabilities[other] > probabilities[best] { other } else { best };
        let index = (0..probabilities.len()).fold(0, greater);
        let label = self.labels().get(index).cloned().unwrap_or_default();
        Prediction { label, index, probability: probabilities[index], probabilities }
    }
}

/// The function of logits, row by row, read from the device.
fn activated(activation: OutputActivation, logits: Tensor<2>) -> Result<Vec<Vec<f64>>, TaskError> {
    let [_, width] = logits.dims();
    // The function may hide what is infinite.
    finite(logits.clone())?;
    let values = finite(activation.apply(logits))?;
    Ok(values.chunks(width).map(|row| row.iter().copied().map(f64::from).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_classes_are_in_order() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let probabilities = vec![0.2, 0.7, 0.1];
        let prediction = Prediction { label: "b".to_owned(), index: 1, probability: 0.7, probabilities };
        let top = |n| prediction.top(&labels, n).iter().map(|it| (it.label, it.probability)).collect::<Vec<_>>();
        assert_eq!(top(2), [("b", 0.7), ("a", 0.2)]);
        assert_eq!(top(9), [("b", 0.7), ("a", 0.2), ("c", 0.1)]);
        assert_eq!(top(0), []);
        let above = |threshold| prediction.above(&labels, threshold).iter().map(|it| it.label).collect::<Vec<_>>();
        assert_eq!((above(0.2), above(0.8)), (vec!["b", "a"], vec![]));
        let labels: Vec<String> = (0..1000).map(|class| class.to_string()).collect();
        let probabilities = (0..1000).map(|class| f64::from(class % 7)).collect();
        let prediction = Prediction { label: "6".to_owned(), index: 6, probability: 6.0, probabilities };
        let best: Vec<&str> = prediction.top(&labels, 4).iter().map(|it| it.label).collect();
        assert_eq!(best, ["6", "13", "20", "27"]);
    }
}
