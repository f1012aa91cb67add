//! The state of an optimiser as host data, for checkpoints.

use super::{Optimizer, OptimizerConfig};
use crate::gradients::trained_parameters;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::module::Module;
use burn::tensor::{DType, Device, ExecutionError, Shape, TensorData, read_sync};
use burnformer_core::files::FileError;
use burnformer_models::weights::write_tensors;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::TrainError;

/// A state that does not belong to the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimizerStateError {
    /// A tensor of no parameter, or of one that is not to be trained, or by another optimiser.
    #[error(
        "the state of the optimiser has a tensor `{name}`, but the model no such parameter to train, \
         resume with the settings of the run that wrote it"
    )]
    Unknown {
        /// Name of the tensor.
        name: String,
    },
    /// A parameter without the moments it had when it was updated.
    #[error("the state of the optimiser lacks the tensor `{name}`, resume with the settings of the run that wrote it")]
    Missing {
        /// Name of the tensor.
        name: String,
    },
    /// A moment of another shape than its parameter.
    #[error("`{name}` of the optimiser's state has shape {found:?}, expected that of its parameter, {expected:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The parameter's shape.
        expected: Vec<usize>,
    },
    /// A moment of numbers that are no floats of 32 bits.
    #[error("`{name}` of the optimiser's state has type `{found}`, expected `{}`", DType::F32.name())]
    Type {
        /// Name of the tensor.
        name: String,
        /// Its type.
        found: &'static str,
    },
}

impl Optimizer {
    /// Every moment as `f32` data, by name in order: `PATH.first` and `PATH.second` (Adam, AdamW, LAMB), `PATH.momentum`
    /// (SGD). Waits for the device.
    ///
    /// # Errors
    /// If the device fails.
    pub fn state(&self) -> Result<Vec<(String, TensorData)>, ExecutionError> {
        self.state_by(|moment| read_sync(Dispatch::float_into_data(moment)))
    }

    /// Writes [`Self::state`] in the safetensors format, one moment at a time: no second copy of all is in memory.
    ///
    /// # Errors
    /// If the file cannot be written, or the device fails.
    pub fn write_state(&self, path: &Path) -> Result<(), FileError> {
        let shapes: Vec<_> =
            self.moments.iter().map(|(name, moment)| (name.clone(), moment.shape().to_vec())).collect();
        write_tensors(&shapes, |name| self.moment(name).map_err(io::Error::other), path)
    }

    /// Names and shapes of the moments.
    pub(crate) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.moments.iter().map(|(name, moment)| (name.clone(), moment.shape().to_vec())).collect()
    }

    /// The moment `name` as `f32` data.
    pub(crate) fn moment(&self, name: &str) -> Result<TensorData, TrainError> {
        let moment = self.moments.get(name).ok_or_else(|| OptimizerStateError::Missing { name: name.to_owned() })?;
        Ok(read_sync(Dispatch::float_into_data(moment.clone()))?.convert::<f32>())
    }

    /// [`Self::state`] through a function that reads a moment from its device.
    fn state_by(
        &self,
        read: impl Fn(DispatchTensor) -> Result<TensorData, ExecutionError>,
    ) -> Result<Vec<(String, TensorData)>, ExecutionError> {
        let entry =
            |(name, moment): (&String, &DispatchTensor)| Ok((name.clone(), read(moment.clone())?.convert::<f32>()));
        self.moments.iter().map(entry).collect()
    }

    /// An optimiser that goes on from a [`Self::state`] after `n_steps` updates of `model`, with moments on `device`.
    ///
    /// # Errors
    /// [`OptimizerStateError`] if the moments are not those of the parameters of `model` that are to be trained.
    pub fn load_state<M: Module>(
        config: OptimizerConfig,
        n_steps: u64,
        state: Vec<(String, TensorData)>,
        model: &M,
        device: &Device,
    ) -> Result<Self, OptimizerStateError> {
        let found = state.iter().map(|(name, data)| (name.as_str(), data.shape().as_slice()));
        check_state(&config, n_steps, model, found)?;
        let mut optimizer = Self { n_steps, ..Self::new(config) };
        state.into_iter().try_for_each(|(name, data)| optimizer.load_moment(name, data, device))?;
        Ok(optimizer)
    }

    /// Takes a moment over whose name and shape were checked.
    pub(crate) fn load_moment(
        &mut self,
        name: String,
        data: TensorData,
        device: &Device,
    ) -> Result<(), OptimizerStateError> {
        if data.dtype() != DType::F32 {
            return Err(OptimizerStateError::Type { name, found: data.dtype().name() });
        }
        let device = device.clone().inner();
        self.moments.insert(name, Dispatch::float_from_data(data, device.as_dispatch()));
        Ok(())
    }

    /// Checks the names and shapes of the moments that were `found` for `model`.
    pub(crate) fn check<'a, M: Module>(
        &self,
        model: &M,
        found: impl Iterator<Item = (&'a str, &'a [usize])>,
    ) -> Result<(), OptimizerStateError> {
        check_state(&self.config, self.n_steps, model, found)
    }

    /// `true` if this optimiser keeps the moment `name`.
    pub(crate) fn keeps(&self, name: &str) -> bool {
        self.is_own(parameter_of(name))
    }
}

/// Checks the names and shapes of the moments that were `found` after `n_steps` updates: they must be those of the parameters of
/// `model` that are to be trained.
fn check_state<'a, M: Module>(
    config: &OptimizerConfig,
    n_steps: u64,
    model: &M,
    found: impl Iterator<Item = (&'a str, &'a [usize])>,
) -> Result<(), OptimizerStateError> {
    let mut expected = shapes(config, model);
    for (name, shape) in found {
        // What was found once is expected no more: a second tensor of that name is unknown.
        let Some(expected) = expected.remove(name) else {
            return Err(OptimizerStateError::Unknown { name: name.to_owned() });
        };
        if expected.as_slice() != shape {
            let (found, expected) = (shape.to_vec(), expected.to_vec());
            return Err(OptimizerStateError::Shape { name: name.to_owned(), found, expected });
        }
    }
    match expected.into_keys().next() {
        // Before the first update there are none.
        Some(name) if n_steps > 0 => Err(OptimizerStateError::Missing { name }),
        _ => Ok(()),
    }
}

/// The path of the parameter of the moment `name`.
fn parameter_of(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(path, _)| path)
}

/// Name and shape of every moment that an optimiser of `model` has.
fn shapes<M: Module>(config: &OptimizerConfig, model: &M) -> BTreeMap<String, Shape> {
    let moments = |(path, shape): (String, Shape)| {
        config.moments().iter().map(move |name| (format!("{path}.{name}"), shape.clone()))
    };
    trained_parameters(model).into_iter().flat_map(moments).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use burnformer_ops::DeviceChoice;

    use super::*;

    #[test]
    fn a_device_that_fails_is_an_error() {
        let device = DeviceChoice::Auto.open().unwrap();
        let moment = || Tensor::<2>::ones([2, 3], &device).into_dispatch();
        let mut optimizer = Optimizer::new(OptimizerConfig::default());
        optimizer.moments = BTreeMap::from(["a.first", "a.second"].map(|name| (name.to_owned(), moment())));
        assert_eq!(optimizer.state().unwrap().len(), 2);
        let lost = || ExecutionError::WithContext { reason: "device lost".to_owned() };
        let error = optimizer.state_by(|_| Err(lost())).unwrap_err();
        assert!(error.to_string().contains("device lost"), "{error}");
    }
}
