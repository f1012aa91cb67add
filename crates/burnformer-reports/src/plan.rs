//! Plans of runs.

use serde::{Deserialize, Serialize};

use crate::DataReport;

/// Plan of a run, known before its first step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Device to train on.
    pub device: String,
    /// Number of weights.
    pub parameters: u64,
    /// Number of those that are trained; absent if all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<u64>,
    /// Number of training samples per epoch.
    pub samples: u64,
    /// Number of optimizer updates.
    pub steps: u64,
    /// Number of samples per step; an estimate if steps are measured in tokens.
    pub samples_per_step: u64,
    /// Maximum number of tokens per step, without padding.
    pub tokens_per_step: u64,
    /// Number of passes over the samples.
    pub epochs: f64,
    /// Number of processes that train together.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub processes: usize,
    /// Memory that the run takes at its peak, in bytes; that of one process if there are several.
    pub memory_bytes: u64,
    /// Memory that there is for it, in bytes, where several share a machine its part of that; absent if that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_bytes: Option<u64>,
    /// What is said if that is too little; not in JSON.
    #[serde(skip)]
    pub warning: Option<String>,
    /// The parts of that memory; not in JSON, and zero when read from it.
    #[serde(skip)]
    pub memory: Memory,
    /// Report on the data; absent where a recipe has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataReport>,
    /// Every setting of the run, in TOML, as `run.toml` will have them.
    pub settings: String,
}

fn one() -> usize {
    1
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

/// Bytes that a run takes at its peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The program and its data.
    pub program: u64,
    /// Weights.
    pub weights: u64,
    /// Gradients of the weights.
    pub gradients: u64,
    /// Moments of the optimiser.
    pub moments: u64,
    /// Activations, kept for the backward pass or in use.
    pub activations: u64,
}

impl Memory {
    /// The sum of the parts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.program + self.weights + self.gradients + self.moments + self.activations
    }
}
