//! Scores of classifiers.

use serde::{Deserialize, Serialize};

use crate::{AverageScores, first_of};

/// Scores of predictions on labelled texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassificationScores {
    /// Number of texts.
    pub texts: u64,
    /// Mean cross-entropy, in nats; absent for methods without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Share of correct predictions.
    pub accuracy: f64,
    /// Standard error of the accuracy.
    pub accuracy_standard_error: f64,
    /// Macro-F1: mean F1 of the classes; a class that does not occur counts as 0.
    pub macro_f1: f64,
    /// Standard error of the macro-F1, by the bootstrap over texts.
    pub macro_f1_standard_error: f64,
    /// Mean F1 of the classes that occur as truth or as answer, as scikit-learn computes the macro-F1 if it is not told which
    /// classes there are; absent if all of them occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1_of_occurring: Option<f64>,
    /// Means over the classes, each with the same weight; absent in reports of earlier versions, as are all that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_average: Option<AverageScores>,
    /// Means over the classes, weighted by their numbers of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighted_average: Option<AverageScores>,
    /// Matthews correlation coefficient, in `[-1, 1]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcc: Option<f64>,
    /// AUROC of each class against all others, as a mean over the classes that have one; absent for methods without
    /// probabilities, and for more than 16 million of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auroc: Option<f64>,
    /// Expected calibration error, of 15 bins; absent for methods without probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// 95 % confidence intervals, by the bootstrap over texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<ClassificationIntervals>,
    /// How well texts out of scope are told apart; absent without such texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_scope: Option<OutOfScopeScores>,
    /// Scores of each class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassReport>,
    /// Answers by their probability, in bins of equal width from 0 to 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reliability: Vec<ReliabilityBin>,
    /// Names of the classes without a text.
    #[serde(default)]
    pub absent_labels: Vec<String>,
    /// Names of the classes.
    pub labels: Vec<String>,
    /// Number of texts, `[truth][answer]`; empty for more than 1,000 classes.
    pub confusion: Vec<Vec<u64>>,
    /// Truth, answer and number of texts, where there are any, of more than 1,000 classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion_cells: Vec<(usize, usize, u64)>,
}

/// How well texts that have none of the classes are told apart by the probability of the answer, which should be low.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutOfScopeScores {
    /// Number of texts that have none of the classes.
    pub texts: u64,
    /// AUROC: how often such a text has a less probable answer than one with a class.
    pub auroc: f64,
    /// 95 % confidence interval of it, by the bootstrap over texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
}

/// Confidence intervals, each its lower and upper end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationIntervals {
    /// Of the accuracy.
    pub accuracy: (f64, f64),
    /// Of the macro-F1.
    pub macro_f1: (f64, f64),
    /// Of the Matthews correlation coefficient.
    pub mcc: (f64, f64),
    /// Of the AUROC; of two classes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auroc: Option<(f64, f64)>,
}

/// Scores of one class against all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Name of the class.
    pub label: String,
    /// Share of the answers with this class that are right.
    pub precision: f64,
    /// Share of this class's texts that were found.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Number of texts of this class.
    pub support: u64,
    /// AUROC of the class's probability; absent without texts of it, or of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auroc: Option<f64>,
}

/// Answers whose probabilities are in one interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Number of answers.
    pub count: u64,
    /// Share of right answers; 0 without answers.
    pub accuracy: f64,
    /// Mean probability; 0 without answers.
    pub probability: f64,
}

/// Most classes that a line names.
const MOST_NAMED: usize = 10;

impl ClassificationScores {
    /// Each number with its name and its standard error.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let with_error = |value: f64, error: f64| format!("{value:.4} ± {error:.4}");
        let mut lines = vec![("texts".to_owned(), self.texts.to_string())];
        lines.extend(self.loss.map(|loss| ("loss".to_owned(), format!("{loss:.4}"))));
        lines.extend([
            ("accuracy".to_owned(), with_error(self.accuracy, self.accuracy_standard_error)),
            ("macro F1".to_owned(), with_error(self.macro_f1, self.macro_f1_standard_error)),
        ]);
        if let Some(occurring) = self.macro_f1_of_occurring {
            let without = "without classes that are neither truth nor answer, as scikit-learn counts by default";
            lines.push(("macro F1, occurring".to_owned(), format!("{occurring:.4} ({without})")));
        }
        let more = [
            ("weighted F1", self.weighted_average.map(|average| average.f1)),
            ("MCC", self.mcc),
            ("AUROC", self.auroc),
            ("calibration error", self.calibration_error),
        ];
        lines.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), format!("{:.4}", value?)))));
        if let Some(OutOfScopeScores { texts, auroc, interval }) = self.out_of_scope {
            let interval = interval.map(|(low, high)| format!(", 95 % interval {low:.4} to {high:.4}"));
            let shown = format!("{auroc:.4} ({texts} texts{})", interval.unwrap_or_default());
            lines.push(("out-of-scope AUROC".to_owned(), shown));
        }
        if !self.absent_labels.is_empty() {
            let (n, all) = (self.absent_labels.len(), self.labels.len());
            lines.push((
                "absent classes".to_owned(),
                format!("{n} of {all}: {}", first_of(&self.absent_labels, MOST_NAMED)),
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_without_a_text_are_named() {
        let labels: Vec<String> = (0..13).map(|n| format!("c{n}")).collect();
        let scores = ClassificationScores {
            texts: 2,
            accuracy: 1.0,
            macro_f1: 0.0769,
            macro_f1_of_occurring: Some(1.0),
            absent_labels: labels[1..].to_vec(),
            labels,
            weighted_average: Some(AverageScores { precision: 0.5, recall: 0.25, f1: 0.125 }),
            ..ClassificationScores::default()
        };
        let lines = scores.lines();
        assert!(lines[3].1.starts_with("1.0000 (without classes that are neither truth nor answer"), "{lines:?}");
        assert_eq!(lines[4], ("weighted F1".to_owned(), "0.1250".to_owned()));
        assert_eq!(lines[5].1, "12 of 13: c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 and 2 more");
    }
}
