//! `config.json` of a BERT model, as transformers writes it.

use super::BertConfig;
use crate::folder::{self, setting};
use crate::{ModelError, ModelKind};
use burnformer_core::{ConfigError, Validate};
use burnformer_nn::Activation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The keys that matter here. Those that are missing have the same value as in transformers.
#[derive(Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ConfigFile {
    add_cross_attention: bool,
    architectures: Vec<String>,
    attention_probs_dropout_prob: f64,
    classifier_dropout: Option<f64>,
    hidden_act: String,
    hidden_dropout_prob: f64,
    hidden_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id2label: Option<BTreeMap<usize, String>>,
    initializer_range: f64,
    intermediate_size: usize,
    is_decoder: bool,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    label2id: Option<BTreeMap<String, usize>>,
    layer_norm_eps: f64,
    max_position_embeddings: usize,
    model_type: String,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    pad_token_id: Option<u32>,
    position_embedding_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem_type: Option<String>,
    type_vocab_size: usize,
    vocab_size: usize,
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self {
            add_cross_attention: false,
            architectures: Vec::new(),
            attention_probs_dropout_prob: 0.1,
            classifier_dropout: None,
            hidden_act: "gelu".to_owned(),
            hidden_dropout_prob: 0.1,
            hidden_size: 768,
            id2label: None,
            initializer_range: 0.02,
            intermediate_size: 3072,
            is_decoder: false,
            label2id: None,
            layer_norm_eps: 1e-12,
            max_position_embeddings: 512,
            model_type: BERT.to_owned(),
            num_attention_heads: 12,
            num_hidden_layers: 12,
            pad_token_id: Some(0),
            position_embedding_type: ABSOLUTE.to_owned(),
            problem_type: None,
            type_vocab_size: 2,
            vocab_size: 30_522,
        }
    }
}

const BERT: &str = "bert";
/// The only kind of positions there is here.
const ABSOLUTE: &str = "absolute";
/// The only kind of classifier there is here.
const SINGLE_LABEL: &str = "single_label_classification";

/// Names of the non-linearities; where one has several, the first is written.
const ACTIVATIONS: [(&str, Activation); 6] = [
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("linear", Activation::Identity),
];

/// Our settings and their keys here.
const KEYS: [(&str, &str); 12] = [
    ("vocab_size", "vocab_size"),
    ("max_seq_length", "max_position_embeddings"),
    ("n_segments", "type_vocab_size"),
    ("d_model", "hidden_size"),
    ("n_layers", "num_hidden_layers"),
    ("n_heads", "num_attention_heads"),
    ("d_ff", "intermediate_size"),
    ("dropout", "hidden_dropout_prob"),
    ("attention_dropout", "attention_probs_dropout_prob"),
    ("norm_eps", "layer_norm_eps"),
    ("init_std", "initializer_range"),
    ("pad_id", "pad_token_id"),
];

impl BertConfig {
    /// The settings in the `config.json` of a BERT's folder.
    ///
    /// # Errors
    /// If the folder holds no BERT, or one with settings that are not supported.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        ConfigFile::read(folder)?.settings(folder)
    }
}

impl ConfigFile {
    pub(super) fn new(kind: ModelKind, config: &BertConfig) -> Self {
        let (hidden_act, _) = ACTIVATIONS
            .into_iter()
            .find(|(_, activation)| *activation == config.activation)
            .expect("every activation has a name");
        Self {
            architectures: vec![kind.name().to_owned()],
            attention_probs_dropout_prob: config.attention_dropout,
            hidden_act: hidden_act.to_owned(),
            hidden_dropout_prob: config.dropout,
            hidden_size: config.d_model,
            initializer_range: config.init_std,
            intermediate_size: config.d_ff,
            layer_norm_eps: config.norm_eps,
            max_position_embeddings: config.max_seq_length,
            num_attention_heads: config.n_heads,
            num_hidden_layers: config.n_layers,
            pad_token_id: Some(config.pad_id),
            type_vocab_size: config.n_segments,
            vocab_size: config.vocab_size,
            ..Self::default()
        }
    }

