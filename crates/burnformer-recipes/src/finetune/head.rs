//! Memory of the heads.

use burnformer_models::StepFloats;

/// `step` with a classifier of `d_model` features: its logits, which become their gradient, and the gradient of its weights,
/// the first of the backward pass.
pub(crate) fn with_logits(step: StepFloats, n_rows: usize, n_labels: usize, d_model: usize) -> StepFloats {
    StepFloats {
        first_activations: step.first_activations + (n_rows * n_labels) as u64,
        first_gradients: step.first_gradients + (n_labels * d_model) as u64,
        ..step
    }
}
