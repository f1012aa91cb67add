//! Reports of runs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{CausalLmScores, ClassificationScores, PairScores, PretrainingScores};

/// Summary of a run, of any recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Folder of the run.
    pub folder: PathBuf,
    /// Reason of its end.
    pub stopped: Stopped,
    /// Number of optimizer updates.
    pub steps: u64,
    /// Step of the model at the top level of the folder.
    pub best_step: u64,
    /// Number of tokens trained on, without padding.
    pub tokens: u64,
    /// Time spent on training, in seconds.
    pub seconds: f64,
    /// Most bytes of memory that the program had at once; absent where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// Reason of the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stopped {
    /// All steps are done.
    #[serde(rename = "all steps done")]
    Finished,
    /// Early stopping: evaluations did not improve.
    #[serde(rename = "early stopping")]
    Early,
}

impl Stopped {
    /// The reason in words, as it stands in JSON.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Finished => "all steps done",
            Self::Early => "early stopping",
        }
    }
}

/// The report of a pretraining run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PretrainReport {
    /// Summary of the run.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Scores of the best model on the validation samples, if there are any.
    pub validation: Option<PretrainingScores>,
}

/// The report of a pretraining run of a causal language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CausalLmReport {
    /// Summary of the run.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Scores of the best model on the validation windows, if there are any.
    pub validation: Option<CausalLmScores>,
}

/// The report of a fine-tuning run; `S` are the scores of its task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinetuneReport<S = ClassificationScores> {
    /// Summary of the run.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Training texts.
    pub training_texts: u64,
    /// Texts that are there more than once.
    #[serde(default)]
    pub repeated: RepeatedTexts,
    /// Accuracy on the validation texts of always answering their most frequent label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub majority_accuracy: Option<f64>,
    /// Scores of the best model on the validation texts.
    pub validation: S,
    /// Scores of the best model on the test texts.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub test: Option<S>,
    /// Scores of the baselines on the test texts.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<Baseline<S>>,
}

/// Numbers of texts that a fine-tuning run reads more than once. Texts are the same if they are equal, whatever their labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatedTexts {
    /// Rows with the text of an earlier row, before validation texts were taken from them.
    pub rows: u64,
    /// Rows that were read for both, before a sample of them was taken; 0 if unknown.
    #[serde(default)]
    pub of: u64,
    /// Texts among them with different labels.
    pub conflicts: u64,
    /// Validation texts that are among the training texts too.
    pub validation_in_training: u64,
    /// Test texts that are among the training texts too.
    pub test_in_training: u64,
    /// Test texts that are among the validation texts too, by which the model was chosen.
    pub test_in_validation: u64,
}

impl RepeatedTexts {
    /// What makes scores better than on new texts: each part that is, with its number of such texts and where else they are.
    #[must_use]
    pub fn leaks(&self) -> Vec<(&'static str, u64, &'static str)> {
        let all = [
            ("validation", self.validation_in_training, "training"),
            ("test", self.test_in_training, "training"),
            ("test", self.test_in_validation, "validation"),
        ];
        all.into_iter().filter(|(_, texts, _)| *texts > 0).collect()
    }
}

/// A baseline; `S` are the scores of its task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline<S = ClassificationScores> {
    /// Name of the baseline.
    pub name: String,
    /// Scores of its predictions.
    #[serde(flatten)]
    pub scores: S,
}

/// Report of a seq2seq training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSeq2SeqReport {
    /// Summary of the run.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Scores of the best model on the validation pairs, if there are any.
    pub validation: Option<PairScores>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AverageScores, ClassReport, ClassificationIntervals, OutOfScopeScores, ReliabilityBin};

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let run = RunSummary {
            folder: "runs/a".into(),
            stopped: Stopped::Early,
            steps: 9,
            best_step: 6,
            tokens: 100,
            seconds: 1.5,
            peak_memory_bytes: Some(1 << 30),
        };
        let scores = ClassificationScores {
            texts: 2,
            loss: None,
            accuracy: 0.5,
            accuracy_standard_error: 0.25,
            macro_f1: 0.5,
            macro_f1_standard_error: 0.125,
            macro_f1_of_occurring: Some(0.75),
            absent_labels: vec!["b".to_owned()],
            labels: vec!["a".to_owned(), "b".to_owned()],
            confusion: vec![vec![1, 0], vec![1, 0]],
            confusion_cells: vec![(0, 1, 2)],
            macro_average: Some(AverageScores { precision: 0.1, recall: 0.2, f1: 0.5 }),
            weighted_average: Some(AverageScores { precision: 0.3, recall: 0.4, f1: 0.6 }),
            mcc: Some(0.7),
            auroc: Some(0.8),
            calibration_error: Some(0.9),
            intervals: Some(ClassificationIntervals {
                accuracy: (0.0, 1.0),
                macro_f1: (0.1, 0.9),
                mcc: (-0.5, 0.5),
                auroc: Some((0.25, 0.75)),
            }),
            classes: vec![ClassReport {
                label: "a".to_owned(),
                precision: 1.0,
                recall: 0.5,
                f1: 0.75,
                support: 3,
                auroc: Some(0.125),
            }],
            out_of_scope: Some(OutOfScopeScores { texts: 3, auroc: 0.75, interval: Some((0.5, 1.0)) }),
            reliability: vec![ReliabilityBin { count: 4, accuracy: 0.5, probability: 0.625 }],
        };
        let baseline = Baseline { name: "majority class".to_owned(), scores: scores.clone() };
        let report = FinetuneReport {
            run,
            training_texts: 8,
            repeated: RepeatedTexts { rows: 3, ..RepeatedTexts::default() },
            majority_accuracy: Some(0.5),
            validation: scores,
            test: None,
            baselines: vec![baseline],
        };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["stopped"], &json["steps"]), (&report.run.stopped.reason().into(), &9.into()));
        assert_eq!((&json["baselines"][0]["name"], json.get("test")), (&"majority class".into(), None));
        assert_eq!(serde_json::from_value::<FinetuneReport>(json).unwrap(), report);
    }

    #[test]
    fn the_reason_is_the_word_in_json() {
        for stopped in [Stopped::Finished, Stopped::Early] {
            assert_eq!(serde_json::to_value(stopped).unwrap(), stopped.reason());
        }
    }
}
