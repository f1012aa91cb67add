//! How runs ended.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ClassificationScores, PairScores, PretrainingScores};

/// How a run ended, whatever it trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Folder of the run.
    pub folder: PathBuf,
    /// Why it ended.
    pub stopped: Stopped,
    /// Updates of the weights.
    pub steps: u64,
    /// The step whose model is at the top of the folder.
    pub best_step: u64,
    /// Tokens trained on, padding left out.
    pub tokens: u64,
    /// Time spent on training, in seconds.
    pub seconds: f64,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stopped {
    /// It did all its steps.
    #[serde(rename = "all steps done")]
    Finished,
    /// Evaluations did not get better any more.
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
    /// How the run ended.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Scores of the best model on the validation samples, if there are any.
    pub validation: Option<PretrainingScores>,
}

/// The report of a fine-tuning run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinetuneReport {
    /// How the run ended.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Texts to train on.
    pub training_texts: u64,
    /// Scores of the best model on the texts that it was chosen by.
    pub validation: ClassificationScores,
    /// Scores of the best model on texts that nothing was chosen by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<ClassificationScores>,
    /// Simple methods on the test texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<Baseline>,
}

/// A simple method that a model is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Name of the method.
    pub name: String,
    /// Scores of its answers.
    #[serde(flatten)]
    pub scores: ClassificationScores,
}

/// The report of the training of an encoder–decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSeq2SeqReport {
    /// How the run ended.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Scores of the best model on the validation pairs, if there are any.
    pub validation: Option<PairScores>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let run = RunSummary {
            folder: "runs/a".into(),
            stopped: Stopped::Early,
            steps: 9,
            best_step: 6,
            tokens: 100,
            seconds: 1.5,
        };
        let scores = ClassificationScores {
            texts: 2,
            loss: None,
            accuracy: 0.5,
            accuracy_standard_error: 0.25,
            macro_f1: 0.5,
            macro_f1_standard_error: 0.125,
            labels: vec!["a".to_owned(), "b".to_owned()],
            confusion: vec![vec![1, 0], vec![1, 0]],
        };
        let baseline = Baseline { name: "majority class".to_owned(), scores: scores.clone() };
        let report =
            FinetuneReport { run, training_texts: 8, validation: scores, test: None, baselines: vec![baseline] };
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
