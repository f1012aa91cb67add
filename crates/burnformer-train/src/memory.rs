//! Estimate of the memory that training takes.

use crate::OptimizerConfig;

/// Bytes that training takes at its peak, beside the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Weights.
    pub weights: u64,
    /// Their gradients.
    pub gradients: u64,
    /// The optimiser's moments.
    pub moments: u64,
    /// Activations kept for the backward pass.
    pub activations: u64,
}

impl MemoryEstimate {
    /// For a model with `n_parameters` whose forward pass keeps `activation_floats` numbers for the backward pass. Weights,
    /// gradients and moments are exact; how roughly activations are counted say the models.
    #[must_use]
    pub fn new(n_parameters: u64, optimizer: &OptimizerConfig, activation_floats: u64) -> Self {
        const FLOAT: u64 = 4;
        let weights = n_parameters * FLOAT;
        let n_moments = if matches!(optimizer, OptimizerConfig::Sgd(_)) { 1 } else { 2 };
        Self { weights, gradients: weights, moments: n_moments * weights, activations: activation_floats * FLOAT }
    }

    /// The sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.moments + self.activations
    }
}
