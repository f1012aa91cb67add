//! BERT that predicts hidden tokens.

use super::hugging_face::ConfigFile;
use super::{Bert, BertConfig, BertInput, MaskedTokenHead, files};
use crate::{ModelError, ModelKind};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use burnformer_nn::init;
use std::path::Path;

/// BERT, or one of its variants, with the masked token head alone.
///
/// Source: Devlin et al. 2019, section 3.1.
#[derive(Module, Debug)]
pub struct BertForMaskedLM {
    bert: Bert,
    mlm: MaskedTokenHead,
}

impl BertForMaskedLM {
    /// Allocates the model on `device`, zero until it is initialised or loaded.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn new(config: &BertConfig, device: &Device) -> Self {
        Self { bert: Bert::new(config, device), mlm: MaskedTokenHead::new(config, device) }
    }

    /// A model with initial weights, those of [`BertForPreTraining::init`](crate::BertForPreTraining::init) with the same
    /// seed.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn init(config: &BertConfig, seed: u64, device: &Device) -> Self {
        init::by_name(Self::new(config, device), seed, init::truncated_normal(config.init_std))
    }

    /// # Shapes
    /// - input: see [`BertInput`]
    /// - `masked_positions`: `[n_masked]`, at least one, each `row * seq_length + column`; only these go through the head
    /// - returns: logits, `[n_masked, vocab_size]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, input: BertInput, masked_positions: Tensor<1, Int>) -> Tensor<2> {
        let hidden = self.bert.forward(input);
        let [batch_size, seq_length, d_model] = hidden.dims();
        let rows = hidden.reshape([batch_size * seq_length, d_model]);
        self.mlm.forward(rows.select(0, masked_positions), self.bert.embeddings().token())
    }

    /// The body.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }

    /// Writes `config.json` and `model.safetensors` into a folder that exists, each as a whole or not at all. `config`
    /// is what the model was made of.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn save(&self, config: &BertConfig, folder: &Path) -> Result<(), ModelError> {
        files::save(self, self.mlm.second_bias(config.variant)?, &ConfigFile::new(ModelKind::MaskedLm, config), folder)
    }

    /// The model of a folder that [`Self::save`] or the `save_pretrained` of transformers wrote, and its settings. One with
    /// a next-sentence head too will do.
    ///
    /// # Errors
    /// If the folder holds another model, or files that do not fit together.
    pub fn load(folder: &Path, device: &Device) -> Result<(Self, BertConfig), ModelError> {
        ModelKind::expect(&[ModelKind::MaskedLm, ModelKind::PreTraining], folder)?;
        let config = BertConfig::load(folder)?;
        let model = files::load(&config, folder, || Self::new(&config, device))?;
        Ok((model, config))
    }
}
