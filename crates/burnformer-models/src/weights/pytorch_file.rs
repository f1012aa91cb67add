//! Weights as `torch.save` writes them. The reader makes tensors of what is in a pickle and calls nothing that it
//! names.

use super::float::{FloatType, StoredType};
use crate::ModelError;
use burn::tensor::TensorData;
use burnformer_core::open_regular;
use pytorch_reader::{DType, PickleValue, PytorchReader, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Largest ratio of what a file holds to its length. PyTorch packs nothing, and few weights have more than two names.
const MOST_INFLATED: u64 = 8;
/// Room for files that are nearly empty, in bytes.
const ROOM: u64 = 1 << 20;

/// A file, open for reading weights by name.
#[derive(Debug)]
pub(super) struct PytorchFile {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl PytorchFile {
    /// Reads the names and shapes. What the file says of its sizes is held against its length before memory is taken.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let fail = |source| ModelError::read(path.to_owned(), source);
        let mut file = open_regular(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut start = Vec::new();
        file.by_ref().take(512).read_to_end(&mut start).map_err(fail)?;
        let format = |found| Err(ModelError::PytorchFormat { path: path.to_owned(), found });
        if start.starts_with(b"PK") {
            file.rewind().map_err(fail)?;
            check_archive(file, length, path)?;
        } else if start.get(257..262) == Some(b"ustar") {
            return format("an archive of PyTorch 0.1");
        }
        let reader =
            PytorchReader::new(path).map_err(|source| ModelError::Pytorch { path: path.to_owned(), source })?;
        let tensors: BTreeMap<String, Tensor> = reader.into_tensors().into_iter().collect();
        let found = tensors.values().map(|tensor| tensor.byte_len() as u64).fold(0, u64::saturating_add);
        check_inflated("tensors", found, length.saturating_mul(MOST_INFLATED), length, path)?;
        check_names(path)?;
        Ok(Self { path: path.to_owned(), tensors })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Tensor::shape)
    }

    pub(super) fn stored_type(&self, name: &str) -> Option<StoredType> {
        self.tensors.get(name).map(|tensor| stored_type(tensor.dtype()))
    }

    /// The weight `name` as f32; `None` if there is none of that name.
    pub(super) fn read(&self, name: &str) -> Result<Option<TensorData>, ModelError> {
        let Some(tensor) = self.tensors.get(name) else { return Ok(None) };
        let mut bytes = tensor.read().map_err(|source| ModelError::Read { path: self.path.clone(), source })?;
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(tensor.dtype().size()).for_each(<[u8]>::reverse);
        }
        let found = stored_type(tensor.dtype());
        match found.decode(&bytes) {
            Some(values) => Ok(Some(TensorData::new(values, tensor.shape().to_vec()))),
            None => Err(ModelError::wrong_type(&self.path, name, found.name())),
        }
    }
}

fn stored_type(dtype: DType) -> StoredType {
    match dtype {
        DType::F32 => StoredType::Float(FloatType::F32),
        DType::F16 => StoredType::Float(FloatType::F16),
        DType::BF16 => StoredType::Float(FloatType::BF16),
        DType::F64 => StoredType::Double,
        other => StoredType::Other(format!("{other:?}")),
    }
}

/// Refuses an archive whose entries would unpack to much more than its length. Each object of the pickle takes some
/// hundred bytes of memory for as little as one byte of it, so the pickle itself has a limit of its own.
fn check_archive(file: File, length: u64, path: &Path) -> Result<(), ModelError> {
    let fail =
        |source| ModelError::Pytorch { path: path.to_owned(), source: pytorch_reader::PytorchError::Zip(source) };
    let mut archive = ZipArchive::new(file).map_err(fail)?;
    if archive.has_duplicate_names() {
        let found = "an archive with two entries of one name";
        return Err(ModelError::PytorchFormat { path: path.to_owned(), found });
    }
    let (mut entries, mut pickle) = (0_u64, 0);
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(fail)?;
        entries = entries.saturating_add(entry.size());
        if entry.name().map_err(fail)?.ends_with("data.pkl") {
            pickle = entry.size().max(pickle);
        }
    }
    check_inflated("a pickle", pickle, ROOM + length / 16, length, path)?;
    check_inflated("entries", entries, ROOM.saturating_add(length.saturating_mul(MOST_INFLATED)), length, path)
}

fn check_inflated(what: &'static str, found: u64, most: u64, length: u64, path: &Path) -> Result<(), ModelError> {
    if found <= most {
        return Ok(());
    }
    Err(ModelError::Inflated { path: path.to_owned(), what, length, found, most })
}

/// Refuses a file in which two tensors get one name, as `{"a.b": …}` beside `{"a": {"b": …}}`: which of them is read would
/// be a matter of chance.
fn check_names(path: &Path) -> Result<(), ModelError> {
    let pickle = PytorchReader::read_pickle_data(path, None)
        .map_err(|source| ModelError::Pytorch { path: path.to_owned(), source })?;
    let mut found = BTreeSet::new();
    match first_twice(pickle, String::new(), &mut found) {
        Some(name) => Err(ModelError::NameTwice { path: path.to_owned(), name }),
        None => Ok(()),
    }
}

/// The first name that is found again.
fn first_twice(value: PickleValue, name: String, found: &mut BTreeSet<String>) -> Option<String> {
    let inside = |key: String| if name.is_empty() { key } else { format!("{name}.{key}") };
    match value {
        PickleValue::Dict(entries) => {
            entries.into_iter().find_map(|(key, value)| first_twice(value, inside(key), found))
        }
        PickleValue::List(items) => {
            items.into_iter().zip(0_usize..).find_map(|(item, key)| first_twice(item, inside(key.to_string()), found))
        }
        PickleValue::Unsupported(kind) if kind == "torch.Tensor" && !found.insert(name.clone()) => Some(name),
        _ => None,
    }
}
