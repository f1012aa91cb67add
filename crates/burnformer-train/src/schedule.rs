//! Schedules of the learning rate.

use burnformer_core::{ConfigError, Validate};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate changes over the updates of a run.
///
/// The warm-up rises linearly from 0 (at update 0, which does not exist) to the peak at update `warmup_steps`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScheduleConfig {
    /// Warm-up, then the peak.
    Constant {
        /// Number of warm-up updates.
        warmup_steps: u64,
    },
    /// Warm-up, then in a straight line to the floor: BERT (Devlin et al. 2019, appendix A.2).
    Linear {
        /// Number of warm-up updates.
        warmup_steps: u64,
        /// Minimum learning rate.
        min_learning_rate: f64,
    },
    /// Warm-up, then along half a period of the cosine to the floor (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// Number of warm-up updates.
        warmup_steps: u64,
        /// Minimum learning rate.
        min_learning_rate: f64,
    },
    /// *Attention Is All You Need*: a warm-up, then the inverse square root of the update, both scaled by the width. What is
    /// called the peak elsewhere is a factor, 1 in the paper.
    Noam {
        /// Number of warm-up updates.
        warmup_steps: u64,
        /// Width of the model.
        d_model: usize,
    },
    /// Warm-up, then the peak times the inverse square root of the update, as a share of the warm-up.
    InverseSqrt {
        /// Number of warm-up updates.
        warmup_steps: u64,
    },
}

impl Default for ScheduleConfig {
    /// Linear to zero, without a warm-up: how long that should be depends on the number of updates.
    fn default() -> Self {
        Self::Linear { warmup_steps: 0, min_learning_rate: 0.0 }
    }
}

impl Validate for ScheduleConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        match *self {
            Self::Constant { .. } | Self::InverseSqrt { .. } => Ok(()),
            Self::Linear { min_learning_rate: min, .. } | Self::Cosine { min_learning_rate: min, .. } => {
                ConfigError::check(
                    "min_learning_rate",
                    &min,
                    min.is_finite() && min >= 0.0,
                    "a finite value, 0 or more",
                )
            }
            Self::Noam { d_model, .. } => ConfigError::check_positive("d_model", d_model),
        }
    }
}

impl ScheduleConfig {
    /// Learning rate of the update `step`, from 1, of `n_steps`; `peak` is that of the optimiser's settings.
    ///
    /// With `t = step`, `w = warmup_steps`, `n = n_steps` and progress `p = (t - w) / (n + 1 - w)`:
    ///
    /// | schedule | `t <= w` | then |
    /// | --- | --- | --- |
    /// | constant | `peak t / w` | `peak` |
    /// | linear | `peak t / w` | `min + (peak - min) (1 - p)` |
    /// | cosine | `peak t / w` | `min + (peak - min) (1 + cos(pi p)) / 2` |
    /// | noam | `peak d_model^-0.5 t w^-1.5` | `peak d_model^-0.5 t^-0.5` |
    /// | inverse-sqrt | `peak t / w` | `peak sqrt(max(w, 1) / t)` |
    ///
    /// The floor is thus reached at `n + 1`, and no update is made with a rate of 0. Beyond that it stays.
    ///
    /// Source: the schedules of `transformers`, for `n + 1` training steps and after `t` calls of their `step()`
    /// (their own first update has a rate of 0); Vaswani et al. 2017, equation 3, for `noam`.
    ///
    /// # Panics
    /// If `step` is 0.
    #[must_use]
    pub fn learning_rate(&self, peak: f64, step: u64, n_steps: u64) -> f64 {
        assert!(step > 0, "learning_rate: steps count from 1");
        let t = step as f64;
        let decayed = |warmup_steps: u64, min: f64, remaining: fn(f64) -> f64| {
            let n_decay = n_steps.saturating_add(1).saturating_sub(warmup_steps).max(1);
            let progress = (step - warmup_steps) as f64 / n_decay as f64;
            min + (peak - min) * remaining(progress.min(1.0))
        };
        match *self {
            Self::Noam { warmup_steps, d_model } => {
                let warmup = t * (warmup_steps as f64).powf(-1.5);
                peak * (d_model as f64).powf(-0.5) * t.powf(-0.5).min(warmup)
            }
            Self::Constant { warmup_steps: w }
            | Self::Linear { warmup_steps: w, .. }
            | Self::Cosine { warmup_steps: w, .. }
            | Self::InverseSqrt { warmup_steps: w }
                if step <= w =>
            {
                peak * t / w as f64
            }
            Self::Constant { .. } => peak,
            Self::Linear { warmup_steps, min_learning_rate } => decayed(warmup_steps, min_learning_rate, |p| 1.0 - p),
            Self::Cosine { warmup_steps, min_learning_rate } => {
                decayed(warmup_steps, min_learning_rate, |p| 0.5 * (1.0 + (PI * p).cos()))
            }
            Self::InverseSqrt { warmup_steps } => peak * (warmup_steps.max(1) as f64 / t).sqrt(),
        }
    }
}
