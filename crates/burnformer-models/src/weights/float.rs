//! Float types of weight files.

use half::{bf16, f16};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

/// A type of weights in a file; in memory they are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightType {
    /// Single precision.
    #[default]
    F32,
    /// Half precision, up to 65,504.
    F16,
    /// bfloat16: the range of single precision with fewer digits.
    BF16,
    /// 8-bit integers with a scale for each output, of the matrices in layers and of the tables of tokens; all others are single
    /// precision.
    Int8,
}

impl WeightType {
    /// Its name in settings and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            _ => self.float().name(),
        }
    }

    /// The type of weights that are no integers.
    pub(crate) fn float(self) -> FloatType {
        match self {
            Self::F32 | Self::Int8 => FloatType::F32,
            Self::F16 => FloatType::F16,
            Self::BF16 => FloatType::BF16,
        }
    }
}

/// A float type of weights in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatType {
    F32,
    F16,
    BF16,
}

impl FloatType {
    /// Its name in safetensors files, in lower case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
        }
    }

    /// Its name in PyTorch.
    pub(crate) fn pytorch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
        }
    }

    pub(super) fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::BF16 => Dtype::BF16,
        }
    }

    /// The values that little-endian bytes stand for.
    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Self::BF16 => bytes.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
        }
    }

    /// The nearest values of the type, as little-endian bytes; `None` if a finite number would become infinite.
    pub(super) fn encode(self, values: &[f32]) -> Option<Vec<u8>> {
        let holds = |x: f32| match self {
            Self::F32 => true,
            Self::F16 => !x.is_finite() || f16::from_f32(x).is_finite(),
            Self::BF16 => !x.is_finite() || bf16::from_f32(x).is_finite(),
        };
        if !values.iter().copied().all(holds) {
            return None;
        }
        Some(match self {
            Self::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
            Self::BF16 => values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
        })
    }
}

/// The type of a weight in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoredType {
    /// A float type.
    Float(FloatType),
    /// Double precision, which is rounded to single.
    Double,
    /// 8-bit integers that have scales.
    Int8,
    /// A type that weights do not have, by its name.
    Other(String),
}

impl StoredType {
    /// Its name in safetensors files.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Float(float) => float.name().to_uppercase(),
            Self::Double => "F64".to_owned(),
            Self::Int8 => "I8".to_owned(),
            Self::Other(name) => name.clone(),
        }
    }

    /// The values that little-endian bytes stand for by themselves, as f32; `None` of a type whose bytes stand for none.
    pub(super) fn decode(&self, bytes: &[u8]) -> Option<Vec<f32>> {
        match self {
            Self::Float(float) => Some(float.decode(bytes)),
            Self::Double => Some(bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect()),
            Self::Int8 | Self::Other(_) => None,
        }
    }
}
