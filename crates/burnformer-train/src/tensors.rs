//! Named tensors of single precision as bytes, in the safetensors format.

use burn::tensor::TensorData;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

/// Bytes that are no named tensors of single precision.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TensorsError {
    /// Another format.
    #[error(transparent)]
    Format(#[from] SafeTensorError),
    /// Another type.
    #[error("`{name}` is {found:?}, expected F32")]
    Type {
        /// The name of the tensor.
        name: String,
        /// Its type.
        found: Dtype,
    },
}

/// The bytes of `tensors`, which are `f32`.
pub(crate) fn to_bytes(tensors: &[(String, TensorData)]) -> Result<Vec<u8>, SafeTensorError> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, data) in tensors {
        views.push((name, TensorView::new(Dtype::F32, data.shape().to_vec(), data.as_bytes())?));
    }
    safetensors::serialize(views, None)
}

/// The tensors of [`to_bytes`], by name in order.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Vec<(String, TensorData)>, TensorsError> {
    let tensor = |(name, view): (String, TensorView<'_>)| {
        if view.dtype() != Dtype::F32 {
            return Err(TensorsError::Type { name, found: view.dtype() });
        }
        let (words, _) = view.data().as_chunks();
        let values: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
        Ok((name, TensorData::new(values, view.shape().to_vec())))
    };
    let mut tensors =
        SafeTensors::deserialize(bytes)?.tensors().into_iter().map(tensor).collect::<Result<Vec<_>, _>>()?;
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(tensors)
}
