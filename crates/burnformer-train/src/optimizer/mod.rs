//! Optimizers: updates of parameters from gradients, with moments by parameter path.

mod config;
mod state;
mod update;

pub use config::{AdamConfig, OptimizerConfig, SgdConfig};
pub use state::OptimizerStateError;

use crate::gradients::{GradientSums, trained_parameters};
use burn::backend::DispatchTensor;
use burn::module::Module;
use burn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;
use update::{Start, Update};

use crate::shards::Shards;

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
    /// Number of updates before the moments of a parameter were started, by path, where there were some.
    starts: BTreeMap<String, u64>,
    /// Who updates which parameter and keeps its moments; absent for one that updates all.
    shards: Option<Arc<Shards>>,
}

impl Optimizer {
    /// An optimizer before its first update, which creates the moments.
    #[must_use]
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, n_steps: 0, moments: BTreeMap::new(), starts: BTreeMap::new(), shards: None }
    }

    /// Updates every parameter that has a gradient; one without keeps value and moments.
    ///
    /// `learning_rate` is that of the schedule; `scale`, `[1]`, multiplies the gradients ([`GradientSums::clip_factor`]).
    /// Model and gradients are consumed so that their memory becomes that of the result, unless there are other clones.
    ///
    /// Moments are corrected for their start at zero by the number of updates since then: of a parameter without gradient in some
    /// of them PyTorch counts those with one.
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
        self.step_by(model, gradients, &|_| learning_rate, scale)
    }

    /// [`Self::step`] with a learning rate for each path of a parameter.
    ///
    /// # Panics
    /// As [`Self::step`].
    #[must_use]
    pub fn step_by<M: Module>(
        &mut self,
        model: M,
        gradients: GradientSums,
        learning_rate: &dyn Fn(&str) -> f64,
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

    /// Forgets the moments of parameters that `model` does not train any more, and starts those of parameters that it trains
    /// since the last update.
    pub(crate) fn follow<M: Module>(&mut self, model: &M) {
        let trained = trained_parameters(model);
        let path = |name: &str| name.rsplit_once('.').map_or_else(String::new, |(path, _)| path.to_owned());
        self.moments.retain(|name, _| trained.contains_key(&path(name)));
        self.starts.retain(|path, _| trained.contains_key(path));
        // The first update starts those of its own.
        if self.n_steps > 0 {
            model.visit(&mut Start { optimizer: self, path: Vec::new() });
        }
    }

    /// Number of updates before the moments of a parameter were started, by path, where there were some.
    pub(crate) fn starts(&self) -> &BTreeMap<String, u64> {
        &self.starts
    }

    /// An optimiser that has made `n_steps` updates, the moments of some parameters [later](Self::starts), and updates the
    /// parameters that this rank owns. Its moments are still to be loaded.
    pub(crate) fn going_on(
        config: OptimizerConfig,
        n_steps: u64,
        mut starts: BTreeMap<String, u64>,
        shards: Arc<Shards>,
    ) -> Self {
        starts.retain(|path, _| shards.is_own(path));
        Self { n_steps, starts, ..Self::new(config) }.with_shards(shards)
    }

    /// Updates only the parameters that this rank owns.
    pub(crate) fn with_shards(self, shards: Arc<Shards>) -> Self {
        Self { shards: Some(shards), ..self }
    }

    /// `true` if this optimiser updates the parameter at `path` and keeps its moments.
    fn is_own(&self, path: &str) -> bool {
        self.shards.as_ref().is_none_or(|shards| shards.is_own(path))
    }

    /// Makes moments of zero where there are none, after so many updates. A parameter gets them even without a gradient, so that a
    /// state lacks nothing when it is complete.
    fn start_moments<const D: usize>(&mut self, path: &str, param: &Tensor<D>, n_steps: u64) {
        if !self.is_own(path) {
            return;
        }
        for name in self.config.moments() {
            self.moments.entry(format!("{path}.{name}")).or_insert_with(|| {
                if n_steps > 0 {
                    self.starts.insert(path.to_owned(), n_steps);
                }
                // `zeros_like` of flex makes bytes, which it and the first update copy to have floats.
                param.full_like(0.0).into_dispatch()
            });
        }
    }

    /// Number of updates since the moments of a parameter were started, the present one included.
    fn n_steps_of(&self, path: &str) -> u64 {
        self.n_steps - self.starts.get(path).copied().unwrap_or(0)
    }

    /// Number of updates made.
    #[must_use]
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }
}
