//! Settings of the optimizers.

use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{AdamOptions, AdamVariant};
use serde::{Deserialize, Serialize};

/// Settings of an [`Optimizer`](super::Optimizer). Weight decay and LAMB's trust ratio leave out parameters with one axis,
/// biases and norms.
///
/// ```
/// use burnformer_train::OptimizerConfig;
///
/// let config: OptimizerConfig =
///     serde_json::from_str(r#"{"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.0}"#)?;
/// assert_eq!(config.learning_rate(), 0.1);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum OptimizerConfig {
    /// Stochastic gradient descent with momentum, the decay as a part of the gradient: PyTorch's `SGD`.
    Sgd(SgdConfig),
    /// Adam, the decay as a part of the gradient (Kingma and Ba 2015).
    Adam(AdamConfig),
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW(AdamConfig),
    /// AdamW, each parameter's update as long as the parameter: for large batches (You et al. 2020).
    Lamb(AdamConfig),
}

/// Settings of stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SgdConfig {
    /// Peak learning rate, scaled by the schedule.
    pub learning_rate: f64,
    /// Momentum: share of the last update kept in this one, in `[0, 1)`.
    pub momentum: f64,
    /// Weight decay.
    pub weight_decay: f64,
}

/// Settings of Adam, AdamW and LAMB.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamConfig {
    /// Peak learning rate, scaled by the schedule.
    pub learning_rate: f64,
    /// Decay of the first moment, in `[0, 1)`.
    pub beta_1: f64,
    /// Decay of the second moment, in `[0, 1)`.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
}

impl Default for OptimizerConfig {
    /// AdamW as BERT was trained.
    fn default() -> Self {
        Self::AdamW(AdamConfig::default())
    }
}

impl Default for AdamConfig {
    /// As BERT was trained (Devlin et al. 2019, appendix A.2; eps from their code, which leaves out that moments are corrected
    /// for their start at zero).
    fn default() -> Self {
        Self { learning_rate: 1e-4, beta_1: 0.9, beta_2: 0.999, eps: 1e-6, weight_decay: 0.01 }
    }
}

impl OptimizerConfig {
    /// Peak learning rate, scaled by the schedule.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Sgd(config) => config.learning_rate,
            Self::Adam(config) | Self::AdamW(config) | Self::Lamb(config) => config.learning_rate,
        }
    }

    /// Number of moments of each parameter.
    pub(crate) fn n_moments(&self) -> usize {
        self.moments().len()
    }

    /// What is remembered of each parameter.
    pub(crate) fn moments(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd(config) if config.momentum == 0.0 => &[],
            Self::Sgd(_) => &["momentum"],
            Self::Adam(_) | Self::AdamW(_) | Self::Lamb(_) => &["first", "second"],
        }
    }
}

impl AdamConfig {
    /// Settings of the update `step` of a parameter with `n_axes` axes.
    pub(super) fn options(&self, variant: AdamVariant, learning_rate: f64, step: u64, n_axes: usize) -> AdamOptions {
        let Self { beta_1, beta_2, eps, .. } = *self;
        AdamOptions {
            variant,
            learning_rate,
            beta_1,
            beta_2,
            eps,
            weight_decay: decay(self.weight_decay, n_axes),
            step,
        }
    }
}

/// The weight decay of a parameter with `n_axes` axes.
pub(super) fn decay(weight_decay: f64, n_axes: usize) -> f64 {
    if n_axes > 1 { weight_decay } else { 0.0 }
}

impl Validate for OptimizerConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let check_decay = |decay: f64| {
            ConfigError::check("weight_decay", &decay, decay.is_finite() && decay >= 0.0, "a finite value, 0 or more")
        };
        ConfigError::check_finite_positive("learning_rate", self.learning_rate())?;
        match self {
            Self::Sgd(config) => {
                ConfigError::check_probability("momentum", config.momentum)?;
                check_decay(config.weight_decay)
            }
            Self::Adam(config) | Self::AdamW(config) | Self::Lamb(config) => {
                ConfigError::check_probability("beta_1", config.beta_1)?;
                ConfigError::check_probability("beta_2", config.beta_2)?;
                ConfigError::check_finite_positive("eps", config.eps)?;
                check_decay(config.weight_decay)
            }
        }
    }
}
