//! `config.json` of a BERT model, as transformers writes it.

use super::{BertConfig, BertVariant};
use crate::folder::{ConfigJson, pretty, shown};
use crate::{ModelError, ModelKind};
use burnformer_core::{ConfigError, Validate};
use burnformer_nn::Activation;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What a `config.json` says.
pub(super) struct ConfigFile {
    pub(super) bert: BertConfig,
    kind: ModelKind,
    classifier: Option<Classifier>,
}

/// What it says of a classifier.
pub(super) struct Classifier {
    pub(super) labels: Vec<String>,
    /// In front of it.
    pub(super) dropout: f64,
}

/// The only kind of positions there is here.
const ABSOLUTE: &str = "absolute";
/// The only kind of classifier there is here.
const SINGLE_LABEL: &str = "single_label_classification";

/// Names of the non-linearities; where one has several, the first is written.
pub(crate) const ACTIVATIONS: [(&str, Activation); 8] = [
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("linear", Activation::Identity),
];

/// Our settings, and their keys in a file of BERT or RoBERTa and in one of DistilBERT.
const KEYS: [(&str, &str, &str); 10] = [
    ("vocab_size", "vocab_size", "vocab_size"),
    ("max_seq_length", "max_position_embeddings", "max_position_embeddings"),
    ("d_model", "hidden_size", "dim"),
    ("n_layers", "num_hidden_layers", "n_layers"),
    ("n_heads", "num_attention_heads", "n_heads"),
    ("d_ff", "intermediate_size", "hidden_dim"),
    ("activation", "hidden_act", "activation"),
    ("dropout", "hidden_dropout_prob", "dropout"),
    ("attention_dropout", "attention_probs_dropout_prob", "attention_dropout"),
    ("init_std", "initializer_range", "initializer_range"),
];

/// Further settings, whose keys are the same in all files that have them.
const COMMON_KEYS: [(&str, &str); 4] = [
    ("n_segments", "type_vocab_size"),
    ("norm_eps", "layer_norm_eps"),
    ("pad_id", "pad_token_id"),
    ("tied_embeddings", "tie_word_embeddings"),
];

impl BertVariant {
    fn key(self, field: &str) -> &'static str {
        let of_variant = |&(_, bert, distil_bert)| if self == Self::DistilBert { distil_bert } else { bert };
        let own = KEYS.iter().find(|(ours, ..)| *ours == field).map(of_variant);
        let common = || COMMON_KEYS.iter().find(|(ours, _)| *ours == field).map(|(_, theirs)| *theirs);
        own.or_else(common).expect("every setting has a key")
    }

    /// The key of the dropout in front of a classifier.
    fn classifier_dropout_key(self) -> &'static str {
        if self == Self::DistilBert { "seq_classif_dropout" } else { "classifier_dropout" }
    }

    /// What transformers supposes where a file says nothing.
    fn default_config(self) -> BertConfig {
        let base = BertConfig::preset("bert-base", 30_522, 0).expect("a published size");
        match self {
            Self::Bert => base,
            Self::Roberta => BertConfig { variant: self, vocab_size: 50_265, pad_id: 1, max_seq_length: 510, ..base },
            Self::DistilBert => BertConfig { variant: self, n_layers: 6, n_segments: 0, ..base },
        }
    }
}

impl BertConfig {
    /// The settings in the `config.json` of the folder of a BERT or one of its variants.
    ///
    /// # Errors
    /// If the folder holds no such model, or one with settings that are not supported.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        read(&ConfigJson::read(folder)?)
    }
}

