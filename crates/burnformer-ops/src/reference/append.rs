//! Appending positions to a key-value cache.

use burn::backend::Backend;
use burn::backend::tensor::{FloatTensor, IntTensor};

/// The given rows of `past`, in this order, each with its new positions appended.
///
/// # Shapes
/// - past: `[n, length, n_heads, d_head]`
/// - rows: `[batch_size]`, each in `[0, n)`
/// - new: `[batch_size, n_new, n_heads, d_head]`
/// - returns: `[batch_size, length + n_new, n_heads, d_head]`
pub fn append<B: Backend>(past: FloatTensor<B>, rows: IntTensor<B>, new: FloatTensor<B>) -> FloatTensor<B> {
    B::float_cat(vec![B::float_select(past, 0, rows), new], 1)
}
