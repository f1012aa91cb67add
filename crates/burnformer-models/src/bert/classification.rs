//! BERT that sorts sequences into classes.

use super::files::Loaded;
use super::hugging_face::{Classifier, ConfigFile, classifier_dropout};
use super::{Bert, BertConfig, BertInput, BertPooler, files};
use crate::folder::ConfigJson;
use crate::{ModelError, ModelKind};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_nn::{DropoutRng, Linear, LinearConfig, init};
use burnformer_ops::{self as ops, Dropout};
use std::collections::BTreeSet;
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
}

impl BertForSequenceClassification {
    /// Allocates the model on `device`, zero until it is initialised or loaded.
    ///
    /// # Panics
    /// If the config is not valid, or `n_labels` is 0.
    #[must_use]
    pub fn new(config: &BertConfig, n_labels: usize, device: &Device) -> Self {
        Self::with_dropout(config, n_labels, config.dropout, device)
    }

    /// [`Self::new`] with another dropout in front of the classifier than in the body.
    fn with_dropout(config: &BertConfig, n_labels: usize, dropout: f64, device: &Device) -> Self {
        Self {
            bert: Bert::new(config, device),
            pooler: BertPooler::new(config, dropout, device),
            dropout,
            classifier: LinearConfig::new(config.d_model, n_labels).init(device),
        }
    }

    /// A model with initial weights. Its body is that of [`BertForPreTraining::init`](crate::BertForPreTraining::init)
    /// with the same seed.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn init(config: &BertConfig, n_labels: usize, seed: u64, device: &Device) -> Self {
        init::by_name(Self::new(config, n_labels, device), seed, init::truncated_normal(config.init_std))
    }

    /// # Shapes
    /// - input: see [`BertInput`]
    /// - returns: logits, `[batch_size, n_labels]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, input: BertInput) -> Tensor<2> {
        let [in_body, in_head, in_pooler] = input.rng.split();
        self.classify(self.bert.forward(BertInput { rng: in_body, ..input }), in_pooler, in_head)
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

    /// The body.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }

    /// Writes `config.json` and `model.safetensors` into a folder that exists, each as a whole or not at all. `config`
    /// is what the model was made of, `labels` names its classes.
    ///
    /// # Errors
    /// If there is not one label for each class, or the files cannot be written.
    pub fn save(&self, config: &BertConfig, labels: &[String], folder: &Path) -> Result<(), ModelError> {
        let [expected, _] = self.classifier.weight.lazy_shape().dims();
        let found = labels.iter().collect::<BTreeSet<_>>().len();
        if (labels.len(), found) != (expected, expected) {
            return Err(ModelError::Labels { found, expected });
        }
        let file = ConfigFile::new(ModelKind::SequenceClassification, config);
        files::save(self, Vec::new(), &file.with_classifier(labels, self.dropout), folder)
    }

    /// The model of a folder that [`Self::save`] or the `save_pretrained` of transformers wrote, its settings, and the
    /// names of its classes.
    ///
    /// # Errors
    /// If the folder holds another model, or files that do not fit together.
    pub fn load(folder: &Path, device: &Device) -> Result<(Self, BertConfig, Vec<String>), ModelError> {
        ModelKind::expect(&[ModelKind::SequenceClassification], folder)?;
        let config = BertConfig::load(folder)?;
        let Classifier { labels, dropout } = Classifier::read(folder, &config)?;
        let new = || Self::with_dropout(&config, labels.len(), dropout, device);
        let model = files::load(&config, folder, new).map_err(|error| head_size(error, &config))?;
        Ok((model, config, labels))
    }

    /// The body and the pooler of a pretrained model, and a fresh classifier from `seed`. The folder may hold any BERT or
    /// one of its variants: one for pretraining, another classifier, or the body alone. A pooler that is missing is fresh
    /// too.
    ///
    /// # Errors
    /// If the folder holds no such model, or files that do not fit together.
    ///
    /// # Panics
    /// If `n_labels` is 0.
    pub fn from_pretrained(folder: &Path, n_labels: usize, seed: u64, device: &Device) -> Result<Adapted, ModelError> {
        let config = BertConfig::load(folder)?;
        let dropout = classifier_dropout(&ConfigJson::read(folder)?, &config)?;
        let new = || Self::with_dropout(&config, n_labels, dropout, device);
        let Loaded { model, fresh, left_over } = files::load_body(&config, folder, new)?;
        let rule = init::truncated_normal(config.init_std);
        let rule = |path: &str, shape: &[usize]| match fresh.iter().any(|fresh| fresh == path) {
            true => rule(path, shape),
            false => init::Init::Keep,
        };
        Ok(Adapted { model: init::by_name(model, seed, rule), config, fresh, left_over })
    }
}

/// A pretrained body with a classifier on it.
#[derive(Debug)]
pub struct Adapted {
    /// The model.
    pub model: BertForSequenceClassification,
    /// Its settings.
    pub config: BertConfig,
    /// The paths of parameters that begin anew.
    pub fresh: Vec<String>,
    /// The names of weights in the folder that the model has no use for.
    pub left_over: Vec<String>,
}

/// Says of a classifier of another shape that it is one of other classes.
fn head_size(error: ModelError, config: &BertConfig) -> ModelError {
    match error {
        ModelError::WrongShape { path, name, found, expected }
            if ["classifier.weight", "classifier.bias"]
                .map(|path| config.variant.weight_name(path))
                .contains(&name)
                && found[1..] == expected[1..] =>
        {
            ModelError::HeadSize { path, found: found[0], expected: expected[0] }
        }
        error => error,
    }
}
