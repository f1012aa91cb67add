//! Classification of whole sequences.

use super::outputs::{Outputs, Purpose};
use super::{BertPooler, kept, labels};
use crate::bert::{BertVariant, files};
use crate::hf::ConfigJson;
use crate::{
    Architecture, Bert, BertConfig, BertInput, Head, Loaded, ModelClass, ModelError, OutputActivation, Pretrained,
};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_nn::{DropoutRng, Linear, LinearConfig, init};
use burnformer_ops::{self as ops, Dropout};
use serde_json::{Map, Value, json};
use std::path::Path;

/// BERT, or one of its variants, with a classifier on its pooler.
///
/// Source: Devlin et al. 2019, section 4.1; dropout in front of the classifier is in their code alone.
#[derive(Module, Debug)]
pub struct BertForSequenceClassification {
    bert: Bert,
    pooler: BertPooler,
    dropout: f64,
    classifier: Linear,
    #[module(skip)]
    labels: Vec<String>,
    #[module(skip)]
    purpose: Purpose,
}

impl BertForSequenceClassification {
    /// Allocates the model on `device`, zero until it is initialised or loaded. `labels` are the names of the classes.
    ///
    /// # Panics
    /// If the config is not valid, or there are no labels.
    #[must_use]
    pub fn new(config: &BertConfig, labels: &[String], device: &Device) -> Self {
        Self::with_dropout(config, labels, config.dropout, device)
    }

    /// [`Self::new`] with another dropout in front of the classifier than in the body.
    fn with_dropout(config: &BertConfig, labels: &[String], dropout: f64, device: &Device) -> Self {
        Self {
            bert: Bert::new(config, device),
            pooler: BertPooler::new(config, dropout, device),
            dropout,
            classifier: LinearConfig::new(config.d_model, labels.len()).init(device),
            labels: labels.to_vec(),
            purpose: Purpose::default(),
        }
    }

    /// A model with initial weights. Its body is that of [`BertForPreTraining::init`](crate::BertForPreTraining::init)
    /// with the same seed.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn init(config: &BertConfig, labels: &[String], seed: u64, device: &Device) -> Self {
        init::by_name(Self::new(config, labels, device), seed, init::truncated_normal(config.init_std))
    }

    /// The same model with logits of another meaning, which its files name: `problem_type` in `config.json`, and of a score its
    /// function, as cross-encoders of sentence-transformers have it.
    ///
    /// # Panics
    /// If a score is asked for and there are several labels, or classes and there is one.
    #[must_use]
    pub fn with_outputs(self, outputs: Outputs) -> Self {
        let fits = match outputs {
            Outputs::Classes => self.labels.len() > 1,
            Outputs::Labels => true,
            Outputs::Score(_) => self.labels.len() == 1,
        };
        assert!(fits, "outputs: {} of a model with {} labels", outputs.noun(), self.labels.len());
        Self { purpose: Purpose::from(outputs), ..self }
    }

    /// Loads the body and the pooler of a pretrained model, with a new classifier initialised from `seed`. The folder
    /// may hold any BERT or one of its variants, with any head or none. A missing pooler is initialised from `seed`
    /// too. A classifier of texts with the same classes, in whatever order, is kept.
    ///
    /// # Errors
    /// If the folder holds no such model, or files that do not fit together.
    ///
    /// # Panics
    /// If there are no labels.
    pub fn from_pretrained(
        folder: &Path,
        labels: &[String],
        seed: u64,
        device: &Device,
    ) -> Result<Loaded<Self>, ModelError> {
        Self::from_pretrained_with_outputs(folder, labels, Outputs::Classes, seed, device)
    }

    /// [`Self::from_pretrained`] of a model with these outputs. A classifier is kept if it has the same outputs and labels; that
    /// of a score whatever its label is called.
    ///
    /// # Errors
    /// As [`Self::from_pretrained`].
    ///
    /// # Panics
    /// If there are no labels.
    pub fn from_pretrained_with_outputs(
        folder: &Path,
        labels: &[String],
        outputs: Outputs,
        seed: u64,
        device: &Device,
    ) -> Result<Loaded<Self>, ModelError> {
        let json = ConfigJson::read(folder)?;
        let config = BertConfig::read(&json)?;
        let dropout = read_dropout(&json, &config)?;
        let purpose = Purpose::from(outputs);
        let new = || Self { purpose, ..Self::with_dropout(&config, labels, dropout, device) };
        let names = classifier_names(&config);
        // Labels that cannot be read are no reason not to train others, nor are outputs of another meaning.
        let has_outputs =
            |found: &Vec<String>| Purpose::read(&json, found.len()).is_ok_and(|it| it.outputs(found.len()) == outputs);
        let found = labels::read(&json, folder, &names[0]).ok().filter(has_outputs);
        let wanted =
            |found: &[String]| if matches!(outputs, Outputs::Score(_)) { found.to_vec() } else { labels.to_vec() };
        let Some(rows) = found.and_then(|found| kept::rows(folder, Self::HEAD, &found, &wanted(&found))) else {
            return files::load_with_fresh_head(&config, folder, seed, &[], new);
        };
        let loaded = files::load_with_fresh_head(&config, folder, seed, &["pooler.", "classifier."], new)
            .map_err(|error| labels::head_size(error, &names))?;
        let classifier = kept::with_rows(loaded.model.classifier, &rows)?;
        Ok(Loaded { model: Self { classifier, ..loaded.model }, ..loaded })
    }

    /// # Shapes
    /// - input: see [`BertInput`]
    /// - returns: logits, `[batch_size, n_labels]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, input: BertInput) -> Tensor<2> {
        let [_, in_head, in_pooler] = input.rng.again().split();
        self.classify(self.hidden(input), in_pooler, in_head)
    }

    /// The body's part of [`Self::forward`], with the same random draws.
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn hidden(&self, input: BertInput) -> Tensor<3> {
        let [in_body] = input.rng.split();
        self.bert.forward(BertInput { rng: in_body, ..input })
    }

    /// [`Self::forward`], and the attention weights of every layer and head, before dropout.
    ///
    /// # Shapes
    /// - returns: `[batch_size, n_labels]`, `[batch_size, n_heads, seq_length, seq_length]` for each layer
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_with_attn_weights(&self, input: BertInput) -> (Tensor<2>, Vec<Tensor<4>>) {
        let [in_body, in_head, in_pooler] = input.rng.split();
        let (hidden, weights) = self.bert.forward_with_attn_weights(BertInput { rng: in_body, ..input });
        (self.classify(hidden, in_pooler, in_head), weights)
    }

    fn classify(&self, hidden: Tensor<3>, in_pooler: DropoutRng, in_head: DropoutRng) -> Tensor<2> {
        let pooled = self.pooler.forward(hidden, in_pooler);
        let pooled = ops::dropout(pooled, None, Dropout::new(self.dropout, in_head));
        self.classifier.forward(pooled)
    }

    /// What the logits mean, and how they become probabilities or scores.
    #[must_use]
    pub fn outputs(&self) -> Outputs {
        self.purpose.outputs(self.labels.len())
    }

    /// What the logits of the classifier in `folder` mean, without loading its weights.
    ///
    /// # Errors
    /// If the folder holds no classifier, or its files contradict each other.
    pub fn outputs_of(folder: &Path) -> Result<Outputs, ModelError> {
        ModelClass::expect(&[Self::HEAD], Self::ARCHITECTURES, folder)?;
        let json = ConfigJson::read(folder)?;
        let labels = labels::read(&json, folder, &classifier_names(&BertConfig::read(&json)?)[0])?;
        Ok(Purpose::read(&json, labels.len())?.outputs(labels.len()))
    }

    /// Function of the score of a cross-encoder, if its files name one.
    #[must_use]
    pub fn score_activation(&self) -> Option<OutputActivation> {
        self.purpose.activation
    }

    /// The same model as a cross-encoder with this function of its score.
    #[must_use]
    pub fn with_score_activation(self, activation: OutputActivation) -> Self {
        Self { purpose: Purpose { activation: Some(activation), ..self.purpose }, ..self }
    }

    /// The body.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }
}

