//! Scores of texts that may have any number of labels.

use serde::{Deserialize, Serialize};

use crate::ClassReport;

/// Scores of predicted labels on texts with any number of labels. A quotient without a denominator is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelScores {
    /// Number of texts.
    pub texts: u64,
    /// Mean binary cross-entropy of a label, in nats.
    pub loss: f64,
    /// Least probability of a label that counts as predicted.
    pub threshold: f64,
    /// Share of texts all of whose labels are right.
    pub subset_accuracy: f64,
    /// Precision, recall and F1 of the decisions on all labels together.
    pub micro: AverageScores,
    /// Means over the labels.
    pub r#macro: AverageScores,
    /// Means over the labels, weighted by their numbers of texts.
    pub weighted: AverageScores,
    /// Means over the texts.
    pub samples: AverageScores,
    /// Scores of each label.
    pub labels: Vec<ClassReport>,
}

/// Precision, recall and F1, each in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AverageScores {
    /// Share of predicted labels that are right.
    pub precision: f64,
    /// Share of true labels that were predicted.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

impl MultiLabelScores {
    /// Each number with its name.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let scores = [
            ("loss", self.loss),
            ("subset accuracy", self.subset_accuracy),
            ("micro F1", self.micro.f1),
            ("macro F1", self.r#macro.f1),
            ("samples F1", self.samples.f1),
        ];
        let scores = scores.map(|(name, value)| (name.to_owned(), format!("{value:.4}")));
        let texts = ("texts".to_owned(), self.texts.to_string());
        [texts].into_iter().chain(scores).chain([("threshold".to_owned(), self.threshold.to_string())]).collect()
    }
}
