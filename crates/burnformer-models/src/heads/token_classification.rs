//! Classification of tokens.

use super::sequence_classification::{read_dropout, write_dropout};
use super::{kept, labels};
use crate::bert::{BertVariant, files};
use crate::hf::ConfigJson;
use crate::{Architecture, Bert, BertConfig, BertInput, Head, Loaded, ModelClass, ModelError, Pretrained};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use burnformer_nn::{DropoutRng, Linear, LinearConfig, init};
use burnformer_ops::{self as ops, Dropout};
use std::path::Path;

/// BERT, or one of its variants, with a classifier on every token: `classifier(dropout(hidden))`, without a pooler.
///
/// Source: Devlin et al. 2019, section 5.3; dropout in front of the classifier is in their code alone.
#[derive(Module, Debug)]
pub struct BertForTokenClassification {
    bert: Bert,
    dropout: f64,
    token_classifier: Linear,
    #[module(skip)]
    labels: Vec<String>,
}

impl BertForTokenClassification {
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
            dropout,
            token_classifier: LinearConfig::new(config.d_model, labels.len()).init(device),
            labels: labels.to_vec(),
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

    /// Loads the body of a pretrained model, with a new classifier initialised from `seed`. The folder may hold any
    /// BERT or one of its variants, with any head or none. A classifier of tokens with the same classes, in whatever order,
    /// is kept.
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
        let json = ConfigJson::read(folder)?;
        let config = BertConfig::read(&json)?;
        let dropout = dropout_of(&json, &config)?;
        let new = || Self::with_dropout(&config, labels, dropout, device);
        let names = classifier_names(&config);
        // Classes that cannot be read are no reason not to train others.
        let found = labels::read(&json, folder, &names[0]).ok();
        let Some(rows) = found.and_then(|found| kept::rows(folder, Self::HEAD, &found, labels)) else {
            return files::load_with_fresh_head(&config, folder, seed, &[], new);
        };
        let loaded = files::load_with_fresh_head(&config, folder, seed, &["token_classifier."], new)
            .map_err(|error| labels::head_size(error, &names))?;
        let token_classifier = kept::with_rows(loaded.model.token_classifier, &rows)?;
        Ok(Loaded { model: Self { token_classifier, ..loaded.model }, ..loaded })
    }

    /// # Shapes
    /// - input: see [`BertInput`]
    /// - positions: `[n_words]`, each `row * seq_length + column`; only these tokens go through the classifier
    /// - returns: logits, `[n_words, n_labels]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, input: BertInput, positions: Tensor<1, Int>) -> Tensor<2> {
        let [_, in_head] = input.rng.again().split();
        let hidden = self.hidden(input);
        let [batch_size, seq_length, d_model] = hidden.dims();
        let rows = self.drop(hidden, in_head).reshape([batch_size * seq_length, d_model]);
        self.token_classifier.forward(rows.select(0, positions))
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

    /// Dropout by row and column of the batch, so that no draw depends on which tokens are classified.
    fn drop(&self, hidden: Tensor<3>, rng: DropoutRng) -> Tensor<3> {
        ops::dropout(hidden, None, Dropout::new(self.dropout, rng))
    }

    /// The body.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }
}

impl Pretrained for BertForTokenClassification {
    type Config = BertConfig;

    const HEAD: Head = Head::TokenClassification;
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

    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        ModelClass::expect(&[Self::HEAD], Self::ARCHITECTURES, folder)?;
        let json = ConfigJson::read(folder)?;
        let config = BertConfig::read(&json)?;
        let names = classifier_names(&config);
        let (labels, dropout) = (labels::read(&json, folder, &names[0])?, dropout_of(&json, &config)?);
        files::load(&config, folder, || Self::with_dropout(&config, &labels, dropout, device))
            .map_err(|error| labels::head_size(error, &names))
    }

    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let config = self.config();
        let mut json = config.to_json(self.class());
        if has_own_dropout(config) {
            write_dropout(self.dropout, config, &mut json);
        }
        files::save(self, Vec::new(), config, &labels::WithLabels::new(&json, &self.labels)?, folder)
    }
}

fn classifier_names(config: &BertConfig) -> [String; 2] {
    ["token_classifier.weight", "token_classifier.bias"].map(|path| config.variant.weight_name(path))
}

/// `false` of DistilBERT, whose classifier of tokens has the dropout of the body: its key is for classifiers of texts.
fn has_own_dropout(config: &BertConfig) -> bool {
    config.variant.details().classifier_dropout.is_none()
}

fn dropout_of(json: &ConfigJson, config: &BertConfig) -> Result<f64, ModelError> {
    if has_own_dropout(config) { read_dropout(json, config) } else { Ok(config.dropout) }
}
