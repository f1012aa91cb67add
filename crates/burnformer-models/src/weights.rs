//! Weights by name, in the safetensors format. A file is written and read one weight at a time, so that a model needs
//! little more memory than its own while it is saved or loaded.

use crate::folder::read_error;
use crate::{ModelError, stats};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use burnformer_core::{FileError, atomic_write};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Writes every float parameter of `module` as f32 under the name that `rename` makes of its path, then the `extra`
/// tensors, floats as f32 and all others as i64. The file is there as a whole or not at all.
///
/// # Errors
/// If the file cannot be written, or the device does not hand out a parameter.
///
/// # Panics
/// If two tensors get the same name.
pub fn save<M: Module>(
    module: &M,
    rename: impl Fn(&str) -> String,
    extra: Vec<(String, TensorData)>,
    path: &Path,
) -> Result<(), ModelError> {
    let parameters = stats::parameters(module).into_iter().map(|(path, shape)| (rename(&path), Dtype::F32, shape));
    let extra: Vec<(String, Dtype, TensorData)> = extra.into_iter().map(as_stored).collect();
    let extras = extra.iter().map(|(name, dtype, data)| (name.clone(), *dtype, data.shape().to_vec()));
    let header = header(parameters.chain(extras));
    atomic_write(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        let mut writer = WriteParameters { file, result: Ok(()) };
        module.visit(&mut writer);
        writer.result?;
        extra.iter().try_for_each(|(_, dtype, data)| file.write_all(&little_endian(data, *dtype)))
    })
    .map_err(FileError::into)
}

/// Sets every float parameter of `module` from the weight whose name `rename` makes of its path. f16 and bf16 become
/// f32.
///
/// # Errors
/// If the file cannot be read, lacks a parameter or has it in another shape, or has a name that no parameter takes and
/// `ignore` does not know. Nothing is allocated for a file whose header does not fit.
pub fn load<M: Module>(
    module: M,
    rename: impl Fn(&str) -> String,
    ignore: impl Fn(&str) -> bool,
    path: &Path,
) -> Result<M, ModelError> {
    WeightsFile::open(path)?.fill(module, |path| Some(rename(path)), ignore)
}

/// A safetensors file, open for reading weights by name.
#[derive(Debug)]
pub struct WeightsFile {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Where the first weight begins, in bytes.
    data_start: u64,
}

impl WeightsFile {
    /// Reads the header, and checks that it describes the file to the last byte.
    ///
    /// # Errors
    /// If the file cannot be read, or its header is wrong.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let fail = |source| read_error(path.to_owned(), source);
        let mut file = File::open(path).map_err(fail)?;
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
        let mut header = vec![0; data_start as usize - 8];
        file.read_exact(&mut header).map_err(fail)?;
        // Deserialising checks that every weight's bytes fit its shape and begin where the last one's end.
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|source| ModelError::Header { path: path.to_owned(), source })?;
        let expected = data_start.saturating_add(header.data_len() as u64);
        check(expected, expected == found)?;
        Ok(Self { path: path.to_owned(), file, header, data_start })
    }

    /// The names of all weights, in the order of the file.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    /// Shape of the weight `name`, if it is there.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.info(name).map(|info| info.shape.as_slice())
    }

    /// The weight `name` as f32.
    ///
    /// # Errors
    /// If it is not there, has another type than f32, f16 or bf16, or cannot be read.
    pub fn read(&mut self, name: &str) -> Result<TensorData, ModelError> {
        let Some(info) = self.header.info(name) else { return Err(self.missing(name)) };
        let (start, end) = info.data_offsets;
        let (dtype, shape) = (info.dtype, info.shape.clone());
        let mut bytes = vec![0; end - start];
        self.file
            .seek(SeekFrom::Start(self.data_start + start as u64))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|source| ModelError::Read { path: self.path.clone(), source })?;
        let values: Vec<f32> = match dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
            found => {
                let (path, name) = (self.path.clone(), name.to_owned());
                return Err(ModelError::WeightType { path, name, found: format!("{found:?}") });
            }
        };
        Ok(TensorData::new(values, shape))
    }

    /// Sets the float parameters of `module` to whose path `name_of` gives a name, and leaves the others as they are.
    ///
    /// # Errors
    /// As [`load`].
    pub fn fill<M: Module>(
        &mut self,
        module: M,
        name_of: impl Fn(&str) -> Option<String>,
        ignore: impl Fn(&str) -> bool,
    ) -> Result<M, ModelError> {
        self.check(&module, &name_of, ignore)?;
        let mut mapper = ReadParameters { file: self, name_of, path: Vec::new(), result: Ok(()) };
        let module = module.map(&mut mapper);
        mapper.result.map(|()| module)
    }

    /// Compares names and shapes, before anything is allocated for a weight.
    fn check<M: Module>(
        &self,
        module: &M,
        name_of: impl Fn(&str) -> Option<String>,
        ignore: impl Fn(&str) -> bool,
    ) -> Result<(), ModelError> {
        let mut taken = BTreeSet::new();
        for (path, expected) in stats::parameters(module) {
            let Some(name) = name_of(&path) else { continue };
            match self.shape(&name) {
                None => return Err(self.missing(&name)),
                Some(found) if found != expected => {
                    let (path, found) = (self.path.clone(), found.to_vec());
                    return Err(ModelError::WrongShape { path, name, found, expected });
                }
                Some(_) => taken.insert(name),
            };
        }
        match self.names().into_iter().find(|name| !taken.contains(name) && !ignore(name)) {
            None => Ok(()),
            Some(name) => Err(ModelError::UnexpectedWeight { path: self.path.clone(), name }),
        }
    }

    /// Refuses a file that has both names, for weights that differ.
    ///
    /// # Errors
    /// [`ModelError::Untied`], or if one of the two cannot be read.
    pub fn expect_tied(&mut self, name: &str, tied_to: &str) -> Result<(), ModelError> {
        let is_tied = self.shape(name).is_none() || self.shape(tied_to).is_none() || {
            let (weight, other) = (self.read(name)?, self.read(tied_to)?);
            (weight.shape().as_slice(), weight.as_bytes()) == (other.shape().as_slice(), other.as_bytes())
        };
        let untied =
            || ModelError::Untied { path: self.path.clone(), name: name.to_owned(), tied_to: tied_to.to_owned() };
        is_tied.then_some(()).ok_or_else(untied)
    }

    pub(crate) fn missing(&self, name: &str) -> ModelError {
        ModelError::MissingWeight { path: self.path.clone(), name: name.to_owned() }
    }
}

