//! The head of a classifier that is trained further on the same classes.

use crate::{Head, ModelClass, ModelError};
use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use burnformer_nn::Linear;
use std::collections::BTreeMap;
use std::path::Path;

/// For each of `labels` the row of the classifier in `folder`, which has the labels `found`, if it is one of `head` with the
/// same classes in whatever order; `None` if its classes are others, so that a new classifier is needed.
pub(super) fn rows(folder: &Path, head: Head, found: &[String], labels: &[String]) -> Option<Vec<usize>> {
    let places: BTreeMap<&String, usize> = found.iter().zip(0..).collect();
    if places.len() != found.len() || found.len() != labels.len() || ModelClass::of(folder).ok()?.head() != head {
        return None;
    }
    labels.iter().map(|label| places.get(label).copied()).collect()
}

/// The classifier with its rows in this order.
///
/// # Errors
/// If the device does not hand out the weights.
pub(super) fn with_rows(linear: Linear, rows: &[usize]) -> Result<Linear, ModelError> {
    if rows.iter().copied().eq(0..rows.len()) {
        return Ok(linear);
    }
    let Linear { weight, bias } = linear;
    Ok(Linear { weight: chosen(weight, rows)?, bias: bias.map(|bias| chosen(bias, rows)).transpose()? })
}

fn chosen<const D: usize>(param: Param<Tensor<D>>, rows: &[usize]) -> Result<Param<Tensor<D>>, ModelError> {
    let data = param.val().try_into_data()?;
    let (values, width): (Vec<f32>, usize) = (data.iter::<f32>().collect(), data.num_elements() / rows.len());
    let chosen: Vec<f32> = rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect();
    let tensor = Tensor::from_data(TensorData::new(chosen, data.shape().clone()), &param.lazy_device());
    let id = param.id;
    Ok(param.transform_for_load(tensor, id))
}
