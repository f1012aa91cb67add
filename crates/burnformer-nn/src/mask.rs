//! Masks from padding ids, or from masks of the other polarity. `true` = blocked.

use burn::tensor::{Bool, Int, Tensor};

/// Marks padding: `true` where a token is `pad_id`.
///
/// # Shapes
/// - ids: `[batch_size, seq_length]`
/// - returns: `[batch_size, seq_length]`
pub fn from_padding(ids: Tensor<2, Int>, pad_id: i64) -> Tensor<2, Bool> {
    ids.equal_elem(pad_id)
}

/// Converts Hugging Face's `attention_mask` (1 = attend, 0 = ignore) to ours.
///
/// # Shapes
/// - `attention_mask`: `[batch_size, seq_length]`
/// - returns: `[batch_size, seq_length]`
pub fn from_attention_mask(attention_mask: Tensor<2, Int>) -> Tensor<2, Bool> {
    attention_mask.equal_elem(0)
}
