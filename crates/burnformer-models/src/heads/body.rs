//! A body without a head.

use super::BertPooler;
use crate::bert::{BertVariant, files};
use crate::{Architecture, Bert, BertConfig, BertInput, Head, ModelError, Pretrained};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use std::path::Path;

/// BERT, or one of its variants, without a head; with the pooler, where the body has one of its own.
#[derive(Module, Debug)]
pub struct BertModel {
    bert: Bert,
    body_pooler: Option<BertPooler>,
}

impl BertModel {
    /// The body.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }
}

impl Pretrained for BertModel {
    type Config = BertConfig;

    const HEAD: Head = Head::Body;
    const ARCHITECTURES: &'static [Architecture] = &BertVariant::ARCHITECTURES;

    fn config(&self) -> &BertConfig {
        self.bert.config()
    }

    fn attn_weights(&self, input: BertInput) -> Option<Vec<Tensor<4>>> {
        Some(self.bert.forward_with_attn_weights(input).1)
    }

    /// The body of a folder, whatever head the model has.
    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = BertConfig::load(folder)?;
        let has_pooler = files::has_pooler(&config, folder)?;
        let new = || Self {
            bert: Bert::new(&config, device),
            body_pooler: has_pooler.then(|| BertPooler::new(&config, 0.0, device)),
        };
        Ok(files::load_body(&config, folder, &[], new)?.model)
    }

    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let config = self.config();
        files::save(self, Vec::new(), config, &config.to_json(self.class()), folder)
    }
}
