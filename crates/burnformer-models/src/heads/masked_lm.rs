//! Masked language models.

use crate::bert::{BertVariant, files};
use crate::{Architecture, Bert, BertConfig, BertInput, Head, ModelClass, ModelError, Pretrained, weights};
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Int, Shape, Tensor, TensorData};
use burnformer_nn::{
    Activation, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, init, parts,
};
use burnformer_ops as ops;
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

    /// A model with initial weights, those of [`BertForPreTraining::init`](crate::BertForPreTraining::init) with the
    /// same seed.
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
}

impl Pretrained for BertForMaskedLM {
    type Config = BertConfig;

    const HEAD: Head = Head::MaskedLm;
    const ARCHITECTURES: &'static [Architecture] = &BertVariant::ARCHITECTURES;

    fn config(&self) -> &BertConfig {
        self.bert.config()
    }

    fn attn_weights(&self, input: BertInput) -> Option<Vec<Tensor<4>>> {
        Some(self.bert.forward_with_attn_weights(input).1)
    }

    /// Reads a model for pretraining too, without its next-sentence head.
    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        ModelClass::expect(&[Head::MaskedLm, Head::PreTraining], Self::ARCHITECTURES, folder)?;
        let config = BertConfig::load(folder)?;
        files::load(&config, folder, || Self::new(&config, device))
    }

    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let config = self.config();
        files::save(self, self.mlm.second_bias(config.variant)?, config, &config.to_json(self.class()), folder)
    }
}

/// Masked token head: `norm(activation(dense(x)))`, then logits by the table of the token embeddings or an output layer
/// of its own.
///
/// Source: the code of Devlin et al. 2019.
#[derive(Module, Debug)]
pub struct MaskedTokenHead {
    dense: Linear,
    norm: LayerNorm,
    bias: Param<Tensor<1>>,
    /// Output layer; `None` if it is the table of the token embeddings.
    decoder: Option<Embedding>,
    #[module(skip)]
    activation: Activation,
}

impl MaskedTokenHead {
    pub(super) fn new(config: &BertConfig, device: &Device) -> Self {
        Self {
            dense: LinearConfig::new(config.d_model, config.d_model).init(device),
            norm: LayerNormConfig::new(config.d_model).with_eps(config.norm_eps).init(device),
            bias: lazy_zeros([config.vocab_size], device),
            decoder: (!config.tied_embeddings)
                .then(|| EmbeddingConfig::new(config.vocab_size, config.d_model).init(device)),
            activation: config.variant.details().head_activation.unwrap_or(config.activation),
        }
    }

    /// Sets the bias to the logarithms of counts plus one, minus their mean, which does not change the softmax.
    pub(super) fn set_bias(&mut self, counts: &[u64]) {
        if parts::is_left_out(&self.bias) {
            return;
        }
        let vocab_size = counts.len();
        let part = parts::part_of("mlm.bias");
        let (found, expected) = (self.bias.lazy_shape()[0], part.shape(&[vocab_size])[0]);
        assert!(found == expected, "token counts: {vocab_size} counts, the vocabulary has {found} tokens here");
        let logs: Vec<f64> = counts.iter().map(|&count| (count as f64 + 1.0).ln()).collect();
        let mean = logs.iter().sum::<f64>() / vocab_size as f64;
        let bias: Vec<f32> = logs.into_iter().map(|log| (log - mean) as f32).collect();
        let bias = part.of(TensorData::new(bias, [vocab_size]));
        let tensor = Tensor::from_data(bias, &self.bias.lazy_device());
        let param = self.bias.clone();
        let id = param.id;
        self.bias = param.transform_for_load(tensor, id);
    }

    /// The bias under its second name, where transformers looks for the bias of a separate output layer.
    pub(super) fn second_bias(&self, variant: BertVariant) -> Result<Vec<(String, TensorData)>, ModelError> {
        let name = variant.decoder_bias().filter(|_| self.decoder.is_some());
        let bias = || weights::read("mlm.bias", &self.bias);
        let bias = name.map(|name| Ok::<_, ModelError>((name, bias()?))).transpose()?;
        Ok(bias.into_iter().collect())
    }

    /// # Shapes
    /// - hidden: `[n_masked, d_model]`
    /// - token: the table of the token embeddings, `[vocab_size, d_model]`
    /// - returns: `[n_masked, vocab_size]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, hidden: Tensor<2>, token: &Embedding) -> Tensor<2> {
        let x = self.dense.multiply(hidden, None);
        let x = ops::bias_activation(x, self.dense.bias.as_ref().map(Param::val), self.activation);
        self.decoder.as_ref().unwrap_or(token).logits(self.norm.forward(x), Some(self.bias.val()))
    }
}

/// A lazy zero parameter, which takes no memory before it is used.
fn lazy_zeros<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::uninitialized(
        ParamId::new(),
        move |device, require_grad| Tensor::zeros(shape, device).set_require_grad(require_grad),
        device.clone(),
        true,
        Shape::new(shape),
    )
}
