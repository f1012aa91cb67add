//! The exponential moving average of the weights.

use std::collections::BTreeMap;
use std::path::Path;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burnformer_models::ModelError;
use burnformer_models::weights::Weights;

use burnformer_nn::parts::{Part, part_of};

use crate::values::{replace, values};

/// The average of every weight that was trained: `average += (1 - decay) * (weight - average)` after each update. Before the first
/// one the average is the weight. The decay is at most `(1 + n) / (10 + n)` after `n` updates, so that what the run began with is
/// soon forgotten.
///
/// Source: Polyak and Juditsky 1992; TensorFlow's `tf.train.ExponentialMovingAverage` with `num_updates`.
#[derive(Debug)]
pub(crate) struct Ema {
    decay: f64,
    /// By the parameter's path, on the device of the parameter.
    averages: BTreeMap<String, DispatchTensor>,
}

impl Ema {
    /// An average before the first update.
    pub(crate) fn new(decay: f64) -> Self {
        Self { decay, averages: BTreeMap::new() }
    }

    /// Begins the average of every parameter of `model` that is trained and has none yet.
    pub(crate) fn follow<M: Module>(&mut self, model: &M) {
        model.visit(&mut Visit { averages: &mut self.averages, share: None, path: Vec::new() });
    }

    /// Moves the averages towards the weights of `model`, after `n` updates of it.
    pub(crate) fn update<M: Module>(&mut self, model: &M, n: u64) {
        let decay = self.decay.min((1.0 + n as f64) / (10.0 + n as f64));
        model.visit(&mut Visit { averages: &mut self.averages, share: Some(1.0 - decay), path: Vec::new() });
    }

    /// `model`, which does not track gradients, with the averages as weights.
    pub(crate) fn apply<M: Module>(&self, model: M) -> M {
        replace(model, &mut |path| self.averages.get(path).cloned())
    }

    /// The average of the weight at `path`, if there is one.
    pub(crate) fn average(&self, path: &str) -> Option<DispatchTensor> {
        self.averages.get(path).cloned()
    }

    /// Paths and shapes of the weights that there are averages of.
    pub(crate) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.averages.iter().map(|(path, average)| (path.clone(), average.shape().to_vec())).collect()
    }

    /// Reads the file of the weights that there are averages of: the average, whose values are the weights of `model`, and the model with the weights
    /// that were written. The device tracks gradients, as `model` does.
    pub(crate) fn read_weights<M: Module>(
        decay: f64,
        model: M,
        path: &Path,
        device: &Device,
    ) -> Result<(Self, M), EmaError> {
        let mut file = Weights::open(path)?;
        let (mut all, mut averages) = (values(&model, &|_| true), BTreeMap::new());
        let mut weights = BTreeMap::new();
        for name in file.names() {
            let part = part_of(&name);
            if part == Part::None {
                continue;
            }
            let weight: TensorData = part.of(file.read(&name)?);
            let average = all.remove(&name).filter(|average| average.shape() == *weight.shape());
            let Some(average) = average.filter(|_| weight.dtype() == DType::F32) else {
                return Err(EmaError::Foreign { name });
            };
            averages.insert(name.clone(), average);
            weights.insert(name, weight);
        }
        let device = device.clone().inner();
        let mut value = |name: &str| Some(Dispatch::float_from_data(weights.remove(name)?, device.as_dispatch()));
        let model = replace(model, &mut value);
        Ok((Self { decay, averages }, model))
    }
}

/// Weights that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmaError {
    /// The file cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tensor that is no weight of the model, or of another shape or type.
    #[error("its tensor `{name}` is no weight of the model")]
    Foreign {
        /// Name of the tensor.
        name: String,
    },
}

/// Begins averages, or moves them by a share of their distance to the weights.
struct Visit<'a> {
    averages: &'a mut BTreeMap<String, DispatchTensor>,
    share: Option<f64>,
    path: Vec<String>,
}

impl ModuleVisitor for Visit<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let path = self.path.join(".");
        let weight = || param.val().inner();
        let average = match (self.averages.remove(&path), self.share) {
            (Some(average), Some(share)) => {
                let average = Tensor::<D>::from_dispatch(average);
                average.clone() + (weight() - average) * share
            }
            (Some(average), None) => Tensor::from_dispatch(average),
            (None, _) => weight(),
        };
        self.averages.insert(path, average.into_dispatch());
    }
}
