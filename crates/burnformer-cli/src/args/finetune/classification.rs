//! Flags of `burnformer finetune` for the tasks that classify texts.

use std::collections::BTreeMap;

use burnformer::recipes::finetune::{
    ClassWeightRule, ClassWeights, ClassificationSettings, FinetuneTask, MultiLabelSettings,
};
use clap::Args;

/// Technique of text classification, and of multi-label classification.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Text classification")]
pub(crate) struct ClassificationArgs {
    /// Weights of the classes in the loss: `balanced`, or `CLASS=WEIGHT,…` with 1 for all others [default: equal weights]
    #[arg(long, value_name = "WEIGHTS", conflicts_with = "resume", value_parser = class_weights)]
    pub(crate) class_weights: Option<ClassWeights>,

    /// Draw each class equally often in training
    #[arg(long, conflicts_with = "resume")]
    pub(crate) balanced_sampling: bool,

    /// Label smoothing: share of the target distribution spread evenly over all classes [default: 0]
    #[arg(long, value_name = "SHARE", conflicts_with = "resume")]
    pub(crate) label_smoothing: Option<f64>,

    /// Weight of R-Drop, the divergence between two passes with different dropout, of which the model must have some; takes twice
    /// the time [default: 0]
    #[arg(long, value_name = "WEIGHT", conflicts_with = "resume")]
    pub(crate) r_drop: Option<f64>,

    /// Class of texts that have none of the classes: they are not trained on, and `--test` measures how well they are told apart
    #[arg(long, value_name = "CLASS", conflicts_with = "resume")]
    pub(crate) out_of_scope: Option<String>,

    /// Least probability of a label that counts as predicted [default: 0.5]
    #[arg(long, value_name = "PROBABILITY", conflicts_with = "resume", help_heading = "Multi-label classification")]
    pub(crate) threshold: Option<f64>,
}

impl ClassificationArgs {
    /// The settings of text classification.
    pub(crate) fn classification(&self) -> ClassificationSettings {
        ClassificationSettings {
            balanced_sampling: self.balanced_sampling,
            label_smoothing: self.label_smoothing.unwrap_or_default(),
            r_drop: self.r_drop.unwrap_or_default(),
            out_of_scope: self.out_of_scope.clone(),
            class_weights: self.class_weights.clone(),
        }
    }

    /// The settings of multi-label classification.
    pub(crate) fn multi_label(&self) -> MultiLabelSettings {
        self.threshold.map_or_else(MultiLabelSettings::default, |threshold| MultiLabelSettings { threshold })
    }

    /// The flags that were given, and the tasks that they are for.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, FinetuneTask)> {
        let classes = FinetuneTask::TextClassification;
        let flags = [
            ("--class-weights", self.class_weights.is_some(), classes),
            ("--balanced-sampling", self.balanced_sampling, classes),
            ("--label-smoothing", self.label_smoothing.is_some(), classes),
            ("--r-drop", self.r_drop.is_some(), classes),
            ("--out-of-scope", self.out_of_scope.is_some(), classes),
            ("--threshold", self.threshold.is_some(), FinetuneTask::MultiLabelClassification),
        ];
        flags.into_iter().filter(|(_, is_given, _)| *is_given).map(|(flag, _, of)| (flag, of))
    }
}

fn class_weights(text: &str) -> Result<ClassWeights, String> {
    if text == "balanced" {
        return Ok(ClassWeights::Rule(ClassWeightRule::Balanced));
    }
    let weight = |pair: &str| {
        let (name, weight) = pair.rsplit_once('=')?;
        Some((name.to_owned(), weight.parse().ok()?))
    };
    let weights: Option<Vec<(String, f64)>> = text.split(',').map(weight).collect();
    let weights = weights.ok_or_else(|| "expected `balanced`, or weights such as `spam=5,ham=1`".to_owned())?;
    let mut named = BTreeMap::new();
    for (name, weight) in weights {
        if named.insert(name.clone(), weight).is_some() {
            return Err(format!("the class `{name}` has several weights, expected one"));
        }
    }
    Ok(ClassWeights::Named(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_classes_have_names() {
        assert_eq!(class_weights("balanced"), Ok(ClassWeights::Rule(ClassWeightRule::Balanced)));
        let named = [("a=b".to_owned(), 2.5), ("c".to_owned(), 1.0)];
        assert_eq!(class_weights("a=b=2.5,c=1"), Ok(ClassWeights::Named(named.into_iter().collect())));
        for wrong in ["", "a", "a=x", "a=1,", "Balanced", "a=2,a=3"] {
            assert!(class_weights(wrong).is_err(), "{wrong}");
        }
    }
}
