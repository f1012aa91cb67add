//! Weights by name, written in the safetensors format and read in that and PyTorch's, from one file or several. A file
//! is written and read one weight at a time, so that a model needs little more memory than its own while it is saved or
//! loaded.

mod convert;
mod elsewhere;
mod file;
mod fill;
mod finite;
mod float;
mod index;
mod int8;
mod layout;
mod mean;
mod place;
mod pytorch_file;
mod remarks;
mod safetensors_file;
mod save;
mod unique;

pub use self::convert::write_as;
pub use self::elsewhere::{Elsewhere, with_elsewhere};
use self::file::WeightsFile;
use self::fill::FillParameters;
use self::finite::n_not_finite;
use self::float::StoredType;
pub use self::float::WeightType;
use self::index::Index;
pub use self::layout::is_adapter;
use self::layout::{Layout, is_beside};
pub use self::mean::write_mean;
pub use self::place::{Part, Place};
pub use self::remarks::WeightRemarks;
pub(crate) use self::remarks::is_former_buffer;
use self::save::header;
pub(crate) use self::save::{read, save_some};
pub use self::save::{save, write_tensors};
use crate::adapter::{Merged, SharedBase};
use crate::folder::{WEIGHTS, WEIGHTS_FILES};
use crate::{ModelError, stats};
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use burnformer_core::adapter::{adapter_base, is_adapter as is_adapter_folder};
use burnformer_core::available_memory;
use burnformer_nn::parts;
use burnformer_ops::is_on_host;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Sets every float parameter of `module` from the place that `place` gives its path. f16, bf16, f64 and integers with scales become
/// f32.
///
/// # Errors
/// If the file cannot be read, lacks a parameter or has it in another shape or with a value that is NaN or infinite, or
/// has a name that no parameter takes and `ignore` does not know. Nothing is allocated for a file whose header does not fit.
pub fn load<M: Module, P: Into<Place>>(
    module: M,
    place: impl Fn(&str) -> P,
    ignore: impl Fn(&str) -> bool,
    path: &Path,
) -> Result<M, ModelError> {
    Weights::open(path)?.fill(module, |path| Some(place(path)), ignore)
}

/// Weights in a file or several, open for reading by name.
#[derive(Debug)]
pub struct Weights {
    /// The file, or the index of several.
    path: PathBuf,
    files: Vec<WeightsFile>,
    /// Of a model folder; `None` of a file whose names are taken as they are.
    layout: Option<Layout>,
    /// What an adapter makes of the weights.
    adapter: Option<Merged>,
    /// Where the weights of the base of an adapter are kept.
    shared: Option<SharedBase>,
}

