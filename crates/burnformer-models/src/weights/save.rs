//! Writing the parameters of a module, one weight at a time.

use super::{Place, elsewhere};
use crate::adapter::save_attached;
use crate::{ModelError, stats};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use burnformer_core::{FileError, atomic_write};
use burnformer_nn::is_prepared;
use bytemuck::NoUninit;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::Path;

/// Writes every float parameter of `module` as f32 at the place that `place` gives its path, then the `extra` tensors, floats
/// as f32 and all others as i64. The file is there as a whole or not at all. Of a module with an adapter the adapter is written
/// instead, into the folder of `path`, see [`with_adapter`](crate::with_adapter). What another process holds comes from there,
/// see [`with_elsewhere`](super::with_elsewhere).
///
/// # Errors
/// If the file cannot be written, or the device does not hand out a parameter; [`ModelError::UnmergedAdapter`];
/// [`ModelError::PreparedModel`].
///
/// # Panics
/// If two parameters or tensors get the same place, or a weight lacks a part.
pub fn save<M: Module, P: Into<Place>>(
    module: &M,
    place: impl Fn(&str) -> P,
    extra: Vec<(String, TensorData)>,
    path: &Path,
) -> Result<(), ModelError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if save_attached(module, |path| place(path).into(), folder)? {
        return Ok(());
    }
    if is_prepared(module) {
        return Err(ModelError::PreparedModel);
    }
    save_some(module, |path| Some(place(path)), extra, path)
}

/// [`save`] of those parameters for whose path `place` returns a place.
pub(crate) fn save_some<M: Module, P: Into<Place>>(
    module: &M,
    place: impl Fn(&str) -> Option<P>,
    extra: Vec<(String, TensorData)>,
    path: &Path,
) -> Result<(), ModelError> {
    let weights = weights(stats::parameters(module), &|path| place(path).map(P::into));
    write(&weights, extra, &|weight| weight.read(module), path)
}

/// [`save_some`] without code of its own for each model.
fn write(
    weights: &[Weight],
    extra: Vec<(String, TensorData)>,
    read: &dyn Fn(&Weight) -> io::Result<TensorData>,
    path: &Path,
) -> Result<(), ModelError> {
    let extra: Vec<(String, Dtype, TensorData)> = extra.into_iter().map(as_stored).collect();
    let extras = extra.iter().map(|(name, dtype, data)| (name.clone(), *dtype, data.shape().to_vec()));
    let header = header(weights.iter().map(|it| (it.place.name.clone(), Dtype::F32, it.shape.clone())).chain(extras));
    atomic_write(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for weight in weights {
            write_little_endian(file, &read(weight)?, Dtype::F32)?;
        }
        extra.iter().try_for_each(|(_, dtype, data)| write_little_endian(file, data, *dtype))
    })
    .map_err(FileError::into)
}

/// Writes tensors of type f32 in the safetensors format, one at a time: only one of them is in memory. `read` gives the
/// values of a name in `shapes`. The file is there as a whole or not at all.
///
/// # Errors
/// If the file cannot be written, or `read` fails.
///
/// # Panics
/// If two tensors have the same name, or the values of one have another type.
pub fn write_tensors(
    shapes: &[(String, Vec<usize>)],
    mut read: impl FnMut(&str) -> io::Result<TensorData>,
    path: &Path,
) -> Result<(), FileError> {
    let header = header(shapes.iter().map(|(name, shape)| (name.clone(), Dtype::F32, shape.clone())));
    atomic_write(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        shapes.iter().try_for_each(|(name, _)| write_little_endian(file, &read(name)?, Dtype::F32))
    })
}

/// The values of `param`, which is at `path` of its model, from the process that holds them.
///
/// # Errors
/// If the device or that process does not hand them out.
pub(crate) fn read<const D: usize>(path: &str, param: &Param<Tensor<D>>) -> Result<TensorData, ModelError> {
    match elsewhere::read(path) {
        Some(found) => {
            found.map_err(|source| FileError::Io { attempt: "get the values of", path: path.into(), source }.into())
        }
        None => Ok(param.val().try_into_data()?),
    }
}

