//! How good answers to texts with labels are.

use std::fmt::{self, Display, Formatter};

use burnformer::tasks::metrics::ConfusionMatrix;
use serde::Serialize;

use crate::output::fact;

/// How good answers to texts with labels are, by whoever gave them.
#[derive(Serialize)]
pub(super) struct ClassificationScores {
    texts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<f64>,
    pub(super) accuracy: f64,
    pub(super) accuracy_standard_error: f64,
    pub(super) macro_f1: f64,
    /// By drawing the texts anew.
    pub(super) macro_f1_standard_error: f64,
    labels: Vec<String>,
    /// `[truth][answer]`
    confusion: ConfusionMatrix,
}

impl ClassificationScores {
    /// The scores that follow from a confusion matrix, and the mean loss where there is one.
    pub(super) fn new(confusion: ConfusionMatrix, loss: Option<f64>, labels: &[String], seed: u64) -> Self {
        Self {
            texts: confusion.total(),
            loss,
            accuracy: confusion.accuracy(),
            accuracy_standard_error: confusion.accuracy_standard_error(),
            macro_f1: confusion.macro_f1(),
            macro_f1_standard_error: confusion.macro_f1_standard_error(seed),
            labels: labels.to_vec(),
            confusion,
        }
    }

    /// Each number with its name and its standard error.
    pub(super) fn lines(&self) -> Vec<(String, String)> {
        let with_error = |value: f64, error: f64| format!("{value:.4} ± {error:.4}");
        let mut lines = vec![("texts".to_owned(), self.texts.to_string())];
        lines.extend(self.loss.map(|loss| ("loss".to_owned(), format!("{loss:.4}"))));
        lines.extend([
            ("accuracy".to_owned(), with_error(self.accuracy, self.accuracy_standard_error)),
            ("macro F1".to_owned(), with_error(self.macro_f1, self.macro_f1_standard_error)),
        ]);
        lines
    }

    /// The confusion matrix for people.
    pub(super) fn table(&self) -> String {
        self.confusion.table(&self.labels)
    }
}

impl Display for ClassificationScores {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|(name, value)| fact(f, name, value))
    }
}
