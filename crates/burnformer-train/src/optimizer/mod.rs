//! Optimizers: updates of parameters from gradients, with moments by parameter path.

mod config;
mod state;
mod update;

pub use config::{AdamConfig, OptimizerConfig, SgdConfig};
pub use state::OptimizerStateError;

use crate::gradients::GradientSums;
use burn::backend::DispatchTensor;
use burn::module::Module;
use burn::tensor::Tensor;
use std::collections::BTreeMap;
use update::Update;

/// Updates the parameters of a model.
///
/// ```
/// use burn::tensor::Tensor;
/// use burnformer_nn::LinearConfig;
/// use burnformer_ops::DeviceChoice;
/// use burnformer_train::{GradientSums, Optimizer, OptimizerConfig};
///
/// let device = DeviceChoice::Auto.open()?.autodiff();
/// let mut model = LinearConfig::new(3, 5).init(&device);
/// let mut optimizer = Optimizer::new(OptimizerConfig::default());
///
/// let mut gradients = GradientSums::new();
/// for _micro_batch in 0..2 {
///     let loss = model.forward(Tensor::<2>::ones([4, 3], &device)).sum();
///     gradients.add(&model, loss.backward());
/// }
/// let clip = GradientSums::clip_factor(gradients.norm(), 1.0);
/// model = optimizer.step(model, gradients, 1e-4, Some(clip));
/// assert_eq!(optimizer.n_steps(), 1);
/// # Ok::<(), burnformer_ops::DeviceError>(())
/// ```
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    n_steps: u64,
    /// By the parameter's path and the moment's name, `PATH.first`; on the device of the parameter.
    moments: BTreeMap<String, DispatchTensor>,
}

impl Optimizer {
    /// An optimizer before its first update, which creates the moments.
    #[must_use]
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, n_steps: 0, moments: BTreeMap::new() }
    }

    /// Updates every parameter that has a gradient; one without keeps value and moments.
    ///
    /// `learning_rate` is that of the schedule; `scale`, `[1]`, multiplies the gradients ([`GradientSums::clip_factor`]).
    /// Model and gradients are consumed so that their memory becomes that of the result, unless there are other clones.
    ///
    /// Moments are corrected for their start at zero by the number of updates of the optimiser: of a parameter that skips
    /// updates PyTorch counts its own.
    ///
    /// # Panics
    /// If there is a gradient that belongs to no parameter of `model` that is to be trained.
    #[must_use]
    pub fn step<M: Module>(
        &mut self,
        model: M,
        gradients: GradientSums,
        learning_rate: f64,
        scale: Option<Tensor<1>>,
    ) -> M {
        self.n_steps += 1;
        let mut update = Update { optimizer: self, gradients, learning_rate, scale, path: Vec::new() };
        let model = model.map(&mut update);
        if let Some(path) = update.gradients.first_path() {
            panic!("the gradient of `{path}` belongs to no parameter of the model that is to be trained");
        }
        model
    }

    /// Number of updates made.
    #[must_use]
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }
}
