//! Where a model looks.

use burn::tensor::Tensor;
use burnformer_data::tokenizer::Tokenizer;
use serde::Serialize;

use crate::TaskError;

/// The attention weights over one text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttentionMap {
    /// The tokens of the text.
    pub tokens: Vec<String>,
    /// `weights[layer][head][query][key]`: how much of what token `key` says goes into token `query`. Rows add up to 1.
    pub weights: Vec<Vec<Vec<Vec<f64>>>>,
}

impl AttentionMap {
    /// Reads the weights `[1, n_heads, seq_length, seq_length]` of each layer from the device.
    pub(crate) fn new(tokenizer: &Tokenizer, ids: &[u32], layers: Vec<Tensor<4>>) -> Result<Self, TaskError> {
        let layer = |weights: Tensor<4>| {
            let [_, _, q_length, kv_length] = weights.dims();
            let values: Vec<f64> = weights.try_into_data()?.iter::<f64>().collect();
            let head = |head: &[f64]| head.chunks(kv_length).map(<[f64]>::to_vec).collect();
            Ok(values.chunks(q_length * kv_length).map(head).collect())
        };
        let weights = layers.into_iter().map(layer).collect::<Result<_, TaskError>>()?;
        let tokens = ids.iter().map(|&id| tokenizer.token(id).unwrap_or_default()).collect();
        Ok(Self { tokens, weights })
    }

    /// The mean over the heads of a layer: `[query][key]`.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn mean_over_heads(&self, layer: usize) -> Vec<Vec<f64>> {
        let (heads, n) = (&self.weights[layer], self.tokens.len());
        let mean =
            |query: usize, key: usize| heads.iter().map(|head| head[query][key]).sum::<f64>() / heads.len() as f64;
        (0..n).map(|query| (0..n).map(|key| mean(query, key)).collect()).collect()
    }
}
