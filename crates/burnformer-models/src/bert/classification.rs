//! BERT that sorts sequences into classes.

use super::hugging_face::ConfigFile;
use super::{Bert, BertConfig, BertInput, BertPooler, files};
use crate::{ModelError, ModelKind};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_nn::{Linear, LinearConfig, Noise, init};
use burnformer_ops::{self as ops, Dropout};
use std::collections::BTreeSet;
use std::path::Path;

/// BERT with a classifier on its pooler.
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
        Self {
            bert: Bert::new(config, device),
            pooler: BertPooler::new(config, device),
            dropout: config.dropout,
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
        let [in_body, in_head] = input.noise.split();
        self.classify(self.bert.forward(BertInput { noise: in_body, ..input }), in_head)
    }

    /// [`Self::forward`], and the attention weights of every layer and head, before dropout.
    ///
    /// # Shapes
    /// - returns: `[batch_size, n_labels]`, `[batch_size, n_heads, seq_length, seq_length]` for each layer
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_with_attn_weights(&self, input: BertInput) -> (Tensor<2>, Vec<Tensor<4>>) {
        let [in_body, in_head] = input.noise.split();
        let (hidden, weights) = self.bert.forward_with_attn_weights(BertInput { noise: in_body, ..input });
        (self.classify(hidden, in_head), weights)
    }

    fn classify(&self, hidden: Tensor<3>, noise: Noise) -> Tensor<2> {
        let pooled = ops::dropout(self.pooler.forward(hidden), None, Dropout::new(self.dropout, noise));
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
        let file = ConfigFile::new(ModelKind::BertForSequenceClassification, config);
        files::save(self, &file.with_classifier(labels, self.dropout), folder)
    }

    /// The model of a folder that [`Self::save`] or the `save_pretrained` of transformers wrote, its settings, and the
    /// names of its classes.
    ///
    /// # Errors
    /// If the folder holds another model, or files that do not fit together.
    pub fn load(folder: &Path, device: &Device) -> Result<(Self, BertConfig, Vec<String>), ModelError> {
        ModelKind::BertForSequenceClassification.expect(folder)?;
        let file = ConfigFile::read(folder)?;
        let (config, labels) = (file.settings(folder)?, file.labels(folder)?);
        let dropout = file.classifier_dropout(folder)?;
        let new = || Self { dropout, ..Self::new(&config, labels.len(), device) };
        let model = files::load(&config, folder, new)?;
        Ok((model, config, labels))
    }

    /// The body and the pooler of a pretrained model, and a fresh classifier from `seed`. The folder may hold any BERT:
    /// one for pretraining, another classifier, or the body alone. A pooler that is missing is fresh too, and
    /// [`Self::adapt`] tells.
    ///
    /// # Errors
    /// If the folder holds no BERT, or files that do not fit together.
    ///
    /// # Panics
    /// If `n_labels` is 0.
    pub fn from_pretrained(
        folder: &Path,
        n_labels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<(Self, BertConfig), ModelError> {
        Self::adapt(folder, n_labels, seed, device).map(|(model, config, _)| (model, config))
    }

    /// [`Self::from_pretrained`], and the paths of the parameters that are fresh.
    ///
    /// # Errors
    /// As [`Self::from_pretrained`].
    ///
    /// # Panics
    /// If `n_labels` is 0.
    pub fn adapt(
        folder: &Path,
        n_labels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<(Self, BertConfig, Vec<String>), ModelError> {
        let config = ConfigFile::read(folder)?.settings(folder)?;
        let (model, fresh) = files::load_body(&config, folder, || Self::new(&config, n_labels, device))?;
        let rule = init::truncated_normal(config.init_std);
        let rule = |path: &str, shape: &[usize]| match fresh.iter().any(|fresh| fresh == path) {
            true => rule(path, shape),
            false => init::Init::Keep,
        };
        Ok((init::by_name(model, seed, rule), config, fresh))
    }
}
