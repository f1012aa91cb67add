//! What the logits of a classifier of texts mean.

use crate::hf::ConfigJson;
use crate::{ModelError, OutputActivation};
use serde_json::{Map, Value, json};

/// What the logits of a classifier of texts mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// One of several classes: probabilities by softmax.
    Classes,
    /// Any number of labels, each with a probability of its own: by the logistic function.
    Labels,
    /// One score, which is this function of the logit.
    Score(OutputActivation),
}

impl Outputs {
    /// Name of the single label of a model that gives a score, as transformers has it.
    pub const SCORE_LABEL: &'static str = "LABEL_0";

    /// What a text gets, as messages say it.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Classes => "one class",
            Self::Labels => "any number of labels",
            Self::Score(_) => "a score",
        }
    }
}

/// `problem_type` in a `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    SingleLabel,
    MultiLabel,
    Regression,
}

const PROBLEMS: [(Problem, &str); 3] = [
    (Problem::SingleLabel, "single_label_classification"),
    (Problem::MultiLabel, "multi_label_classification"),
    (Problem::Regression, "regression"),
];

/// Key of the settings of a cross-encoder, and of the function of its score, since version 4 of sentence-transformers.
const CROSS_ENCODER: &str = "sentence_transformers";
const ACTIVATION: &str = "activation_fn";
/// Key of that function before.
const FORMER_ACTIVATION: &str = "sbert_ce_default_activation_function";

/// What a file says of the outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose {
    pub(super) problem: Option<Problem>,
    /// Function of the score of a cross-encoder.
    pub(super) activation: Option<OutputActivation>,
}

impl Default for Purpose {
    fn default() -> Self {
        Self { problem: Some(Problem::SingleLabel), activation: None }
    }
}

impl From<Outputs> for Purpose {
    /// A single score has no `problem_type` that all libraries read alike, so its function is named too.
    fn from(outputs: Outputs) -> Self {
        match outputs {
            Outputs::Classes => Self::default(),
            Outputs::Labels => Self { problem: Some(Problem::MultiLabel), activation: None },
            Outputs::Score(activation) => {
                let problem = (activation == OutputActivation::Identity).then_some(Problem::Regression);
                Self { problem, activation: Some(activation) }
            }
        }
    }
}

impl Purpose {
    /// What the file says of a model with `n_labels` outputs.
    pub(super) fn read(json: &ConfigJson, n_labels: usize) -> Result<Self, ModelError> {
        let problem = match json.get::<String>("problem_type")? {
            None => None,
            Some(name) => {
                let problem = PROBLEMS.into_iter().find(|(_, known)| *known == name).map(|(problem, _)| problem);
                let fits = |problem: &Problem| match problem {
                    Problem::SingleLabel => n_labels > 1,
                    Problem::MultiLabel => true,
                    Problem::Regression => n_labels == 1,
                };
                let expected = || {
                    let known = PROBLEMS.into_iter().filter(|(problem, _)| fits(problem));
                    let known: Vec<String> = known.map(|(_, name)| format!("`{name}`")).collect();
                    let labels = if n_labels == 1 { "is 1 label" } else { &format!("are {n_labels} labels") };
                    format!("{}, as there {labels}", known.join(" or "))
                };
                let error = || json.setting("problem_type", Some(&json!(name)), expected());
                Some(problem.filter(fits).ok_or_else(error)?)
            }
        };
        let settings = json.get::<Map<String, Value>>(CROSS_ENCODER)?.unwrap_or_default();
        let named = settings.get(ACTIVATION).filter(|name| !name.is_null()).map(|name| (CROSS_ENCODER, name.clone()));
        let named = match named {
            None => json.get::<Value>(FORMER_ACTIVATION)?.map(|name| (FORMER_ACTIVATION, name)),
            named => named,
        };
        let read = |(key, name): (&'static str, Value)| {
            serde_json::from_value::<OutputActivation>(name).map_err(|source| json.wrong_type(key, source))
        };
        Ok(Self { problem, activation: named.map(read).transpose()? })
    }

    /// Adds what is said of the outputs to the content of a file.
    pub(super) fn write(self, json: &mut Map<String, Value>) {
        let name = self.problem.and_then(|problem| PROBLEMS.into_iter().find(|(known, _)| *known == problem));
        json.insert("problem_type".to_owned(), json!(name.map(|(_, name)| name)));
        if let Some(activation) = self.activation {
            json.insert(CROSS_ENCODER.to_owned(), json!({ ACTIVATION: activation }));
        }
    }

    /// As the pipeline of transformers does, except that a cross-encoder may name another function of its score.
    pub(super) fn outputs(self, n_labels: usize) -> Outputs {
        match (self.problem, self.activation) {
            (_, Some(activation)) if n_labels == 1 => Outputs::Score(activation),
            (Some(Problem::MultiLabel), _) => Outputs::Labels,
            (Some(Problem::Regression), _) => Outputs::Score(OutputActivation::Identity),
            _ if n_labels == 1 => Outputs::Score(OutputActivation::Sigmoid),
            _ => Outputs::Classes,
        }
    }
}
