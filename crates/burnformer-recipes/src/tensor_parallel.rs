//! Runs whose model is cut into parts, each on a process of its own.

use std::sync::Arc;

use burnformer_core::collective::Collective;
use burnformer_core::progress::Interrupt;
use burnformer_models::ModelSize;
use burnformer_nn::parts::Parts;
use burnformer_nn::{Cut, with_tensor_parallel};
use burnformer_train::{OptimizerConfig, TrainConfig, TrainError};

use crate::{Context, RecipeError};

/// Makes sure that the processes can share the matrices of a model of this size, which is `None` for one that cannot be cut.
///
/// # Errors
/// If they cannot.
pub(crate) fn check(size: Option<ModelSize>, train: &TrainConfig, context: &Context<'_>) -> Result<(), RecipeError> {
    let (ranks, n_tensor) = (context.collective.size(), context.tensor_parallel);
    if n_tensor == 1 {
        return Ok(());
    }
    if !ranks.is_multiple_of(n_tensor) {
        return Err(TrainError::TensorRanks { ranks, n_tensor }.into());
    }
    let size = size.ok_or(RecipeError::AdapterInParts)?;
    size.check_cut(n_tensor).map_err(RecipeError::Cut)?;
    if matches!(train.optimizer, OptimizerConfig::Lamb(_)) {
        return Err(RecipeError::LambInParts);
    }
    Ok(())
}

/// The parts of this process in the matrices of a model; `None` if it has all.
pub(crate) fn parts(context: &Context<'_>) -> Option<Parts> {
    let n = context.tensor_parallel;
    (n > 1).then(|| Cut::parts(context.collective.rank() % n, n))
}

/// Calls `measure` with the processes that have the same part of the model, in which it computes with the other parts.
///
/// # Errors
/// As `measure`; if a process cannot be reached.
pub(crate) fn measured<V>(
    context: &Context<'_>,
    measure: impl FnOnce(&Context<'_>) -> Result<V, RecipeError>,
) -> Result<V, RecipeError> {
    let n = context.tensor_parallel;
    if n == 1 {
        return measure(context);
    }
    let rank = context.collective.rank();
    let parts: Arc<dyn Collective> = context.collective.split(rank / n)?.into();
    let replicas = context.collective.split(rank % n)?;
    // They cannot stop one by one.
    let interrupt = Interrupt::new();
    let context = Context { collective: replicas.as_ref(), interrupt: Some(&interrupt), ..*context };
    with_tensor_parallel(&parts, || measure(&context))?
}
