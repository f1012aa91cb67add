//! Extractive question answering.

use crate::bert::{BertVariant, files};
use crate::hf::ConfigJson;
use crate::{Architecture, Bert, BertConfig, BertInput, Head, Loaded, ModelClass, ModelError, Pretrained};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_nn::{Linear, LinearConfig, init};
use burnformer_ops::{self as ops, Dropout};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Logits of a token: that an answer begins with it, and that one ends with it.
const N_LOGITS: usize = 2;

/// Key of the dropout in front of DistilBERT's head, and its default; the other variants have none.
const DROPOUT: (&str, f64) = ("qa_dropout", 0.1);

/// BERT, or one of its variants, with two scores for every token: as the first and as the last one of an answer.
///
/// Source: Devlin et al. 2019, section 4.2. The head of DistilBERT alone has dropout in front.
#[derive(Module, Debug)]
pub struct BertForQuestionAnswering {
    bert: Bert,
    dropout: f64,
    qa_outputs: Linear,
}

impl BertForQuestionAnswering {
    /// Allocates the model on `device`, zero until it is initialised or loaded.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn new(config: &BertConfig, device: &Device) -> Self {
        let dropout = if has_dropout(config) { DROPOUT.1 } else { 0.0 };
        Self::with_dropout(config, dropout, device)
    }

    fn with_dropout(config: &BertConfig, dropout: f64, device: &Device) -> Self {
        Self {
            bert: Bert::new(config, device),
            dropout,
            qa_outputs: LinearConfig::new(config.d_model, N_LOGITS).init(device),
        }
    }

    /// A model with initial weights. Its body is that of [`BertForPreTraining::init`](crate::BertForPreTraining::init)
    /// with the same seed.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn init(config: &BertConfig, seed: u64, device: &Device) -> Self {
        init::by_name(Self::new(config, device), seed, init::truncated_normal(config.init_std))
    }

    /// Loads the body of a pretrained model, with a new head initialised from `seed`. The folder may hold any BERT or one of
    /// its variants, with any head or none. A head for question answering is kept.
    ///
    /// # Errors
    /// If the folder holds no such model, or files that do not fit together.
    pub fn from_pretrained(folder: &Path, seed: u64, device: &Device) -> Result<Loaded<Self>, ModelError> {
        let json = ConfigJson::read(folder)?;
        let config = BertConfig::read(&json)?;
        let dropout = read_dropout(&json, &config)?;
        files::load_with_fresh_head(&config, folder, seed, &["qa_outputs."], || {
            Self::with_dropout(&config, dropout, device)
        })
    }

    /// # Shapes
    /// - input: see [`BertInput`]
    /// - returns: logits of the first and of the last token of an answer, `[batch_size, seq_length]` each
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, input: BertInput) -> [Tensor<2>; N_LOGITS] {
        let [_, in_head] = input.rng.again().split();
        let hidden = self.hidden(input);
        let [batch_size, seq_length, _] = hidden.dims();
        let hidden =
            if self.dropout > 0.0 { ops::dropout(hidden, None, Dropout::new(self.dropout, in_head)) } else { hidden };
        let logits = self.qa_outputs.forward(hidden); // [batch_size, seq_length, 2]
        let column = |column: usize| logits.clone().narrow(2, column, 1).reshape([batch_size, seq_length]);
        [column(0), column(1)]
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

    /// The body.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }
}

impl Pretrained for BertForQuestionAnswering {
    type Config = BertConfig;

    const HEAD: Head = Head::QuestionAnswering;
    const ARCHITECTURES: &'static [Architecture] = &BertVariant::ARCHITECTURES;

    fn config(&self) -> &BertConfig {
        self.bert.config()
    }

    fn attn_weights(&self, input: BertInput) -> Option<Vec<Tensor<4>>> {
        Some(self.bert.forward_with_attn_weights(input).1)
    }

    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        ModelClass::expect(&[Self::HEAD], Self::ARCHITECTURES, folder)?;
        let json = ConfigJson::read(folder)?;
        let config = BertConfig::read(&json)?;
        let dropout = read_dropout(&json, &config)?;
        files::load(&config, folder, || Self::with_dropout(&config, dropout, device))
    }

    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let config = self.config();
        let mut json: Map<String, Value> = config.to_json(self.class());
        if has_dropout(config) {
            json.insert(DROPOUT.0.to_owned(), json!(self.dropout));
        }
        files::save(self, Vec::new(), config, &json, folder)
    }
}

fn has_dropout(config: &BertConfig) -> bool {
    config.variant == BertVariant::DistilBert
}

fn read_dropout(json: &ConfigJson, config: &BertConfig) -> Result<f64, ModelError> {
    if !has_dropout(config) {
        return Ok(0.0);
    }
    let (key, default) = DROPOUT;
    let dropout: f64 = json.get(key)?.unwrap_or(default);
    let error = || json.setting(key, Some(&json!(dropout)), "a value in [0, 1)".to_owned());
    (0.0..1.0).contains(&dropout).then_some(dropout).ok_or_else(error)
}
