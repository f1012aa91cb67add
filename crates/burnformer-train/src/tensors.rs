//! Tensors of single precision as bytes, in messages between processes on machines of one kind.

use burn::tensor::{Shape, TensorData};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that are not the message that was expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TensorsError {
    /// What the values are cannot be read.
    #[error("its list of tensors cannot be read")]
    List(#[from] serde_json::Error),
    /// Bytes are missing, or too many.
    #[error("it has {found} bytes left, expected {expected}")]
    Length {
        /// Number of bytes that are left.
        found: usize,
        /// Number of bytes that there should be.
        expected: usize,
    },
}

/// Bytes for the length of a list.
const TAIL: usize = size_of::<u64>();

/// An empty message with room for so many floats and a list of them.
pub(crate) fn message(n_floats: usize) -> Vec<u8> {
    Vec::with_capacity(n_floats * size_of::<f32>() + (n_floats >> 8) + (1 << 14))
}

/// Adds `list`, which says what the values of `message` are.
pub(crate) fn add_list<L: Serialize>(message: &mut Vec<u8>, list: &L) -> Result<(), TensorsError> {
    let n_values = message.len();
    serde_json::to_writer(&mut *message, list)?;
    let length = message.len() - n_values;
    message.extend_from_slice(&(length as u64).to_le_bytes());
    Ok(())
}

/// The list of a message, and its values.
pub(crate) fn read_list<L: DeserializeOwned>(message: &[u8]) -> Result<(L, Values<'_>), TensorsError> {
    let short = |expected| TensorsError::Length { found: message.len(), expected };
    let (rest, tail) = message.split_last_chunk::<TAIL>().ok_or_else(|| short(TAIL))?;
    let length = usize::try_from(u64::from_le_bytes(*tail)).unwrap_or(usize::MAX);
    let n_values = rest.len().checked_sub(length).ok_or_else(|| short(length.saturating_add(TAIL)))?;
    let (values, list) = rest.split_at(n_values);
    Ok((serde_json::from_slice(list)?, Values(values)))
}

/// The values of a message that are still to be read.
pub(crate) struct Values<'a>(pub(crate) &'a [u8]);

impl Values<'_> {
    /// The next tensor, of this shape.
    pub(crate) fn take(&mut self, shape: Shape) -> Result<TensorData, TensorsError> {
        let expected = shape.iter().fold(size_of::<f32>(), |size, &n| size.saturating_mul(n));
        let found = self.0.len();
        let (bytes, rest) = self.0.split_at_checked(expected).ok_or(TensorsError::Length { found, expected })?;
        self.0 = rest;
        let (words, _) = bytes.as_chunks();
        Ok(TensorData::new(words.iter().map(|&word| f32::from_ne_bytes(word)).collect::<Vec<_>>(), shape))
    }

    /// Makes sure that nothing is left.
    pub(crate) fn end(self) -> Result<(), TensorsError> {
        if self.0.is_empty() { Ok(()) } else { Err(TensorsError::Length { found: self.0.len(), expected: 0 }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let mut message = message(3);
        for data in [TensorData::new(vec![0.5_f32, f32::NEG_INFINITY], [1, 2]), TensorData::new(vec![-0.0_f32], [1])] {
            message.extend_from_slice(data.as_bytes());
        }
        add_list(&mut message, &["a", "b"]).unwrap();
        message
    }

    #[test]
    fn tensors_come_back_bit_for_bit() {
        let message = written();
        let (list, mut values) = read_list::<Vec<String>>(&message).unwrap();
        assert_eq!(list, ["a", "b"]);
        let found = [values.take(Shape::from([1, 2])).unwrap(), values.take(Shape::from([1])).unwrap()];
        let bits: Vec<u32> = found.iter().flat_map(|data| data.iter::<f32>()).map(f32::to_bits).collect();
        assert_eq!(bits, [0.5, f32::NEG_INFINITY, -0.0].map(f32::to_bits));
        values.end().unwrap();
    }

    #[test]
    fn what_is_cut_or_no_message_is_refused() {
        let message = written();
        for length in 0..message.len() {
            assert!(read_list::<Vec<String>>(&message[..length]).is_err(), "{length} bytes");
        }
        assert!(matches!(read_list::<Vec<String>>(&[0; 30]).map(drop), Err(TensorsError::List(_))));
        let (_, mut values) = read_list::<Vec<String>>(&message).unwrap();
        assert!(values.take(Shape::from([2, 2])).is_err() && values.take(Shape::from([usize::MAX, 9])).is_err());
        assert!(matches!(values.end(), Err(TensorsError::Length { found: 12, expected: 0 })));
    }
}
