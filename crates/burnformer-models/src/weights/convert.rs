//! Conversion of weights to another type.

use super::float::WeightType;
use super::int8::{self, Outputs, Stored};
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
    let (mut stored, mut integers) = (Vec::new(), Vec::new());
    for tensor in tensors(file, Stored::Float(weight_type.float())) {
        let is_rounded = weight_type == WeightType::Int8;
        match Outputs::of_rounded(&tensor.name, &tensor.shape).filter(|_| is_rounded) {
            None => stored.push(tensor),
            Some(outputs) => {
                stored.push(Tensor {
                    name: int8::scale(&tensor.name),
                    shape: outputs.scale_shape(&tensor.shape),
                    stored: Stored::Scales(outputs),
                    weight: tensor.name.clone(),
                });
                integers.push(Tensor { stored: Stored::Integers(outputs), ..tensor });
            }
        }
    }
    // At the end, so that floats begin at multiples of their size.
    stored.append(&mut integers);
    write(&stored, path, |tensor| encode(file, tensor, weight_type))
}

/// A tensor of a file that is written.
pub(super) struct Tensor {
    name: String,
    pub(super) shape: Vec<usize>,
    stored: Stored,
    /// The weight that it is, or that it is made of.
    pub(super) weight: String,
}

/// All weights.
pub(super) fn tensors(file: &Weights, stored: Stored) -> Vec<Tensor> {
    let shape = |name: &str| file.shape(name).unwrap_or_default().to_vec();
    let tensor = |name: String| Tensor { shape: shape(&name), stored, weight: name.clone(), name };
    file.names().into_iter().map(tensor).collect()
}

/// Writes a file of these tensors, whose bytes are what `encode` makes of each.
pub(super) fn write(
    tensors: &[Tensor],
    path: &Path,
    mut encode: impl FnMut(&Tensor) -> Result<Vec<u8>, ModelError>,
) -> Result<(), ModelError> {
    let header = header(tensors.iter().map(|it| (it.name.clone(), it.stored.dtype(), it.shape.clone())));
    let mut failure = None;
    let written = atomic_write(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for tensor in tensors {
            match encode(tensor) {
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

fn encode(file: &mut Weights, tensor: &Tensor, weight_type: WeightType) -> Result<Vec<u8>, ModelError> {
    let weight = file.read(&tensor.weight)?;
    let shape = weight.shape().to_vec();
    let values: Vec<f32> = weight.iter::<f32>().collect();
    match tensor.stored {
        Stored::Integers(outputs) => Ok(outputs.round(&values, &shape).0.into_iter().map(|it| it as u8).collect()),
        Stored::Scales(outputs) => {
            Ok(outputs.round(&values, &shape).1.into_iter().flat_map(f32::to_le_bytes).collect())
        }
        Stored::Float(float) => float.encode(&values).ok_or_else(|| ModelError::Range {
            path: file.path.clone(),
            name: tensor.weight.clone(),
            weight_type: weight_type.name(),
        }),
    }
}