impl Weights {
    /// Opens a file by its ending: `.bin`, `.pt` and `.pth` as `torch.save` writes them, `.index.json` as the list of
    /// several files beside it, anything else as safetensors. The header of a file is checked before it is used;
    /// nothing in a pickle is executed.
    ///
    /// # Errors
    /// If a file cannot be read, is cut off or damaged, or an index and its files do not agree.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let is_index = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".index.json"));
        if !is_index {
            return Ok(Self::of(path, vec![WeightsFile::open(path)?]));
        }
        let index = Index::read(path)?;
        let mut files = Vec::new();
        for (place, listed) in index.files(path)? {
            let file = WeightsFile::open(&place)?;
            let found: BTreeSet<String> = file.stored_names().into_iter().collect();
            if let Some(name) = listed.iter().find(|&&name| !found.contains(name)) {
                return Err(ModelError::MissingWeight { path: place, name: (*name).to_owned() });
            }
            let listed: BTreeSet<&str> = listed.into_iter().collect();
            if let Some(name) = found.into_iter().find(|name| !listed.contains(name.as_str())) {
                return Err(ModelError::NotListed { path: path.to_owned(), file: place, name });
            }
            files.push(file);
        }
        Ok(Self::of(path, files))
    }

    fn of(path: &Path, files: Vec<WeightsFile>) -> Self {
        Self { path: path.to_owned(), files, layout: None, adapter: None, shared: None }
    }

    /// The weights of a model folder, from the first of these files that exists: `model.safetensors`,
    /// `model.safetensors.index.json`, `pytorch_model.bin`, `pytorch_model.bin.index.json`, `model.int8.safetensors`. What wrappers have added to the
    /// names is taken off: a prefix such as `module.` or `model.`, the key of a checkpoint such as `state_dict`, and
    /// `_orig_mod` anywhere. A folder with an adapter in place of them gives the weights of its base model with what the
    /// adapter adds.
    ///
    /// # Errors
    /// As [`Self::open`], if none of them exists, or if it has the weights of several models; if the base model of an adapter
    /// cannot be found, or is another.
    pub fn in_folder(folder: &Path) -> Result<Self, ModelError> {
        if is_adapter_folder(folder) {
            let base = adapter_base(folder)?;
            let weights = Self::of_model(&base)?;
            let adapter = Merged::open(folder, &base, &weights)?;
            return Ok(Self { adapter: Some(adapter), ..weights });
        }
        Self::of_model(folder)
    }

    /// [`Self::in_folder`] of a model without an adapter.
    fn of_model(folder: &Path) -> Result<Self, ModelError> {
        let path = WEIGHTS_FILES.map(|file| folder.join(file)).into_iter().find(|path| path.exists());
        path.map_or(Err(ModelError::NotAModelFolder { folder: folder.to_owned(), file: WEIGHTS }), |path| {
            let weights = Self::open(&path)?;
            let layout = Layout::of(&weights.names(), &path)?;
            Ok(Self { layout: Some(layout), ..weights })
        })
    }

    /// The names of all weights, in the order of the files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |stored: String| match &self.layout {
            Some(layout) => layout.name(stored),
            None => stored,
        };
        let names = self.files.iter().flat_map(WeightsFile::names).map(name).collect();
        match &self.adapter {
            Some(adapter) => adapter.names(names),
            None => names,
        }
    }

    /// Shape of the weight `name`, if it is there.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        if let Some((file, stored)) = self.adapter.as_ref().and_then(|adapter| adapter.whole(name)) {
            return file.shape(stored);
        }
        let is_there = self.adapter.as_ref().is_none_or(|adapter| !adapter.hides(name));
        let stored = self.stored(name);
        self.files.iter().filter(|_| is_there).find_map(|file| file.shape(stored))
    }

    fn stored_type(&self, name: &str) -> Option<StoredType> {
        let stored = self.stored(name);
        self.files.iter().find_map(|file| file.stored_type(stored))
    }

    /// The name in the file of the weight `name`.
    fn stored<'a>(&'a self, name: &'a str) -> &'a str {
        self.layout.as_ref().map_or(name, |layout| layout.stored(name))
    }

    /// `true` for what lies beside the weights of a model: buffers that are no floats, and what [`is_beside`] says.
    fn is_extra(&self, name: &str) -> bool {
        let is_float = || !matches!(self.stored_type(name), Some(StoredType::Other(_)));
        self.layout.is_some() && (!is_float() || is_beside(name, self.shape(name).unwrap_or_default()))
    }

    /// The weight `name` as f32, whatever its values are.
    ///
    /// # Errors
    /// If it is not there, has another type than f32, f16, bf16, f64 or integers with scales, or cannot be read.
    pub fn read(&mut self, name: &str) -> Result<TensorData, ModelError> {
        self.find(name).map(|(data, _)| data)
    }

    /// The weight `name` of a model as f32: numbers that it can compute with.
    ///
    /// # Errors
    /// As [`Self::read`], or if a value is NaN or infinite.
    pub(crate) fn read_finite(&mut self, name: &str) -> Result<TensorData, ModelError> {
        let (data, file) = self.find(name)?;
        let values = data.as_slice::<f32>().expect("weights are read as f32");
        let (found, of) = (n_not_finite(values), values.len());
        if found == 0 { Ok(data) } else { Err(self.not_finite(name, file, found, of)?) }
    }

    /// [`Self::read_finite`] of a bias of logits, where minus infinity means a token that is impossible.
    pub(crate) fn read_logits_bias(&mut self, name: &str) -> Result<TensorData, ModelError> {
        let (bias, file) = self.find(name)?;
        let found = bias.iter::<f32>().filter(|&value| value.is_nan() || value == f32::INFINITY).count();
        if found == 0 { Ok(bias) } else { Err(self.not_finite(name, file, found, bias.num_elements())?) }
    }

    /// The error of weights that are missing.
    pub(crate) fn lacks(&self, missing: Vec<String>) -> ModelError {
        ModelError::WeightNames { path: self.path.clone(), missing, left_over: Vec::new() }
    }

    /// The error of the weight `name`, in which the file or the adapter has values that are not finite.
    fn not_finite(&mut self, name: &str, file: usize, found: usize, of: usize) -> Result<ModelError, ModelError> {
        if let Some(adapter) = &mut self.adapter {
            adapter.check_finite(name)?;
        }
        let path = self.files[file].path().to_owned();
        Ok(ModelError::NotFiniteWeight { path, name: self.stored(name).to_owned(), found, of })
    }

    /// The weight `name` as f32, and the index of the file that has it.
    fn find(&mut self, name: &str) -> Result<(TensorData, usize), ModelError> {
        if let Some(data) = self.adapter.as_mut().and_then(|adapter| adapter.read_whole(name)) {
            return Ok((data?, 0));
        }
        let stored = self.stored(name).to_owned();
        for (index, file) in self.files.iter_mut().enumerate() {
            if let Some(data) = file.read(&stored)? {
                let data = match &mut self.adapter {
                    Some(adapter) => adapter.add(name, data)?,
                    None => data,
                };
                return Ok((data, index));
            }
        }
        Err(self.missing(name))
    }

    /// Sets the float parameters of `module` for whose path `place_of` returns a place; the others stay unchanged. What lies
    /// beside the weights of a model is passed over, see [`WeightRemarks::ignored`].
    ///
    /// # Errors
    /// As [`load`].
    pub fn fill<M: Module, P: Into<Place>>(
        &mut self,
        module: M,
        place_of: impl Fn(&str) -> Option<P>,
        ignore: impl Fn(&str) -> bool,
    ) -> Result<M, ModelError> {
        self.fill_places(module, &|path| place_of(path).map(P::into), &ignore)
    }

    /// [`Self::fill`] without types of its own for each call.
    pub(crate) fn fill_places<M: Module>(
        &mut self,
        module: M,
        place_of: &dyn Fn(&str) -> Option<Place>,
        ignore: &dyn Fn(&str) -> bool,
    ) -> Result<M, ModelError> {
        let parameters = stats::parameters(&module);
        self.check(&parameters, place_of, ignore)?;
        if let Some(adapter) = &self.adapter {
            adapter.check_complete(&module, place_of)?;
        }
        self.check_memory(&parameters, &module.devices(), place_of)?;
        let shared = SharedBase::current().filter(|_| self.adapter.is_some());
        if let (Some(_), Some(adapter)) = (&shared, &mut self.adapter) {
            adapter.keep_apart();
        }
        self.shared = shared;
        let mut mapper = FillParameters::new(self, place_of);
        let module = module.map(&mut mapper);
        mapper.end()?;
        match &mut self.adapter {
            Some(adapter) => adapter.attach(module, place_of),
            None => Ok(module),
        }
    }

    /// Where the weight `name` of the base of an adapter is kept for other adapters.
    pub(crate) fn shared_base(&self, name: &str) -> Option<SharedBase> {
        self.shared.clone().filter(|_| self.adapter.as_ref().is_some_and(|adapter| adapter.whole(name).is_none()))
    }

    /// Compares names and shapes, before anything is allocated for a weight.
    fn check(
        &self,
        parameters: &[(String, Vec<usize>)],
        place_of: &dyn Fn(&str) -> Option<Place>,
        ignore: &dyn Fn(&str) -> bool,
    ) -> Result<(), ModelError> {
        let (mut taken, mut missing, mut absent) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        let mut wrong_shape = None;
        for (path, shape) in parameters {
            let Some(place) = place_of(path) else { continue };
            let (expected, name) = (place.stored_shape(shape), place.name);
            match self.shape(&name) {
                None if !absent.insert(name.clone()) => {}
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
        let left_over: Vec<String> = self
            .names()
            .into_iter()
            .filter(|name| !taken.contains(name) && !ignore(name) && !self.is_extra(name))
            .collect();
        if missing.is_empty() && left_over.is_empty() {
            return Ok(());
        }
        Err(ModelError::WeightNames { path, missing, left_over })
    }

    /// Refuses weights that memory has no room for: where it runs out, the device ends the program.
    fn check_memory(
        &self,
        parameters: &[(String, Vec<usize>)],
        devices: &[Device],
        place_of: &dyn Fn(&str) -> Option<Place>,
    ) -> Result<(), ModelError> {
        let Some(available) = devices.iter().all(is_on_host).then(available_memory).flatten() else {
            return Ok(());
        };
        let wanted = parameters.iter().filter(|(path, _)| place_of(path).is_some());
        let wanted = wanted.map(|(path, shape)| parts::part_of(path).shape(shape));
        let sizes = wanted.map(|shape| shape.iter().product::<usize>() as u64 * size_of::<f32>() as u64);
        let needed = sizes.fold(0, u64::saturating_add);
        if needed <= available {
            return Ok(());
        }
        Err(ModelError::Memory { path: self.path.clone(), needed: needed >> 20, available: available >> 20 })
    }

    /// Refuses a file in which the weights of both names differ.
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

    pub(crate) fn head_size(&self, found: usize, expected: usize) -> ModelError {
        ModelError::HeadSize { path: self.path.clone(), found, expected }
    }

    pub(crate) fn missing(&self, name: &str) -> ModelError {
        ModelError::MissingWeight { path: self.path.clone(), name: name.to_owned() }
    }
}
