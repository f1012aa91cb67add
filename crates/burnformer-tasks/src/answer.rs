//! What a classifier says of a text, as programs and people read it.

use burnformer_models::{OutputActivation, Outputs};
use serde::Serialize;

use crate::text_classification::{ClassProbability, Prediction};

/// How much is said of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerOptions {
    /// Number of most probable classes that are listed, if more than one.
    pub top_k: usize,
    /// Least probability of a label, where a text may have any number of them.
    pub threshold: f64,
}

/// What a classifier says of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// The most probable class.
    Class {
        /// Its name.
        label: &'a str,
        /// Its probability, in `[0, 1]`.
        probability: f64,
        /// The most probable classes, if more than one is asked for.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        classes: Vec<ClassProbability<'a>>,
    },
    /// The labels of a text.
    Labels {
        /// Those that are probable enough.
        labels: Vec<&'a str>,
        /// All labels, the most probable first.
        classes: Vec<ClassProbability<'a>>,
    },
    /// A score.
    Score {
        /// The score: any number.
        score: f64,
        /// The single label, if the score is its probability and more than one class is asked for.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        classes: Vec<ClassProbability<'a>>,
    },
}

impl<'a> Answer<'a> {
    /// The answer of a model with these outputs and labels.
    #[must_use]
    pub fn new(prediction: &'a Prediction, outputs: Outputs, labels: &'a [String], options: &AnswerOptions) -> Self {
        // The best class alone is in the answer anyway.
        let n = if options.top_k > 1 { options.top_k } else { 0 };
        match outputs {
            Outputs::Classes => Self::Class {
                label: &prediction.label,
                probability: prediction.probability,
                classes: prediction.top(labels, n),
            },
            Outputs::Labels => {
                let above = prediction.above(labels, options.threshold);
                let classes = prediction.top(labels, labels.len());
                Self::Labels { labels: above.iter().map(|class| class.label).collect(), classes }
            }
            Outputs::Score(activation) => {
                let n = if activation == OutputActivation::Sigmoid { n } else { 0 };
                Self::Score { score: prediction.probability, classes: prediction.top(labels, n) }
            }
        }
    }

    /// The answer for people: labels and probabilities as two columns, or a score as one, with a tab between columns.
    #[must_use]
    pub fn columns(&self) -> String {
        match self {
            Self::Class { label, probability, .. } => format!("{label}\t{probability:.4}"),
            Self::Labels { labels, classes } => {
                let probabilities = classes[..labels.len()].iter().map(|class| format!("{:.4}", class.probability));
                format!("{}\t{}", labels.join(", "), probabilities.collect::<Vec<_>>().join(", "))
            }
            Self::Score { score, .. } => format!("{score:.4}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_the_outputs_mean() {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let probabilities = vec![0.25, 0.75, 0.5];
        let prediction = Prediction { label: "b".to_owned(), index: 1, probability: 0.75, probabilities };
        let check = |outputs, labels: &[String], top_k, columns: &str, json: &str| {
            let answer = Answer::new(&prediction, outputs, labels, &AnswerOptions { top_k, threshold: 0.5 });
            assert_eq!(answer.columns(), columns);
            assert_eq!(serde_json::to_string(&answer).unwrap(), json);
        };
        check(Outputs::Classes, &labels, 1, "b\t0.7500", r#"{"label":"b","probability":0.75}"#);
        let two = r#"[{"label":"b","probability":0.75},{"label":"c","probability":0.5}]"#;
        let json = format!(r#"{{"label":"b","probability":0.75,"classes":{two}}}"#);
        check(Outputs::Classes, &labels, 2, "b\t0.7500", &json);
        let all = two.replace(']', r#",{"label":"a","probability":0.25}]"#);
        let json = format!(r#"{{"labels":["b","c"],"classes":{all}}}"#);
        check(Outputs::Labels, &labels, 1, "b, c\t0.7500, 0.5000", &json);
        let score = Outputs::Score(OutputActivation::Identity);
        check(score, &labels[..1], 9, "0.7500", r#"{"score":0.75}"#);
        let json = r#"{"score":0.75,"classes":[{"label":"a","probability":0.25}]}"#;
        check(Outputs::Score(OutputActivation::Sigmoid), &labels[..1], 9, "0.7500", json);
    }
}
