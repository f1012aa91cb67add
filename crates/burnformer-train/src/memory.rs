//! How much memory training will take, roughly.

use burnformer_models::{BertConfig, Seq2SeqConfig};

use crate::{OptimizerConfig, TrainConfig};

/// Bytes that training takes at its peak, beside the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Weights.
    pub weights: u64,
    /// Their gradients.
    pub gradients: u64,
    /// The optimiser's moments.
    pub moments: u64,
    /// What the forward pass keeps for the backward pass.
    pub activations: u64,
}

impl MemoryEstimate {
    /// Of BERT's pretraining, or fine-tuning with `n_predicted` rows of logits over the vocabulary (0 without).
    ///
    /// Weights, gradients and moments are exact. Activations count the tensors that burn's differentiation keeps of the
    /// composed operators, by layer and position: 24 of the model's width, 6 of the feed-forward's, 7 of all positions for
    /// each head; and 5 of the vocabulary for each prediction.
    #[must_use]
    pub fn of_bert(
        model: &BertConfig,
        n_parameters: u64,
        train: &TrainConfig,
        seq_length: usize,
        n_predicted: usize,
    ) -> Self {
        let positions = (train.micro_batch_size * seq_length) as u64;
        let a_layer = 24 * model.d_model + 6 * model.d_ff + 7 * model.n_heads * seq_length;
        let layers = positions * (model.n_layers * a_layer + 6 * model.d_model) as u64;
        let logits = 5 * (n_predicted * model.vocab_size) as u64;
        Self::of(n_parameters, train, layers + logits)
    }

    /// Of the training of an encoder–decoder on pairs of texts of at most `seq_length` tokens, counted as [`Self::of_bert`]
    /// does; a layer of the decoder is one of the encoder with half as much again, and each target token has its logits.
    #[must_use]
    pub fn of_seq2seq(model: &Seq2SeqConfig, n_parameters: u64, train: &TrainConfig, seq_length: usize) -> Self {
        let positions = train.micro_batch_tokens.unwrap_or(train.micro_batch_size * seq_length) as u64;
        let a_layer = 24 * model.d_model + 6 * model.d_ff + 7 * model.n_heads * seq_length;
        let layers = 2 * model.n_encoder_layers + 3 * model.n_decoder_layers;
        let of_position = layers * a_layer / 2 + 12 * model.d_model + 5 * model.target_vocab_size;
        Self::of(n_parameters, train, positions * of_position as u64)
    }

    fn of(n_parameters: u64, train: &TrainConfig, n_activations: u64) -> Self {
        const FLOAT: u64 = 4;
        let weights = n_parameters * FLOAT;
        let n_moments = if matches!(train.optimizer, OptimizerConfig::Sgd(_)) { 1 } else { 2 };
        Self { weights, gradients: weights, moments: n_moments * weights, activations: n_activations * FLOAT }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.moments + self.activations
    }
}