/// The settings of the body, refused where they ask for another model than this.
fn read(json: &ConfigJson) -> Result<BertConfig, ModelError> {
    let variant = variant(json)?;
    let wanted = [
        ("is_decoder", json!(false)),
        ("add_cross_attention", json!(false)),
        ("position_embedding_type", json!(ABSOLUTE)),
    ];
    for (key, expected) in wanted {
        if let Some(found) = json.get::<Value>(key)?.filter(|found| *found != expected) {
            return Err(json.setting(key, Some(&found), format!("`{}`", shown(&expected))));
        }
    }
    let default = variant.default_config();
    let pad_id = json.get(variant.key("pad_id"))?.unwrap_or(default.pad_id);
    let mut config = BertConfig {
        variant,
        vocab_size: json.get(variant.key("vocab_size"))?.unwrap_or(default.vocab_size),
        max_seq_length: 0,
        n_segments: 0,
        d_model: json.get(variant.key("d_model"))?.unwrap_or(default.d_model),
        n_layers: json.get(variant.key("n_layers"))?.unwrap_or(default.n_layers),
        n_heads: json.get(variant.key("n_heads"))?.unwrap_or(default.n_heads),
        d_ff: json.get(variant.key("d_ff"))?.unwrap_or(default.d_ff),
        activation: activation(json, variant.key("activation"))?.unwrap_or(default.activation),
        dropout: json.get(variant.key("dropout"))?.unwrap_or(default.dropout),
        attention_dropout: json.get(variant.key("attention_dropout"))?.unwrap_or(default.attention_dropout),
        norm_eps: default.norm_eps,
        init_std: json.get(variant.key("init_std"))?.unwrap_or(default.init_std),
        pad_id,
        tied_embeddings: json.get(variant.key("tied_embeddings"))?.unwrap_or(default.tied_embeddings),
    };
    if variant != BertVariant::DistilBert {
        config.n_segments = json.get(variant.key("n_segments"))?.unwrap_or(default.n_segments);
        config.norm_eps = json.get(variant.key("norm_eps"))?.unwrap_or(default.norm_eps);
    }
    // Some rows of the table of positions may not be positions of tokens.
    let (key, first) = (variant.key("max_seq_length"), config.first_position());
    let n_positions: usize = json.get(key)?.unwrap_or(default.max_seq_length + default.first_position());
    let enough = |_: &usize| n_positions > first;
    config.max_seq_length = Some(n_positions)
        .filter(enough)
        .ok_or_else(|| json.setting(key, Some(&json!(n_positions)), format!("at least {}", first + 1)))?
        - first;
    config.validate().map_err(|error| in_their_words(error, variant, json))?;
    Ok(config)
}

/// By `model_type`, or by the class in `architectures` where that is missing; a file without both is of the first releases,
/// which had BERT alone.
pub(crate) fn variant(json: &ConfigJson) -> Result<BertVariant, ModelError> {
    json.check_type()?;
    let found = json.model_type()?.or(json.type_of_class()?.map(str::to_owned));
    let Some(found) = found else { return Ok(BertVariant::Bert) };
    let variant = BertVariant::ALL.into_iter().find(|variant| variant.model_type() == found);
    variant.ok_or_else(|| {
        let known = BertVariant::ALL.map(|variant| format!("`{}`", variant.model_type()));
        json.setting("model_type", Some(&json!(found)), known.join(" or "))
    })
}

/// A non-linearity by its name.
pub(crate) fn activation(json: &ConfigJson, key: &'static str) -> Result<Option<Activation>, ModelError> {
    let Some(found) = json.get::<String>(key)? else { return Ok(None) };
    match ACTIVATIONS.iter().find(|(name, _)| *name == found) {
        Some((_, activation)) => Ok(Some(*activation)),
        None => {
            let expected = ACTIVATIONS.map(|(name, _)| format!("`{name}`"));
            Err(json.setting(key, Some(&json!(found)), expected.join(" or ")))
        }
    }
}

/// The name of a non-linearity.
pub(crate) fn activation_name(activation: Activation) -> &'static str {
    ACTIVATIONS.iter().find(|(_, it)| *it == activation).map(|(name, _)| *name).expect("every activation has a name")
}

impl ConfigFile {
    pub(super) fn new(kind: ModelKind, bert: &BertConfig) -> Self {
        Self { bert: bert.clone(), kind, classifier: None }
    }

    /// The same for a classifier of these classes, with this dropout in front of it.
    pub(super) fn with_classifier(self, labels: &[String], dropout: f64) -> Self {
        Self { classifier: Some(Classifier { labels: labels.to_vec(), dropout }), ..self }
    }

    pub(super) fn to_json(&self) -> String {
        let config = &self.bert;
        let variant = config.variant;
        let mut json = Map::new();
        json.insert("architectures".to_owned(), json!([self.kind.class(variant)]));
        json.insert("model_type".to_owned(), json!(variant.model_type()));
        let mut set = |field, value: Value| json.insert(variant.key(field).to_owned(), value);
        set("vocab_size", json!(config.vocab_size));
        set("max_seq_length", json!(config.max_seq_length + config.first_position()));
        set("d_model", json!(config.d_model));
        set("n_layers", json!(config.n_layers));
        set("n_heads", json!(config.n_heads));
        set("d_ff", json!(config.d_ff));
        set("activation", json!(activation_name(config.activation)));
        set("dropout", json!(config.dropout));
        set("attention_dropout", json!(config.attention_dropout));
        set("init_std", json!(config.init_std));
        set("pad_id", json!(config.pad_id));
        set("tied_embeddings", json!(config.tied_embeddings));
        if variant != BertVariant::DistilBert {
            set("n_segments", json!(config.n_segments));
            set("norm_eps", json!(config.norm_eps));
            for (key, value) in [
                ("is_decoder", json!(false)),
                ("add_cross_attention", json!(false)),
                ("position_embedding_type", json!(ABSOLUTE)),
            ] {
                json.insert(key.to_owned(), value);
            }
        }
        if let Some(Classifier { labels, dropout }) = &self.classifier {
            let of_body = variant != BertVariant::DistilBert && *dropout == config.dropout;
            let dropout = if of_body { Value::Null } else { json!(dropout) };
            json.insert(variant.classifier_dropout_key().to_owned(), dropout);
            let by_id: BTreeMap<usize, &String> = labels.iter().enumerate().collect();
            let by_label: BTreeMap<&String, usize> = labels.iter().zip(0..).collect();
            json.insert("id2label".to_owned(), json!(by_id));
            json.insert("label2id".to_owned(), json!(by_label));
            json.insert("problem_type".to_owned(), json!(SINGLE_LABEL));
        }
        pretty(&json)
    }
}

