//! Settings of the tasks that classify texts.

use std::collections::BTreeMap;
use std::path::Path;

use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::settings;
use burnformer_data::labelled::LabelledTexts;
use burnformer_tasks::ClassificationLoss;
use burnformer_train::RunFolder;
use serde::{Deserialize, Serialize};

use super::FinetuneSettings;
use crate::RecipeError;

/// Settings of text classification. The defaults change nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassificationSettings {
    /// `true` draws each class equally often; an epoch has as many texts as before.
    pub balanced_sampling: bool,
    /// Share of the target distribution that is spread evenly over all classes, in `[0, 1)`.
    pub label_smoothing: f64,
    /// Weight of R-Drop, the divergence between two passes with different dropout; 0 for one pass. It is 0 for a model without
    /// dropout.
    pub r_drop: f64,
    /// Class of texts that have none of the classes; absent if there are none. They are not trained on: it is measured how well
    /// they are told apart by the probability of the answer.
    pub out_of_scope: Option<String>,
    /// Weights of the classes in the loss; absent for equal weights.
    pub class_weights: Option<ClassWeights>,
}

/// Weights of the classes in the loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// By their numbers of training texts.
    Rule(ClassWeightRule),
    /// By name; 1 for a class that is not named.
    Named(BTreeMap<String, f64>),
}

/// How weights follow from the numbers of training texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeightRule {
    /// `n / (n_classes · n_of_class)`, so that all classes weigh the same, as scikit-learn has it. A class without a training
    /// text has the weight 1.
    Balanced,
}

impl Validate for ClassificationSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let class_weights = match &self.class_weights {
            Some(ClassWeights::Named(weights)) => weights.values().map(|&weight| weight as f32).collect(),
            _ => Vec::new(),
        };
        // The classes that are not named have a weight of 1.
        let all_zero = class_weights.iter().all(|&weight| weight == 0.0);
        let class_weights = if all_zero { Vec::new() } else { class_weights };
        ClassificationLoss { class_weights, label_smoothing: self.label_smoothing, r_drop: self.r_drop }.validate()
    }
}

impl ClassificationSettings {
    /// The loss on these training texts.
    ///
    /// # Errors
    /// [`RecipeError::NoSuchClass`] if a weight is that of no class, [`ConfigError::OutOfRange`] if all weights are 0.
    pub(super) fn loss(&self, train: &LabelledTexts) -> Result<ClassificationLoss, RecipeError> {
        let weights = match &self.class_weights {
            None => Vec::new(),
            Some(ClassWeights::Rule(ClassWeightRule::Balanced)) => balanced(&train.class_counts()),
            Some(ClassWeights::Named(weights)) => {
                if let Some(name) = weights.keys().find(|name| !train.labels.contains(name)) {
                    let (name, known) = (name.clone(), train.labels.clone());
                    return Err(RecipeError::NoSuchClass { key: "classification.class_weights", name, known });
                }
                train.labels.iter().map(|label| weights.get(label).copied().unwrap_or(1.0) as f32).collect()
            }
        };
        let loss =
            ClassificationLoss { class_weights: weights, label_smoothing: self.label_smoothing, r_drop: self.r_drop };
        loss.validate().map_err(|error| error.within("classification"))?;
        Ok(loss)
    }
}

fn balanced(counts: &[u64]) -> Vec<f32> {
    let n_classes = counts.iter().filter(|&&count| count > 0).count();
    let all: u64 = counts.iter().sum();
    let weight = |&count: &u64| if count == 0 { 1.0 } else { (all as f64 / (n_classes as u64 * count) as f64) as f32 };
    counts.iter().map(weight).collect()
}

/// Settings of multi-label classification.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MultiLabelSettings {
    /// Least probability of a label that counts as predicted, in `[0, 1]`.
    pub threshold: f64,
}

impl Default for MultiLabelSettings {
    fn default() -> Self {
        Self { threshold: 0.5 }
    }
}

impl MultiLabelSettings {
    /// The settings of the run in `folder`; the defaults if it is that of no such run.
    ///
    /// # Errors
    /// If its settings cannot be read.
    pub fn of_run(folder: &Path) -> Result<Self, RecipeError> {
        let file = RunFolder::settings_file(folder);
        if !file.is_file() {
            return Ok(Self::default());
        }
        Ok(settings::reload::<FinetuneSettings>(&file, &[])?.multi_label)
    }
}

impl Validate for MultiLabelSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let is_probability = (0.0..=1.0).contains(&self.threshold);
        ConfigError::check("threshold", &self.threshold, is_probability, "a value in [0, 1]")
    }
}

#[cfg(test)]
mod tests {
    use burnformer_data::labelled::Example;

    use super::*;

    fn texts(counts: &[(&str, usize)]) -> LabelledTexts {
        let labels = counts.iter().map(|(label, _)| (*label).to_owned()).collect();
        let examples = counts
            .iter()
            .zip(0..)
            .flat_map(|(&(_, n), label)| (0..n).map(move |i| Example { text: i.to_string(), pair: None, label }));
        LabelledTexts { labels, examples: examples.collect(), ..LabelledTexts::default() }
    }

    fn weights(toml: &str, texts: &LabelledTexts) -> Result<Vec<f32>, String> {
        let settings: ClassificationSettings =
            burnformer_core::settings::reload_text("a.toml", toml, &[]).map_err(|error| error.to_string())?;
        settings.loss(texts).map(|loss| loss.class_weights).map_err(|error| error.to_string())
    }

    /// Those of scikit-learn 1.9: `compute_class_weight("balanced", classes=[0, 1, 2], y=[0] * 6 + [1] * 3 + [2])`.
    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        let found = weights("class_weights = 'balanced'", &texts(&[("a", 6), ("b", 3), ("c", 1)])).unwrap();
        assert_eq!(found, [0.555_555_6, 1.111_111_2, 3.333_333_3]);
        assert_eq!(weights("class_weights = 'balanced'", &texts(&[("a", 6), ("b", 0)])).unwrap(), [1.0, 1.0]);
    }

    #[test]
    fn weights_by_name_are_those_of_their_classes() {
        let texts = texts(&[("a", 6), ("b", 3)]);
        assert_eq!(weights("class_weights.b = 2.5", &texts), Ok(vec![1.0, 2.5]));
        assert_eq!(weights("label_smoothing = 0.1", &texts), Ok(vec![]));
        let unknown = "`classification.class_weights` names the class `c`, which no text has: the classes are a, b";
        assert_eq!(weights("class_weights.c = 2", &texts), Err(unknown.to_owned()));
        let zero = "`classification.class_weights` is 0 for every class, expected at least one positive weight";
        assert_eq!(weights("class_weights = { a = 0, b = 0 }", &texts), Err(zero.to_owned()));
        let negative = "`a.toml` line 1 leaves `class_weights` with an invalid value";
        assert_eq!(weights("class_weights.a = -1", &texts), Err(negative.to_owned()));
    }
}
