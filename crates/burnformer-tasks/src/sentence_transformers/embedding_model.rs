//! The model of an embedding: an encoder, a pooling, and what follows it.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};
use burnformer_models::weights::WeightType;
use burnformer_models::{
    Architecture, Bert, BertConfig, BertInput, BertModel, Head, Loaded, ModelError, Pooling, Pretrained, Projection,
};

use burnformer_nn::init;

use super::modules::Modules;
use crate::TaskError;

/// An encoder with a pooling and the steps behind it: the vector of a text from its tokens.
///
/// Source: Reimers and Gurevych 2019.
#[derive(Module, Debug)]
pub struct EmbeddingModel {
    bert: Bert,
    dense: Vec<Projection>,
    #[module(skip)]
    modules: Modules,
}

impl EmbeddingModel {
    /// Allocates the model on `device`, zero until it is initialised or loaded.
    ///
    /// # Panics
    /// If the config is not valid, or the modules do not [fit](Modules::check) it.
    #[must_use]
    pub fn new(config: &BertConfig, modules: &Modules, device: &Device) -> Self {
        if let Err(error) = modules.check(config.d_model) {
            panic!("{error}");
        }
        Self { bert: Bert::new(config, device), dense: modules.steps.allocate(device), modules: modules.clone() }
    }

    /// A model with initial weights from `seed`. Its encoder is that of
    /// [`BertForPreTraining::init`](burnformer_models::BertForPreTraining::init) with the same seed.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn init(config: &BertConfig, modules: &Modules, seed: u64, device: &Device) -> Self {
        init::by_name(Self::new(config, modules, device), seed, init::truncated_normal(config.init_std))
    }

    /// Loads the model in `folder`: one of sentence-transformers (`modules.json`) as configured there, any other BERT
    /// with the L2-normalised mean over its tokens.
    ///
    /// # Errors
    /// If the folder holds no BERT, or asks for what is not supported.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        Ok(Self::from_pretrained(Modules::of(folder)?, device)?.model)
    }

    /// The model of these modules, and the weights in their folder that are not used: those of a head, and of a pooler.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_pretrained(modules: Modules, device: &Device) -> Result<Loaded<Self>, TaskError> {
        let Loaded { model: bert, left_over, .. } = Bert::from_pretrained(&modules.transformer, device)?;
        modules.check(bert.config().d_model)?;
        let dense = modules.steps.load(device)?;
        Ok(Loaded { model: Self { bert, dense, modules }, fresh: Vec::new(), left_over })
    }

    /// The same model with another pooling.
    ///
    /// # Errors
    /// As [`Modules::with_pooling`].
    pub fn with_pooling(self, pooling: Pooling) -> Result<Self, TaskError> {
        Ok(Self { modules: self.modules.with_pooling(pooling, self.bert.config().d_model)?, ..self })
    }

    /// The same model with L2-normalised embeddings, or without normalisation.
    #[must_use]
    pub fn with_normalization(self, is_normalized: bool) -> Self {
        Self { modules: self.modules.with_normalization(is_normalized), ..self }
    }

    /// The embedding of each row, all dimensions of it.
    ///
    /// # Shapes
    /// - input: see [`BertInput`]
    /// - returns: `[batch_size, width]`, where `width` is [`Self::width`]
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than the encoder's longest.
    pub fn forward(&self, input: BertInput) -> Tensor<2> {
        self.forward_behind(0, input)
    }

    /// [`Self::forward`], which leaves the first `n` tokens of every row out of the pooling.
    pub(crate) fn forward_behind(&self, n: usize, input: BertInput) -> Tensor<2> {
        let mask_pad = input.mask_pad.clone();
        let hidden = self.bert.forward(input);
        let mask = without_first(mask_pad, n, &hidden);
        let pooled = self.modules.pooling.modes.iter().map(|mode| mode.apply(hidden.clone(), mask.clone())).collect();
        self.modules.steps.forward(&self.dense, Tensor::cat(pooled, 1))
    }

    /// Number of elements of a row of [`Self::forward`].
    #[must_use]
    pub fn width(&self) -> usize {
        self.modules.width(self.bert.config().d_model)
    }

    /// What becomes of a text on its way to the encoder, and behind it.
    #[must_use]
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// Writes the model into an existing folder, as sentence-transformers reads it.
    ///
    /// # Errors
    /// If something cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), TaskError> {
        self.bert.save(folder)?;
        self.modules.write(self.bert.config().d_model, &self.dense, WeightType::F32, folder)
    }

    /// The encoder.
    #[must_use]
    pub fn bert(&self) -> &Bert {
        &self.bert
    }
}

impl Pretrained for EmbeddingModel {
    type Config = BertConfig;

    const HEAD: Head = Head::Body;
    const ARCHITECTURES: &'static [Architecture] = BertModel::ARCHITECTURES;

    fn config(&self) -> &BertConfig {
        self.bert.config()
    }

    fn attn_weights(&self, input: BertInput) -> Option<Vec<Tensor<4>>> {
        Some(self.bert.forward_with_attn_weights(input).1)
    }

    /// [`Self::open`].
    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        Ok(Self::open(folder, device)?)
    }

    /// Writes a folder of sentence-transformers, without a tokenizer.
    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        Ok(self.write(folder)?)
    }
}

/// The mask of `hidden`, which marks the first `n` tokens of every row too.
fn without_first(mask: Option<Tensor<2, Bool>>, n: usize, hidden: &Tensor<3>) -> Option<Tensor<2, Bool>> {
    if n == 0 {
        return mask;
    }
    let [batch_size, seq_length, _] = hidden.dims();
    let positions = Tensor::<1, Int>::arange(0..seq_length as i64, &hidden.device());
    let first = positions.lower_elem(n as i64).reshape([1, seq_length]).expand([batch_size, seq_length]);
    Some(match mask {
        Some(mask) => mask.bool_or(first),
        None => first,
    })
}
