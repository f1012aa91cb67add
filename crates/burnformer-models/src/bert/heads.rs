//! What stands on the body: the pooler and the masked token head.

use super::{BertConfig, BertVariant};
use crate::ModelError;
use burn::module::{Module, Param, ParamId};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Shape, Tensor, TensorData};
use burnformer_nn::{
    Activation, DropoutRng, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig,
};
use burnformer_ops::{self as ops, Dropout};

/// `tanh(dense(x))` of the first position: one vector for the whole sequence. RoBERTa's, which belongs to its classifier, drops
/// values of `x` too, and DistilBERT's has ReLU for tanh.
///
/// Source: the code of Devlin et al. 2019, of Liu et al. 2019 and of Sanh et al. 2019.
#[derive(Module, Debug)]
pub struct BertPooler {
    dense: Linear,
    #[module(skip)]
    variant: BertVariant,
    dropout: f64,
}

impl BertPooler {
    /// `dropout` is that in front of a classifier.
    pub(super) fn new(config: &BertConfig, dropout: f64, device: &Device) -> Self {
        let dense = LinearConfig::new(config.d_model, config.d_model).init(device);
        Self { dense, variant: config.variant, dropout }
    }

    /// # Shapes
    /// - hidden: `[batch_size, seq_length, d_model]`
    /// - returns: `[batch_size, d_model]`
    ///
    /// # Panics
    /// If the last axis is not `d_model` long.
    pub fn forward(&self, hidden: Tensor<3>, rng: DropoutRng) -> Tensor<2> {
        let first = hidden.narrow(1, 0, 1).squeeze_dim::<2>(1);
        match self.variant {
            BertVariant::Bert => self.dense.forward(first).tanh(),
            BertVariant::Roberta => {
                self.dense.forward(ops::dropout(first, None, Dropout::new(self.dropout, rng))).tanh()
            }
            BertVariant::DistilBert => relu(self.dense.forward(first)),
        }
    }
}

/// `norm(activation(dense(x)))`, and logits by the table of the token embeddings, or one of its own.
///
/// Source: the code of Devlin et al. 2019.
#[derive(Module, Debug)]
pub struct MaskedTokenHead {
    dense: Linear,
    norm: LayerNorm,
    bias: Param<Tensor<1>>,
    /// Logits, where they are not by the token embeddings.
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
            // RoBERTa's does not follow the layers'.
            activation: if config.variant == BertVariant::Roberta { Activation::Gelu } else { config.activation },
        }
    }

    /// Sets the bias to the logarithms of counts plus one, whose mean is taken off: the softmax does not see it.
    pub(super) fn set_bias(&mut self, counts: &[u64]) {
        let vocab_size = self.bias.lazy_shape()[0];
        assert!(counts.len() == vocab_size, "token counts: {} counts, the vocabulary has {vocab_size}", counts.len());
        let logs: Vec<f64> = counts.iter().map(|&count| (count as f64 + 1.0).ln()).collect();
        let mean = logs.iter().sum::<f64>() / vocab_size as f64;
        let bias: Vec<f32> = logs.into_iter().map(|log| (log - mean) as f32).collect();
        let tensor = Tensor::from_data(TensorData::new(bias, [vocab_size]), &self.bias.lazy_device());
        let param = self.bias.clone();
        let id = param.id;
        self.bias = param.transform_for_load(tensor, id);
    }

    /// The bias once more by its second name, which is where transformers looks for that of an output layer of its own.
    pub(super) fn second_bias(&self, variant: BertVariant) -> Result<Vec<(String, TensorData)>, ModelError> {
        let name = variant.decoder_bias().filter(|_| self.decoder.is_some());
        let bias = name.map(|name| Ok::<_, ModelError>((name, self.bias.val().try_into_data()?))).transpose()?;
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
        let x = ops::linear(hidden, self.dense.weight.val(), None);
        let x = ops::bias_activation(x, self.dense.bias.as_ref().map(Param::val), self.activation);
        self.decoder.as_ref().unwrap_or(token).logits(self.norm.forward(x), Some(self.bias.val()))
    }
}

/// A parameter that takes no memory before it is used.
fn lazy_zeros<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::uninitialized(
        ParamId::new(),
        move |device, require_grad| Tensor::zeros(shape, device).set_require_grad(require_grad),
        device.clone(),
        true,
        Shape::new(shape),
    )
}
