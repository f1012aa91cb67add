//! Sizes for the memory estimate of training.

/// Size of a micro-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MicroBatchSize {
    /// Number of tokens, padding included; of an encoder–decoder, on each side.
    pub n_tokens: usize,
    /// Length of the sequences.
    pub seq_length: usize,
    /// Number of tokens that are predicted, each with logits over the vocabulary; 0 in a classifier.
    pub n_predicted: usize,
}

/// Number of floats that a layer of an encoder keeps of each token: the tensors that burn's differentiation keeps of
/// the composed operators, which are 24 of the model's width, 6 of the feed-forward's, and 7 of all positions for each
/// head.
pub(crate) fn of_layer(d_model: usize, d_ff: usize, n_heads: usize, seq_length: usize) -> usize {
    24 * d_model + 6 * d_ff + 7 * n_heads * seq_length
}

/// Number of floats that are kept of each token's embedding, in units of the model's width.
pub(crate) const OF_EMBEDDING: usize = 6;

/// Number of floats that are kept of each prediction, in units of the vocabulary.
pub(crate) const OF_PREDICTION: usize = 5;