/// The JSON header of these tensors, one behind the other, padded so that they begin at a multiple of eight bytes.
fn header(tensors: impl Iterator<Item = (String, Dtype, Vec<usize>)>) -> Vec<u8> {
    let (mut end, mut names) = (0, BTreeSet::new());
    let tensors = tensors.map(|(name, dtype, shape)| {
        assert!(names.insert(name.clone()), "weights: two tensors are named `{name}`");
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        (name, TensorInfo { dtype, shape, data_offsets: (start, end) })
    });
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let header = Metadata::new(Some(format), tensors.collect()).expect("every tensor begins where the last one ends");
    let mut header = serde_json::to_vec(&header).expect("names and numbers are JSON");
    header.resize(header.len().next_multiple_of(8), b' ');
    header
}

fn as_stored((name, data): (String, TensorData)) -> (String, Dtype, TensorData) {
    if data.dtype().is_float() {
        (name, Dtype::F32, data.convert::<f32>())
    } else {
        (name, Dtype::I64, data.convert::<i64>())
    }
}

/// The bytes of `data`, which has this type already.
fn little_endian(data: &TensorData, dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F32 => data.as_slice::<f32>().expect("floats").iter().flat_map(|x| x.to_le_bytes()).collect(),
        _ => data.as_slice::<i64>().expect("integers").iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

struct WriteParameters<'a> {
    file: &'a mut dyn Write,
    result: io::Result<()>,
}

impl ModuleVisitor for WriteParameters<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.result.is_ok() {
            let data = param.val().try_into_data().map_err(io::Error::other);
            let bytes = data.map(|data| little_endian(&data.convert::<f32>(), Dtype::F32));
            self.result = bytes.and_then(|bytes| self.file.write_all(&bytes));
        }
    }
}

struct ReadParameters<'a, F> {
    file: &'a mut WeightsFile,
    name_of: F,
    path: Vec<String>,
    result: Result<(), ModelError>,
}

impl<F: Fn(&str) -> Option<String>> ModuleMapper for ReadParameters<'_, F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(name) = (self.name_of)(&self.path.join(".")) else { return param };
        if self.result.is_err() {
            return param;
        }
        match self.file.read(&name) {
            Ok(data) => {
                let id = param.id;
                let tensor = Tensor::from_data(data, &param.lazy_device());
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.result = Err(error);
                param
            }
        }
    }
}