impl Pretrained for BertForSequenceClassification {
    type Config = BertConfig;

    const HEAD: Head = Head::SequenceClassification;
    const ARCHITECTURES: &'static [Architecture] = &BertVariant::ARCHITECTURES;

    fn config(&self) -> &BertConfig {
        self.bert.config()
    }

    fn attn_weights(&self, input: BertInput) -> Option<Vec<Tensor<4>>> {
        Some(self.bert.forward_with_attn_weights(input).1)
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn outputs(&self) -> Option<Outputs> {
        Some(Self::outputs(self))
    }

    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        ModelClass::expect(&[Self::HEAD], Self::ARCHITECTURES, folder)?;
        let json = ConfigJson::read(folder)?;
        let config = BertConfig::read(&json)?;
        let names = classifier_names(&config);
        let (labels, dropout) = (labels::read(&json, folder, &names[0])?, read_dropout(&json, &config)?);
        let purpose = Purpose::read(&json, labels.len())?;
        files::load(&config, folder, || Self { purpose, ..Self::with_dropout(&config, &labels, dropout, device) })
            .map_err(|error| labels::head_size(error, &names))
    }

    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let config = self.config();
        let mut json = config.to_json(self.class());
        self.purpose.write(&mut json);
        write_dropout(self.dropout, config, &mut json);
        files::save(self, Vec::new(), config, &labels::WithLabels::new(&json, &self.labels)?, folder)
    }
}

fn classifier_names(config: &BertConfig) -> [String; 2] {
    ["classifier.weight", "classifier.bias"].map(|path| config.variant.weight_name(path))
}

/// Dropout in front of the classifier: that of the body unless the file sets it; DistilBERT has its own default.
pub(super) fn read_dropout(json: &ConfigJson, config: &BertConfig) -> Result<f64, ModelError> {
    let details = config.variant.details();
    let key = details.classifier_dropout_key;
    let dropout: f64 = json.get(key)?.or(details.classifier_dropout).unwrap_or(config.dropout);
    let is_probability = (0.0..1.0).contains(&dropout);
    let error = || json.setting(key, Some(&json!(dropout)), "a value in [0, 1)".to_owned());
    is_probability.then_some(dropout).ok_or_else(error)
}

pub(super) fn write_dropout(dropout: f64, config: &BertConfig, json: &mut Map<String, Value>) {
    let details = config.variant.details();
    let of_body = details.classifier_dropout.is_none() && dropout == config.dropout;
    let dropout = if of_body { Value::Null } else { json!(dropout) };
    json.insert(details.classifier_dropout_key.to_owned(), dropout);
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
            let json = ConfigJson::read(folder.path()).unwrap();
            let config = BertConfig::read(&json).unwrap();
            let mut found = config.to_json(ModelClass::of_model(variant.architecture(), Head::Body));
            write_dropout(read_dropout(&json, &config).unwrap(), &config, &mut found);
            let expected = &expected[model_type];
            let mut n_compared = 0;
            for (key, value) in found.iter().filter(|(key, _)| expected.get(key).is_some()) {
                if key != "architectures" {
                    assert_eq!(expected[key], *value, "{model_type}: {key}");
                    n_compared += 1;
                }
            }
            assert_eq!(n_compared, if variant == BertVariant::DistilBert { 14 } else { 18 }, "{model_type}");
        }
    }
}
