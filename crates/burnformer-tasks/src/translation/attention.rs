//! Cross-attention of a translation.

use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{Seq2Seq, Seq2SeqInput};
use serde::Serialize;

use super::TranslationTask;
use crate::TaskError;
use crate::attention_map::{mean_over_heads, read};

/// The weights of the decoder's attention to the source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TranslationAttention {
    /// The tokens of the source, the end token included.
    pub source: Vec<String>,
    /// The tokens of the translation, the end token included.
    pub target: Vec<String>,
    /// `weights[layer][head][target][source]`: attention weight of the source token in the prediction of the target
    /// token. Rows add up to 1.
    pub weights: Vec<Vec<Vec<Vec<f64>>>>,
}

impl TranslationAttention {
    /// The attention of a model that reads both texts; `source` includes the end token, `target` does not.
    pub(super) fn of(
        model: &Seq2Seq,
        task: &TranslationTask,
        source: &[u32],
        target: &[u32],
        device: &Device,
    ) -> Result<Self, TaskError> {
        let (config, tokenizers) = (task.config(), task.tokenizers());
        let row = |ids: &[u32]| {
            let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
            let shape = [1, ids.len()];
            Tensor::<2, Int>::from_data(TensorData::new(ids, shape), device)
        };
        let inputs = [&[model.start_id()], target].concat();
        let (_, weights) = model.hidden_with_attn_weights(Seq2SeqInput::new(row(source), row(&inputs)));
        let weights = weights.decoder.cross_attention.into_iter().map(read).collect::<Result<_, _>>()?;
        let end = [config.eos_id];
        let names = |tokenizer: &Tokenizer, ids: &[u32]| {
            ids.iter().map(|&id| tokenizer.token(id).unwrap_or_default()).collect()
        };
        Ok(Self {
            source: names(tokenizers.source(), source),
            target: names(tokenizers.target(), &[target, &end].concat()),
            weights,
        })
    }

    /// The alignment of both texts, `[target][source]`: the mean over the heads of the last layer but one, or of the
    /// only one.
    ///
    /// Source: Garg et al. 2019, "Jointly Learning to Align and Translate with Transformer Models", section 3, where
    /// that layer is found to align best.
    ///
    /// # Panics
    /// If there is no layer.
    #[must_use]
    pub fn alignment(&self) -> Vec<Vec<f64>> {
        mean_over_heads(&self.weights[self.weights.len().saturating_sub(2)])
    }
}
