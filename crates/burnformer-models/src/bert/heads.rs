//! What stands on the body: the pooler and the masked token head.

use super::BertConfig;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use burnformer_nn::{Activation, Embedding, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burnformer_ops as ops;

/// `tanh(dense(x))` of the first position: one vector for the whole sequence.
///
/// Source: the code of Devlin et al. 2019.
#[derive(Module, Debug)]
pub struct BertPooler {
    dense: Linear,
}

impl BertPooler {
    pub(super) fn new(config: &BertConfig, device: &Device) -> Self {
        Self { dense: LinearConfig::new(config.d_model, config.d_model).init(device) }
    }

    /// # Shapes
    /// - hidden: `[batch_size, seq_length, d_model]`
    /// - returns: `[batch_size, d_model]`
    ///
    /// # Panics
    /// If the last axis is not `d_model` long.
    pub fn forward(&self, hidden: Tensor<3>) -> Tensor<2> {
        self.dense.forward(hidden.narrow(1, 0, 1).squeeze_dim::<2>(1)).tanh()
    }
}

/// `norm(activation(dense(x)))`, and logits by the table of the token embeddings.
///
/// Source: the code of Devlin et al. 2019.
#[derive(Module, Debug)]
pub struct MaskedTokenHead {
    dense: Linear,
    norm: LayerNorm,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl MaskedTokenHead {
    pub(super) fn new(config: &BertConfig, device: &Device) -> Self {
        Self {
            dense: LinearConfig::new(config.d_model, config.d_model).init(device),
            norm: LayerNormConfig::new(config.d_model).with_eps(config.norm_eps).init(device),
            bias: lazy_zeros([config.vocab_size], device),
            activation: config.activation,
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
        token.logits(self.norm.forward(x), Some(self.bias.val()))
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
