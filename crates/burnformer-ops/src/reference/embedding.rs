//! Embedding lookup.

use burn::backend::Backend;
use burn::backend::tensor::{FloatTensor, IntTensor};

/// Row `ids[b, t]` of `weight` for every position.
///
/// # Shapes
/// - weight: `[vocab_size, d_model]`
/// - ids: `[batch_size, seq_length]`
/// - returns: `[batch_size, seq_length, d_model]`
pub fn embedding<B: Backend>(weight: FloatTensor<B>, ids: IntTensor<B>) -> FloatTensor<B> {
    B::embedding(weight, ids)
}
