//! Weights as `torch.save` writes them. The reader makes tensors of what is in a pickle and calls nothing that it
//! names.

use super::float::WeightType;
use crate::ModelError;
use burn::tensor::TensorData;
use pytorch_reader::{DType, PytorchReader, Tensor};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file, open for reading weights by name.
#[derive(Debug)]
pub(super) struct PytorchFile {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl PytorchFile {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        File::open(path).map_err(|source| ModelError::read(path.to_owned(), source))?;
        let reader =
            PytorchReader::new(path).map_err(|source| ModelError::Pytorch { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), tensors: reader.into_tensors().into_iter().collect() })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Tensor::shape)
    }

    /// The weight `name` as f32; `None` if there is none of that name.
    pub(super) fn read(&self, name: &str) -> Result<Option<TensorData>, ModelError> {
        let Some(tensor) = self.tensors.get(name) else { return Ok(None) };
        let mut bytes = tensor.read().map_err(|source| ModelError::Read { path: self.path.clone(), source })?;
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(tensor.dtype().size()).for_each(<[u8]>::reverse);
        }
        let float = match tensor.dtype() {
            DType::F32 => WeightType::F32,
            DType::F16 => WeightType::F16,
            DType::BF16 => WeightType::BF16,
            found => {
                let (path, name) = (self.path.clone(), name.to_owned());
                return Err(ModelError::WeightType { path, name, found: format!("{found:?}") });
            }
        };
        Ok(Some(TensorData::new(float.decode(&bytes), tensor.shape().to_vec())))
    }
}
