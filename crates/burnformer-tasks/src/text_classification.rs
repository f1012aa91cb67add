//! Classification of texts.

use std::path::Path;

use burn::tensor::Device;
use burnformer_models::{BertForSequenceClassification, Head, Pretrained};
use serde::Serialize;

use crate::TaskError;
use crate::encode::{Encode, expect_head, probabilities};

/// Classification of a text, or of a pair of texts.
#[derive(Debug)]
pub struct TextClassification {
    model: BertForSequenceClassification,
    encode: Encode,
}

/// Prediction for one text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The most probable class.
    pub label: String,
    /// Index of that class.
    pub index: usize,
    /// Probability of that class, in `[0, 1]`.
    pub probability: f64,
    /// The probability of every class, in the order of [`TextClassification::labels`].
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
        let class = |(label, &probability): (&'a String, _)| ClassProbability { label, probability };
        let mut classes: Vec<_> = labels.iter().zip(&self.probabilities).map(class).collect();
        classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        classes.truncate(n);
        classes
    }
}

impl TextClassification {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// If it holds no model for text classification with its tokenizer.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        expect_head(folder, &[Head::SequenceClassification])?;
        let model = BertForSequenceClassification::load(folder, device)?;
        let encode = Encode::load(folder, model.config(), device)?;
        Ok(Self { model, encode })
    }

    /// The names of the classes.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        self.model.labels()
    }

    /// The class of each text, or pair of texts, in input order. Texts are run in batches of similar length.
    ///
    /// # Errors
    /// If a text cannot be tokenised, or the device fails.
    pub fn classify(&self, texts: &[(&str, Option<&str>)]) -> Result<Vec<Prediction>, TaskError> {
        let encoded = texts.iter().map(|&(text, pair)| self.encode.text(text, pair)).collect::<Result<Vec<_>, _>>()?;
        self.encode.in_batches(&encoded, |_, input| {
            let rows = probabilities(self.model.forward(input))?;
            Ok(rows.into_iter().map(|probabilities| self.prediction(probabilities)).collect())
        })
    }

    fn prediction(&self, probabilities: Vec<f64>) -> Prediction {
        let greater = |best: usize, other: usize| if probabilities[other] > probabilities[best] { other } else { best };
        let index = (0..probabilities.len()).fold(0, greater);
        let label = self.labels().get(index).cloned().unwrap_or_default();
        Prediction { label, index, probability: probabilities[index], probabilities }
    }
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
    }
}
