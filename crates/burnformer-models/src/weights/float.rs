//! The types in which a file keeps floats.

use half::{bf16, f16};

/// A type whose values become f32.
#[derive(Clone, Copy)]
pub(super) enum Float {
    F32,
    F16,
    BF16,
}

impl Float {
    /// The values that little-endian bytes stand for.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Self::BF16 => bytes.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
        }
    }
}
