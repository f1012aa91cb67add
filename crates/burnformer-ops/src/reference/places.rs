//! Attention to places of a pool.

use super::{attention, bool_dtype};
use crate::{AttentionOptions, MaskPrimitive, Places};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Shape, Slice, TensorData, TensorMetadata, get_or_init_device_settings};

/// The pool with `new` at the places from `first` on, and as many again behind them where it grows.
///
/// # Shapes
/// - pool: `[n_places, n_heads, d_head]`, at least `first` places
/// - new: `[n_new, n_heads, d_head]`
/// - returns: `[at least first + n_new, n_heads, d_head]`
pub fn store<B: Backend>(pool: FloatTensor<B>, new: FloatTensor<B>, first: usize) -> FloatTensor<B> {
    let ([n_places, ..], [n_new, n_heads, d_head]) = (pool.shape().dims::<3>(), new.shape().dims::<3>());
    let end = first + n_new;
    let pool = if end > n_places {
        let more =
            B::float_zeros(Shape::new([2 * end - n_places, n_heads, d_head]), &pool.device(), pool.dtype().into());
        B::float_cat(vec![pool, more], 0)
    } else {
        pool
    };
    B::float_slice_assign(pool, &[Slice::from(first..end)], new)
}

/// `softmax(q kᵀ / sqrt(d_head)) v` of each query over the keys and values at the places of its list; zeros without places.
///
/// # Shapes
/// - q: `[n, n_heads, d_head]`
/// - key: `[n_places, n_kv_heads, d_head]`
/// - value: `[n_places, n_kv_heads, d_value]`
/// - returns: `[n, n_heads, d_value]`
pub fn attend_places<B: Backend>(
    q: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    places: Places,
) -> FloatTensor<B> {
    let ([n, n_heads, d_head], [_, n_kv_heads, d_value]) = (q.shape().dims(), value.shape().dims());
    let (longest, device) = (places.longest().max(1), q.device());
    let padded = |list: &[u32]| (0..longest).map(|i| i64::from(list.get(i).copied().unwrap_or(0))).collect::<Vec<_>>();
    let ids: Vec<i64> = places.lists().flat_map(padded).collect();
    let int_dtype = get_or_init_device_settings::<B>(&device).int_dtype;
    let ids = B::int_from_data(TensorData::new(ids, [n * longest]).convert_dtype(int_dtype.into()), &device);
    let beyond: Vec<bool> = places.lists().flat_map(|list| (0..longest).map(move |i| i >= list.len())).collect();
    let beyond = TensorData::new(beyond, [n, longest]).convert_dtype(bool_dtype::<B>(&q).into());
    let mask = MaskPrimitive::Keys(B::bool_from_data(beyond, &device));
    let n_sharing = n_heads / n_kv_heads;
    let chosen = |pool: FloatTensor<B>, width: usize| {
        let rows =
            B::float_reshape(B::float_select(pool, 0, ids.clone()), Shape::new([n, longest, n_kv_heads, 1, width]));
        let shared = B::float_expand(rows, Shape::new([n, longest, n_kv_heads, n_sharing, width]));
        B::float_reshape(shared, Shape::new([n, longest, n_heads, width]))
    };
    let (key, value) = (chosen(key, d_head), chosen(value, d_value));
    let q = B::float_reshape(q, Shape::new([n, 1, n_heads, d_head]));
    let (out, _) = attention::<B>(q, key, value, mask, AttentionOptions::new(d_head));
    B::float_reshape(out, Shape::new([n, n_heads, d_value]))
}
