//! Conversion of weights to another type.

use super::float::WeightType;
use super::{Weights, header};
use crate::ModelError;
use burnformer_core::{FileError, atomic_write};
use std::io;
use std::path::Path;

/// Writes all weights of `file` as `weight_type` into the safetensors file `path`, which may be the source file: the
/// new file replaces it atomically.
///
/// # Errors
/// If a weight cannot be read or has values that the type cannot hold, or the file cannot be written.
pub fn write_as(file: &mut Weights, weight_type: WeightType, path: &Path) -> Result<(), ModelError> {
    let tensors = tensors(file);
    write(&tensors, weight_type, path, |name| encode(file, name, weight_type))
}

/// The names and shapes of all weights.
pub(super) fn tensors(file: &Weights) -> Vec<(String, Vec<usize>)> {
    let shape = |name: &str| file.shape(name).unwrap_or_default().to_vec();
    file.names().into_iter().map(|name| (name.clone(), shape(&name))).collect()
}

/// Writes a file of these weights, whose bytes are what `encode` makes of their names.
pub(super) fn write(
    tensors: &[(String, Vec<usize>)],
    weight_type: WeightType,
    path: &Path,
    mut encode: impl FnMut(&str) -> Result<Vec<u8>, ModelError>,
) -> Result<(), ModelError> {
    let header = header(tensors.iter().map(|(name, shape)| (name.clone(), weight_type.dtype(), shape.clone())));
    let mut failure = None;
    let written = atomic_write(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for (name, _) in tensors {
            match encode(name) {
                Ok(bytes) => out.write_all(&bytes)?,
                Err(error) => {
                    failure = Some(error);
                    return Err(io::Error::other("a weight cannot be written"));
                }
            }
        }
        Ok(())
    });
    match failure {
        Some(error) => Err(error),
        None => written.map_err(FileError::into),
    }
}

fn encode(file: &mut Weights, name: &str, weight_type: WeightType) -> Result<Vec<u8>, ModelError> {
    let values: Vec<f32> = file.read(name)?.iter::<f32>().collect();
    weight_type.encode(&values).ok_or_else(|| ModelError::Range {
        path: file.path.clone(),
        name: name.to_owned(),
        weight_type: weight_type.name(),
    })
}
