//! Weights by name, written in the safetensors format and read in that and PyTorch's, from one file or several. A file is
//! written and read one weight at a time, so that a model needs little more memory than its own while it is saved or loaded.

mod convert;
mod float;
mod index;
mod mean;
mod pytorch_file;
mod safetensors_file;

pub use self::convert::write_as;
pub use self::float::WeightType;
use self::index::Index;
pub use self::mean::write_mean;
use self::pytorch_file::PytorchFile;
use self::safetensors_file::SafetensorsFile;
use crate::folder::{WEIGHTS, WEIGHTS_FILES};
use crate::{ModelError, stats};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use burnformer_core::{FileError, atomic_write};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
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
    Weights::open(path)?.fill(module, |path| Some(rename(path)), ignore)
}

/// Weights in a file or several, open for reading by name.
#[derive(Debug)]
pub struct Weights {
    /// The file, or the index of several.
    path: PathBuf,
    files: Vec<WeightsFile>,
}

#[derive(Debug)]
enum WeightsFile {
    Safetensors(SafetensorsFile),
    Pytorch(PytorchFile),
}

impl WeightsFile {
    fn open(path: &Path) -> Result<Self, ModelError> {
        if path.extension().is_some_and(|extension| ["bin", "pt", "pth"].iter().any(|pytorch| extension == *pytorch)) {
            PytorchFile::open(path).map(Self::Pytorch)
        } else {
            SafetensorsFile::open(path).map(Self::Safetensors)
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Safetensors(file) => file.names(),
            Self::Pytorch(file) => file.names(),
        }
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        match self {
            Self::Safetensors(file) => file.shape(name),
            Self::Pytorch(file) => file.shape(name),
        }
    }

    fn read(&mut self, name: &str) -> Result<Option<TensorData>, ModelError> {
        match self {
            Self::Safetensors(file) => file.read(name),
            Self::Pytorch(file) => file.read(name),
        }
    }
}

impl Weights {
    /// Opens a file by its ending: `.bin`, `.pt` and `.pth` as `torch.save` writes them, `.index.json` as the list of several
    /// files beside it, anything else as safetensors. What a file says about itself is checked before any of it is
    /// believed; of a pickle nothing is executed.
    ///
    /// # Errors
    /// If a file cannot be read, is cut off or damaged, or an index and its files do not agree.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let is_index = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".index.json"));
        if !is_index {
            return Ok(Self { path: path.to_owned(), files: vec![WeightsFile::open(path)?] });
        }
        let index = Index::read(path)?;
        let mut files = Vec::new();
        for (place, listed) in index.files(path)? {
            let file = WeightsFile::open(&place)?;
            let found: BTreeSet<String> = file.names().into_iter().collect();
            if let Some(name) = listed.iter().find(|&&name| !found.contains(name)) {
                return Err(ModelError::MissingWeight { path: place, name: (*name).to_owned() });
            }
            let listed: BTreeSet<&str> = listed.into_iter().collect();
            if let Some(name) = found.into_iter().find(|name| !listed.contains(name.as_str())) {
                return Err(ModelError::NotListed { path: path.to_owned(), file: place, name });
            }
            files.push(file);
        }
        Ok(Self { path: path.to_owned(), files })
    }

    /// The weights of a model folder, in the first form there is: `model.safetensors`, `model.safetensors.index.json`,
    /// `pytorch_model.bin`, `pytorch_model.bin.index.json`.
    ///
    /// # Errors
    /// As [`Self::open`], or if none of them is there.
    pub fn in_folder(folder: &Path) -> Result<Self, ModelError> {
        let path = WEIGHTS_FILES.map(|file| folder.join(file)).into_iter().find(|path| path.exists());
        path.map_or(Err(ModelError::NotAModelFolder { folder: folder.to_owned(), file: WEIGHTS }), |path| {
            Self::open(&path)
        })
    }

    /// The names of all weights, in the order of the files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.files.iter().flat_map(WeightsFile::names).collect()
    }

    /// Shape of the weight `name`, if it is there.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.files.iter().find_map(|file| file.shape(name))
    }

    /// The weight `name` as f32.
    ///
    /// # Errors
    /// If it is not there, has another type than f32, f16 or bf16, or cannot be read.
    pub fn read(&mut self, name: &str) -> Result<TensorData, ModelError> {
        for file in &mut self.files {
            if let Some(data) = file.read(name)? {
                return Ok(data);
            }
        }
        Err(self.missing(name))
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
        let (mut taken, mut missing) = (BTreeSet::new(), Vec::new());
        let mut wrong_shape = None;
        for (path, expected) in stats::parameters(module) {
            let Some(name) = name_of(&path) else { continue };
            match self.shape(&name) {
                None => missing.push(name),
                Some(found) => {
                    if found != expected && wrong_shape.is_none() {
                        wrong_shape = Some((name.clone(), found.to_vec(), expected));
                    }
                    taken.insert(name);
                }
            }
        }
        let path = self.path.clone();
        if let Some((name, found, expected)) = wrong_shape {
            return Err(ModelError::WrongShape { path, name, found, expected });
        }
        let left_over: Vec<String> =
            self.names().into_iter().filter(|name| !taken.contains(name) && !ignore(name)).collect();
        if missing.is_empty() && left_over.is_empty() {
            return Ok(());
        }
        Err(ModelError::WeightNames { path, missing, left_over })
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

    pub(crate) fn wrong_shape(&self, name: &str, found: Vec<usize>, expected: Vec<usize>) -> ModelError {
        ModelError::WrongShape { path: self.path.clone(), name: name.to_owned(), found, expected }
    }

    pub(crate) fn no_sinusoids(&self, name: &str) -> ModelError {
        ModelError::NoSinusoids { path: self.path.clone(), name: name.to_owned() }
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
    file: &'a mut Weights,
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
