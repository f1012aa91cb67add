//! Weights in the safetensors format.

use super::float::{FloatType, StoredType};
use super::int8::{self, Outputs};
use super::unique::Unique;
use crate::ModelError;
use burn::tensor::TensorData;
use burnformer_core::open_regular;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Largest header in bytes, as in the library of Hugging Face.
const MOST_HEADER: u64 = 100_000_000;

/// A file, open for reading weights by name.
#[derive(Debug)]
pub(super) struct SafetensorsFile {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Where the first weight begins, in bytes.
    data_start: u64,
}

impl SafetensorsFile {
    /// Reads the header, and checks that it describes the file to the last byte.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let fail = |source| ModelError::read(path.to_owned(), source);
        let mut file = open_regular(path).map_err(fail)?;
        let found = file.metadata().map_err(fail)?.len();
        let check = |expected: u64, holds: bool| {
            holds.then_some(()).ok_or_else(|| ModelError::FileSize { path: path.to_owned(), expected, found })
        };
        let mut length = [0; 8];
        check(8, found >= 8)?;
        file.read_exact(&mut length).map_err(fail)?;
        let data_start = u64::from_le_bytes(length).saturating_add(8);
        // Only now is the length known to be one that may be allocated.
        check(data_start, data_start <= found)?;
        let (length, most) = (data_start - 8, MOST_HEADER);
        if length > most {
            return Err(ModelError::HeaderSize { path: path.to_owned(), found: length, most });
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(fail)?;
        let not_one = |source| ModelError::Header { path: path.to_owned(), source };
        serde_json::from_slice::<Unique<IgnoredAny>>(&header).map_err(not_one)?;
        // Deserialising checks that every weight's bytes fit its shape and begin where the last one's end.
        let header: Metadata = serde_json::from_slice(&header).map_err(not_one)?;
        let expected = data_start.saturating_add(header.data_len() as u64);
        check(expected, expected == found)?;
        let file = Self { path: path.to_owned(), file, header, data_start };
        file.check_scales()?;
        Ok(file)
    }

    /// # Errors
    /// If a matrix of integers has scales that do not fit.
    fn check_scales(&self) -> Result<(), ModelError> {
        for name in self.stored_names() {
            let weight = int8::scaled(&name).and_then(|weight| Some((weight, self.header.info(weight)?)));
            let (Some((weight, info)), Some(scale)) = (weight, self.header.info(&name)) else { continue };
            if let (Dtype::I8, &[rows, columns], None) = (info.dtype, &info.shape[..], self.outputs(weight)) {
                let found = format!("`{:?}` of shape {:?}", scale.dtype, scale.shape);
                return Err(ModelError::Scales { path: self.path.clone(), name, found, of: [rows, columns] });
            }
        }
        Ok(())
    }

    /// Names of all tensors, in the order of the file.
    pub(super) fn stored_names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    /// Names of the weights, in the order of the file: without the scales of integers.
    pub(super) fn names(&self) -> Vec<String> {
        let is_scale = |name: &String| int8::scaled(name).is_some_and(|weight| self.outputs(weight).is_some());
        self.stored_names().into_iter().filter(|name| !is_scale(name)).collect()
    }

    /// The outputs of a matrix of integers, if there is one of that name and it has scales.
    fn outputs(&self, name: &str) -> Option<Outputs> {
        let weight = self.header.info(name).filter(|weight| weight.dtype == Dtype::I8)?;
        let scale = self.header.info(&int8::scale(name)).filter(|scale| scale.dtype == Dtype::F32)?;
        Outputs::of(&weight.shape, &scale.shape)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.info(name).map(|info| info.shape.as_slice())
    }

    pub(super) fn stored_type(&self, name: &str) -> Option<StoredType> {
        match self.outputs(name) {
            Some(_) => Some(StoredType::Int8),
            None => self.header.info(name).map(|info| stored_type(info.dtype)),
        }
    }

    /// The weight `name` as f32; `None` if there is none of that name.
    pub(super) fn read(&mut self, name: &str) -> Result<Option<TensorData>, ModelError> {
        let Some(info) = self.header.info(name) else { return Ok(None) };
        let ((start, end), shape, found) = (info.data_offsets, info.shape.clone(), stored_type(info.dtype));
        let integers = match self.outputs(name) {
            Some(outputs) => self.read(&int8::scale(name))?.map(|scales| (outputs, scales)),
            None => None,
        };
        let decode = |bytes: &[u8]| match &integers {
            Some((outputs, scales)) => {
                Some(outputs.decode(bytes, scales.as_slice().expect("scales are read as f32"), &shape))
            }
            None => found.decode(bytes),
        };
        let read_into = |file: &mut File, bytes: &mut [u8]| {
            file.seek(SeekFrom::Start(self.data_start + start as u64)).and_then(|_| file.read_exact(bytes))
        };
        let values = if found == StoredType::Float(FloatType::F32) && cfg!(target_endian = "little") {
            // What is in the file is what will be in memory: no bytes of their own, which would be copied.
            zeros((end - start) / size_of::<f32>(), 0.0_f32).and_then(|mut values| {
                read_into(&mut self.file, bytemuck::cast_slice_mut(&mut values)).map(|()| Some(values))
            })
        } else {
            zeros(end - start, 0_u8)
                .and_then(|mut bytes| read_into(&mut self.file, &mut bytes).map(|()| decode(&bytes)))
        };
        match values.map_err(|source| ModelError::Read { path: self.path.clone(), source })? {
            Some(values) => Ok(Some(TensorData::new(values, shape))),
            None => Err(ModelError::wrong_type(&self.path, name, found.name())),
        }
    }
}

fn stored_type(dtype: Dtype) -> StoredType {
    match dtype {
        Dtype::F32 => StoredType::Float(FloatType::F32),
        Dtype::F16 => StoredType::Float(FloatType::F16),
        Dtype::BF16 => StoredType::Float(FloatType::BF16),
        Dtype::F64 => StoredType::Double,
        other => StoredType::Other(format!("{other:?}")),
    }
}

/// `n` zeros, or the error of a system that has no memory for them.
fn zeros<T: Clone>(n: usize, zero: T) -> io::Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(n)?;
    values.resize(n, zero);
    Ok(values)
}
