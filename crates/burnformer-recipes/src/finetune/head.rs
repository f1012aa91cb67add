//! What the heads of several tasks share.

use burnformer_data::readers::{Format, Input};
use burnformer_models::StepFloats;

use crate::RecipeError;

/// Refuses files of tagged words.
pub(super) fn check_has_no_tags(input: &Input) -> Result<(), RecipeError> {
    match input.format {
        Format::Conll { .. } => Err(RecipeError::TagColumns { paths: input.paths.join(", ") }),
        _ => Ok(()),
    }
}

/// `step` with a classifier of `d_model` features: its logits, which become their gradient, and the gradient of its weights,
/// the first of the backward pass.
pub(crate) fn with_logits(step: StepFloats, n_rows: usize, n_labels: usize, d_model: usize) -> StepFloats {
    StepFloats {
        first_activations: step.first_activations + (n_rows * n_labels) as u64,
        first_gradients: step.first_gradients + (n_labels * d_model) as u64,
        ..step
    }
}
