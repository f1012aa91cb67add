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
    /// Threshold with the greatest micro-F1 on these texts, and that micro-F1; absent for more than 16 million probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_threshold: Option<(f64, f64)>,
    /// Mean AUROC of the labels that some texts have and others lack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auroc: Option<f64>,
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
            ("loss", Some(self.loss)),
            ("subset accuracy", Some(self.subset_accuracy)),
            ("micro F1", Some(self.micro.f1)),
            ("macro F1", Some(self.r#macro.f1)),
            ("samples F1", Some(self.samples.f1)),
            ("AUROC", self.auroc),
        ];
        let scores = scores.into_iter().filter_map(|(name, value)| Some((name.to_owned(), format!("{:.4}", value?))));
        let texts = ("texts".to_owned(), self.texts.to_string());
        let best = self.best_threshold.map(|(threshold, f1)| format!(" (best here: {threshold:.4}, micro F1 {f1:.4})"));
        let threshold = ("threshold".to_owned(), format!("{}{}", self.threshold, best.unwrap_or_default()));
        [texts].into_iter().chain(scores).chain([threshold]).collect()
    }
}
