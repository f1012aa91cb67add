//! One file of weights, in any format.

use super::float::StoredType;
use super::pytorch_file::PytorchFile;
use super::safetensors_file::SafetensorsFile;
use crate::ModelError;
use burn::tensor::TensorData;
use std::path::Path;

/// A file of weights, in one of the formats.
#[derive(Debug)]
pub(super) enum WeightsFile {
    Safetensors(SafetensorsFile),
    Pytorch(PytorchFile),
}

impl WeightsFile {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        if path.extension().is_some_and(|extension| ["bin", "pt", "pth"].iter().any(|pytorch| extension == *pytorch)) {
            PytorchFile::open(path).map(Self::Pytorch)
        } else {
            SafetensorsFile::open(path).map(Self::Safetensors)
        }
    }

    /// Names of all tensors, also of scales.
    pub(super) fn stored_names(&self) -> Vec<String> {
        match self {
            Self::Safetensors(file) => file.stored_names(),
            Self::Pytorch(file) => file.names(),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Safetensors(file) => file.names(),
            Self::Pytorch(file) => file.names(),
        }
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        match self {
            Self::Safetensors(file) => file.shape(name),
            Self::Pytorch(file) => file.shape(name),
        }
    }

    pub(super) fn read(&mut self, name: &str) -> Result<Option<TensorData>, ModelError> {
        match self {
            Self::Safetensors(file) => file.read(name),
            Self::Pytorch(file) => file.read(name),
        }
    }

    pub(super) fn stored_type(&self, name: &str) -> Option<StoredType> {
        match self {
            Self::Safetensors(file) => file.stored_type(name),
            Self::Pytorch(file) => file.stored_type(name),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Safetensors(file) => file.path(),
            Self::Pytorch(file) => file.path(),
        }
    }
}