    /// The same for a classifier of these classes, with this dropout in front of it.
    pub(super) fn with_classifier(self, labels: &[String], dropout: f64) -> Self {
        Self {
            classifier_dropout: (dropout != self.hidden_dropout_prob).then_some(dropout),
            id2label: Some(labels.iter().cloned().enumerate().collect()),
            label2id: Some(labels.iter().cloned().zip(0..).collect()),
            problem_type: Some(SINGLE_LABEL.to_owned()),
            ..self
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("keys are text") + "\n"
    }

    /// Reads the settings in `folder`, and refuses the ones that ask for another model than this.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        folder::expect_model_type(folder, BERT)?;
        let file: Self = folder::read_config(folder)?;
        let wanted = [
            ("is_decoder", file.is_decoder.to_string(), "false"),
            ("add_cross_attention", file.add_cross_attention.to_string(), "false"),
            ("position_embedding_type", file.position_embedding_type.clone(), ABSOLUTE),
        ];
        match wanted.into_iter().find(|(_, found, expected)| found != expected) {
            None => Ok(file),
            Some((key, found, expected)) => Err(setting(folder, key, Some(&found), format!("`{expected}`"))),
        }
    }

    /// What the file says about the body.
    pub(super) fn settings(&self, folder: &Path) -> Result<BertConfig, ModelError> {
        let activation = ACTIVATIONS.iter().find(|(name, _)| *name == self.hidden_act).ok_or_else(|| {
            let expected: Vec<String> = ACTIVATIONS.iter().map(|(name, _)| format!("`{name}`")).collect();
            setting(folder, "hidden_act", Some(&self.hidden_act), expected.join(" or "))
        })?;
        let config = BertConfig {
            vocab_size: self.vocab_size,
            max_seq_length: self.max_position_embeddings,
            n_segments: self.type_vocab_size,
            d_model: self.hidden_size,
            n_layers: self.num_hidden_layers,
            n_heads: self.num_attention_heads,
            d_ff: self.intermediate_size,
            activation: activation.1,
            dropout: self.hidden_dropout_prob,
            attention_dropout: self.attention_probs_dropout_prob,
            norm_eps: self.layer_norm_eps,
            init_std: self.initializer_range,
            pad_id: self.pad_token_id.unwrap_or(0),
        };
        config.validate().map_err(|error| in_their_words(error, folder))?;
        Ok(config)
    }

    /// The names of the classes; a file without them is of the two classes that transformers supposes.
    pub(super) fn labels(&self, folder: &Path) -> Result<Vec<String>, ModelError> {
        if let Some(found) = self.problem_type.as_ref().filter(|&found| found != SINGLE_LABEL) {
            return Err(setting(folder, "problem_type", Some(found), format!("`{SINGLE_LABEL}`")));
        }
        match &self.id2label {
            None => Ok(vec!["LABEL_0".to_owned(), "LABEL_1".to_owned()]),
            Some(labels) if !labels.is_empty() && labels.keys().copied().eq(0..labels.len()) => {
                Ok(labels.values().cloned().collect())
            }
            Some(labels) => {
                let found: Vec<String> = labels.keys().map(usize::to_string).collect();
                let expected = "a label for each class, numbered from 0".to_owned();
                Err(setting(folder, "id2label", Some(&found.join(", ")), expected))
            }
        }
    }

    /// Dropout in front of the classifier, that of the body unless the file says otherwise.
    pub(super) fn classifier_dropout(&self, folder: &Path) -> Result<f64, ModelError> {
        let dropout = self.classifier_dropout.unwrap_or(self.hidden_dropout_prob);
        let is_probability = (0.0..1.0).contains(&dropout);
        let error = || setting(folder, "classifier_dropout", Some(&dropout), "a value in [0, 1)".to_owned());
        is_probability.then_some(dropout).ok_or_else(error)
    }
}

/// A setting that cannot work, by its key in the file.
fn in_their_words(error: ConfigError, folder: &Path) -> ModelError {
    let key = |field: &str| KEYS.iter().find(|(ours, _)| *ours == field).map(|(_, theirs)| *theirs);
    match (key(error.field()), &error) {
        (Some(key), ConfigError::OutOfRange { value, range, .. }) => {
            setting(folder, key, Some(value), (*range).to_owned())
        }
        (Some(key), ConfigError::HeadsDoNotDivide { d_model, n_heads, .. }) => {
            setting(folder, key, Some(n_heads), format!("a divisor of `hidden_size` ({d_model})"))
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn what_a_file_leaves_out_is_as_in_transformers() {
        let expected: Value = serde_json::from_str(include_str!("../../tests/fixtures/defaults.json")).unwrap();
        let found: ConfigFile = serde_json::from_str("{}").unwrap();
        let found = serde_json::to_value(&found).unwrap();
        let theirs = found.as_object().unwrap().iter().filter(|(key, _)| expected.get(key).is_some());
        let n_compared = theirs.inspect(|(key, value)| assert_eq!(expected[key], **value, "{key}")).count();
        // All but `architectures` and `position_embedding_type`, which these are not settings of transformers' class.
        assert_eq!(n_compared, found.as_object().unwrap().len() - 2);
    }
}
