//! The pooler: one vector for a whole sequence.

use crate::BertConfig;
use crate::bert::BertVariant;
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burnformer_nn::{DropoutRng, Linear, LinearConfig};
use burnformer_ops::{self as ops, Dropout};

/// `tanh(dense(x))` of the first position: one vector for the whole sequence. RoBERTa's, which belongs to its
/// classifier, applies dropout to `x` too, and DistilBERT's has ReLU in place of tanh.
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
    /// Allocates the pooler; `dropout` is the classifier's.
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
        let details = self.variant.details();
        let x = match details.pooler_drops_input {
            true => ops::dropout(first, None, Dropout::new(self.dropout, rng)),
            false => first,
        };
        let x = self.dense.forward(x);
        if details.pooler_has_relu { relu(x) } else { x.tanh() }
    }
}
