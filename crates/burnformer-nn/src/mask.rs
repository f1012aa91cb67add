//! Masks from padding ids, or from masks of the other polarity. `true` = blocked.

use crate::Mask;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

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

/// Fills rows up with `pad_id` to one length. The mask has the places of padding, also where a row itself has that id; it is
/// [`Mask::None`] if all rows are as long.
///
/// # Shapes
/// - rows: `batch_size` rows
/// - returns: `[batch_size, seq_length]`, and the keys `[batch_size, seq_length]`
pub fn pad_rows(rows: &[&[u32]], pad_id: u32, device: &Device) -> (Tensor<2, Int>, Mask) {
    let length = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let (shape, n) = ([rows.len(), length], rows.len() * length);
    let (mut ids, mut is_pad) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for row in rows {
        let n_pad = length - row.len();
        ids.extend(row.iter().chain(std::iter::repeat_n(&pad_id, n_pad)).map(|&id| i64::from(id)));
        is_pad.extend((0..length).map(|t| t >= row.len()));
    }
    let ids = Tensor::from_data(TensorData::new(ids, shape), device);
    if !is_pad.contains(&true) {
        return (ids, Mask::None);
    }
    (ids, Mask::Keys(Tensor::from_data(TensorData::new(is_pad, shape), device)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burnformer_ops::DeviceChoice;

    #[test]
    fn short_rows_are_filled_up_and_marked_by_their_place() {
        let device = DeviceChoice::Auto.open().unwrap();
        let rows: [&[u32]; 3] = [&[5, 9], &[7, 9, 4], &[6]];
        let (ids, mask) = pad_rows(&rows, 9, &device);
        assert_eq!(ids.into_data().iter::<i64>().collect::<Vec<_>>(), [5, 9, 9, 7, 9, 4, 6, 9, 9]);
        let Mask::Keys(keys) = mask else { panic!("{mask:?}") };
        let pads = [false, false, true, false, false, false, false, true, true];
        assert_eq!(keys.into_data().iter::<bool>().collect::<Vec<_>>(), pads);
        let (ids, mask) = pad_rows(&rows[..1], 9, &device);
        assert_eq!(ids.dims(), [1, 2]);
        assert!(matches!(mask, Mask::None));
    }
}