/// A weight of the file.
struct Weight {
    place: Place,
    shape: Vec<usize>,
    /// Paths of the parameters that it holds, in the order of their parts.
    paths: Vec<String>,
}

impl Weight {
    fn read<M: Module>(&self, module: &M) -> io::Result<TensorData> {
        let mut reader =
            ReadParameters { wanted: &self.paths, path: Vec::new(), found: BTreeMap::new(), result: Ok(()) };
        module.visit(&mut reader);
        reader.result?;
        self.put_together(reader.found)
    }

    /// The weight of those parameters that are here; the others come from elsewhere.
    fn put_together(&self, mut found: BTreeMap<usize, TensorData>) -> io::Result<TensorData> {
        for (number, path) in self.paths.iter().enumerate() {
            if let Some(other) = elsewhere::read(path) {
                found.insert(number, other?);
            }
        }
        let mut parameters: Vec<TensorData> = found.into_values().collect();
        match (self.place.part, self.place.transposed) {
            (None, false) => Ok(parameters.swap_remove(0)),
            _ => Ok(self.place.stored(&parameters)),
        }
    }
}

/// The weights that hold those `parameters` that have a place, in the order of the first parameter of each.
fn weights(parameters: Vec<(String, Vec<usize>)>, place: &dyn Fn(&str) -> Option<Place>) -> Vec<Weight> {
    let mut weights: Vec<Weight> = Vec::new();
    let mut parts: BTreeMap<String, (usize, BTreeMap<usize, String>)> = BTreeMap::new();
    for (path, shape) in parameters {
        let Some(place) = place(&path) else { continue };
        let shape = elsewhere::shape(&path).unwrap_or(shape);
        let Some(part) = place.part else {
            weights.push(Weight { shape: place.stored_shape(&shape), place, paths: vec![path] });
            continue;
        };
        let (number, found) = parts.entry(place.name.clone()).or_insert_with(|| {
            weights.push(Weight { shape: place.stored_shape(&shape), place: place.clone(), paths: Vec::new() });
            (weights.len() - 1, BTreeMap::new())
        });
        let other = found.insert(part.index, path);
        assert!(other.is_none(), "weights: two parameters are part {} of `{}`", part.index, place.name);
        if found.len() == part.of {
            weights[*number].paths = found.values().cloned().collect();
        }
    }
    for weight in &weights {
        assert!(!weight.paths.is_empty(), "weights: `{}` lacks a part", weight.place.name);
    }
    weights
}

/// The JSON header of these tensors, one behind the other, padded so that they begin at a multiple of eight bytes.
pub(super) fn header(tensors: impl Iterator<Item = (String, Dtype, Vec<usize>)>) -> Vec<u8> {
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

/// Writes `data`, which has this type already, without a second copy of it where its bytes in memory are those of the file.
fn write_little_endian(file: &mut dyn Write, data: &TensorData, dtype: Dtype) -> io::Result<()> {
    match dtype {
        Dtype::F32 => write_slice(file, data.as_slice::<f32>().expect("floats"), f32::to_le_bytes),
        _ => write_slice(file, data.as_slice::<i64>().expect("integers"), i64::to_le_bytes),
    }
}

fn write_slice<T: NoUninit, const N: usize>(
    file: &mut dyn Write,
    values: &[T],
    to_le_bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    if cfg!(target_endian = "little") {
        return file.write_all(bytemuck::cast_slice(values));
    }
    values.iter().try_for_each(|&x| file.write_all(&to_le_bytes(x)))
}

/// Reads some parameters from the device, as f32.
struct ReadParameters<'a> {
    wanted: &'a [String],
    path: Vec<String>,
    /// By place in `wanted`.
    found: BTreeMap<usize, TensorData>,
    result: io::Result<()>,
}

impl ModuleVisitor for ReadParameters<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let Some(number) = self.wanted.iter().position(|wanted| *wanted == path) else { return };
        match param.val().try_into_data() {
            Ok(data) => drop(self.found.insert(number, data.convert::<f32>())),
            Err(error) => self.result = Err(io::Error::other(error)),
        }
    }
}
