//! The mean of the weights of several models.

use super::Weights;
use super::convert::{Tensor, tensors, write};
use super::float::FloatType;
use super::int8::Stored;
use crate::ModelError;
use std::path::Path;

/// Writes the mean of each weight over `files`, as f32, into the safetensors file `path`, which is there as a whole or not at
/// all. Sums are in f64.
///
/// # Errors
/// If a weight cannot be read, has a value that is NaN or infinite, or is not in every file with one shape; or the mean cannot be written.
///
/// # Panics
/// If there are no files.
pub fn write_mean(files: &mut [Weights], path: &Path) -> Result<(), ModelError> {
    let n_files = files.len() as f64;
    let tensors = tensors(files.first().expect("the mean of no files does not exist"), Stored::Float(FloatType::F32));
    for file in files.iter() {
        for Tensor { weight: name, shape: expected, .. } in &tensors {
            match file.shape(name) {
                None => return Err(file.missing(name)),
                Some(found) if found != expected => {
                    return Err(file.wrong_shape(name, found.to_vec(), expected.clone()));
                }
                Some(_) => {}
            }
        }
        if let Some(name) = file.names().into_iter().find(|name| files[0].shape(name).is_none()) {
            return Err(files[0].missing(&name));
        }
    }
    write(&tensors, path, |tensor| {
        let mut sums: Vec<f64> = Vec::new();
        for file in files.iter_mut() {
            let values = file.read_finite(&tensor.weight)?;
            sums.resize(values.num_elements(), 0.0);
            sums.iter_mut().zip(values.iter::<f32>()).for_each(|(sum, value)| *sum += f64::from(value));
        }
        Ok(sums.into_iter().flat_map(|sum| ((sum / n_files) as f32).to_le_bytes()).collect())
    })
}
