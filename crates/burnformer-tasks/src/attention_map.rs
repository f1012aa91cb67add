//! Attention weights over a text.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::BertInput;
use burnformer_models::registry::{self, AnyModel};
use serde::Serialize;

use crate::TaskError;
use crate::encode::{check_vocabulary, finite, max_length};

/// The attention weights over one text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttentionMap {
    /// The tokens of the text.
    pub tokens: Vec<String>,
    /// `weights[layer][head][query][key]`: the weight of token `key` for token `query`. Rows add up to 1.
    pub weights: Vec<Vec<Vec<Vec<f64>>>>,
}

impl AttentionMap {
    /// The attention weights of the model in `folder` over `text`, whatever its head is.
    ///
    /// # Errors
    /// If the folder holds no model that reads one text, with its tokenizer, or the text cannot be tokenised.
    pub fn of(folder: &Path, text: &str, device: &Device) -> Result<Self, TaskError> {
        Self::of_model(&registry::open_known(folder, device)?, folder, text, device)
    }

    /// [`Self::of`] of a model that is loaded already, on `device`, and its folder.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_model(model: &AnyModel, folder: &Path, text: &str, device: &Device) -> Result<Self, TaskError> {
        let tokenizer = Tokenizer::load(folder)?;
        let size = model.size();
        check_vocabulary(&tokenizer, size.vocab_size)?;
        let max_length = max_length(&tokenizer, size.max_seq_length);
        let encoded = tokenizer.encode_with_specials(text, None, Some(max_length))?;
        let row = |ids: &[u32]| {
            let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
            let shape = [1, ids.len()];
            Tensor::<2, Int>::from_data(TensorData::new(ids, shape), device)
        };
        let input = BertInput { segments: Some(row(&encoded.type_ids)), ..BertInput::new(row(&encoded.ids)) };
        let layers = model.attn_weights(input).ok_or_else(|| TaskError::OtherTask {
            folder: folder.to_owned(),
            found: model.class().head(),
            expected: "masked language modelling, text classification or text embedding",
        })?;
        let weights = layers.into_iter().map(read).collect::<Result<_, _>>()?;
        let tokens = encoded.ids.iter().map(|&id| tokenizer.token(id).unwrap_or_default()).collect();
        Ok(Self { tokens, weights })
    }

    /// The mean over the heads of a layer: `[query][key]`.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn mean_over_heads(&self, layer: usize) -> Vec<Vec<f64>> {
        mean_over_heads(&self.weights[layer])
    }
}

/// The mean over the heads, `[query][key]`, of the weights `[head][query][key]` of a layer.
pub(crate) fn mean_over_heads(heads: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
    let mean = |query: usize, key: usize| heads.iter().map(|head| head[query][key]).sum::<f64>() / heads.len() as f64;
    let row = |(query, row): (usize, &Vec<f64>)| (0..row.len()).map(|key| mean(query, key)).collect();
    heads.first().map_or_else(Vec::new, |head| head.iter().enumerate().map(row).collect())
}

/// Reads the weights `[1, n_heads, q_length, kv_length]` of a layer from the device: `[head][query][key]`.
pub(crate) fn read(weights: Tensor<4>) -> Result<Vec<Vec<Vec<f64>>>, TaskError> {
    let [_, _, q_length, kv_length] = weights.dims();
    let values: Vec<f64> = finite(weights)?.into_iter().map(f64::from).collect();
    let head = |head: &[f64]| head.chunks(kv_length).map(<[f64]>::to_vec).collect();
    Ok(values.chunks(q_length * kv_length).map(head).collect())
}
