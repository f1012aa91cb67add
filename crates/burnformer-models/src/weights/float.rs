//! The types in which a file keeps floats.

use crate::ModelError;
use half::{bf16, f16};
use std::path::PathBuf;

/// A type whose values become f32.
#[derive(Clone, Copy)]
pub(super) enum Float {
    F32,
    F16,
    BF16,
}

impl Float {
    /// The values that little-endian bytes stand for; an error of path, name and type where it is none of these.
    pub(super) fn decode(
        float: Option<Self>,
        bytes: &[u8],
        weight: impl FnOnce() -> (PathBuf, String, String),
    ) -> Result<Vec<f32>, ModelError> {
        match float {
            Some(Self::F32) => Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()),
            Some(Self::F16) => {
                Ok(bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect())
            }
            Some(Self::BF16) => {
                Ok(bytes.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect())
            }
            None => {
                let (path, name, found) = weight();
                Err(ModelError::WeightType { path, name, found })
            }
        }
    }
}