impl Classifier {
    /// Of a folder that holds one.
    pub(super) fn read(folder: &Path, config: &BertConfig) -> Result<Self, ModelError> {
        let json = ConfigJson::read(folder)?;
        Ok(Self { labels: labels(&json)?, dropout: classifier_dropout(&json, config)? })
    }
}

/// The names of the classes; a file without them is of the two classes that transformers supposes.
fn labels(json: &ConfigJson) -> Result<Vec<String>, ModelError> {
    if let Some(found) = json.get::<String>("problem_type")?.filter(|found| found != SINGLE_LABEL) {
        return Err(json.setting("problem_type", Some(&json!(found)), format!("`{SINGLE_LABEL}`")));
    }
    match json.get::<BTreeMap<usize, String>>("id2label")? {
        None => Ok(vec!["LABEL_0".to_owned(), "LABEL_1".to_owned()]),
        Some(labels) if labels.len() > 1 && labels.keys().copied().eq(0..labels.len()) => {
            Ok(labels.into_values().collect())
        }
        Some(labels) => {
            let found: Vec<String> = labels.keys().map(usize::to_string).collect();
            let expected = "labels for two classes or more, numbered from 0".to_owned();
            Err(json.setting("id2label", Some(&json!(found.join(", "))), expected))
        }
    }
}

/// Dropout in front of a classifier, that of the body unless the file says otherwise; DistilBERT has one of its own.
pub(super) fn classifier_dropout(json: &ConfigJson, config: &BertConfig) -> Result<f64, ModelError> {
    let key = config.variant.classifier_dropout_key();
    let default = if config.variant == BertVariant::DistilBert { 0.2 } else { config.dropout };
    let dropout: f64 = json.get(key)?.unwrap_or(default);
    let is_probability = (0.0..1.0).contains(&dropout);
    let error = || json.setting(key, Some(&json!(dropout)), "a value in [0, 1)".to_owned());
    is_probability.then_some(dropout).ok_or_else(error)
}

/// A setting that cannot work, by its key in the file.
fn in_their_words(error: ConfigError, variant: BertVariant, json: &ConfigJson) -> ModelError {
    let key = variant.key(error.field());
    match &error {
        ConfigError::OutOfRange { value, range, .. } => json.setting(key, Some(&json!(value)), (*range).to_owned()),
        ConfigError::HeadsDoNotDivide { d_model, n_heads, .. } => {
            let expected = format!("a divisor of `{}` ({d_model})", variant.key("d_model"));
            json.setting(key, Some(&json!(n_heads)), expected)
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_leaves_out_is_as_in_transformers() {
        let expected: Value = serde_json::from_str(include_str!("../../tests/fixtures/defaults.json")).unwrap();
        for variant in BertVariant::ALL {
            let folder = tempfile::tempdir().unwrap();
            let model_type = variant.model_type();
            std::fs::write(folder.path().join("config.json"), json!({ "model_type": model_type }).to_string()).unwrap();
            let config = BertConfig::load(folder.path()).unwrap();
            let dropout = Classifier::read(folder.path(), &config).unwrap().dropout;
            let file = ConfigFile::new(ModelKind::Body, &config).with_classifier(&[], dropout);
            let found: Value = serde_json::from_str(&file.to_json()).unwrap();
            let expected = &expected[model_type];
            let mut n_compared = 0;
            for (key, value) in found.as_object().unwrap().iter().filter(|(key, _)| expected.get(key).is_some()) {
                if !["id2label", "label2id", "architectures", "problem_type"].contains(&key.as_str()) {
                    assert_eq!(expected[key], *value, "{model_type}: {key}");
                    n_compared += 1;
                }
            }
            assert_eq!(n_compared, if variant == BertVariant::DistilBert { 14 } else { 18 }, "{model_type}");
        }
    }
}
