//! Models whose layers several processes share, outside training.

use std::path::Path;

use burnformer_models::staged;
use burnformer_train::{Stages, TrainError};

use crate::ranks::first;
use crate::{Context, RecipeError};

/// Tokens and length of sequences by which layers are measured.
const MEASURED: (usize, usize) = (1024, 128);

/// Calls `work`, in which the model in `folder` is cut into as many stages as `context` says: models that are loaded have the part
/// of this process alone, and the context of `work` has its stage and the processes with the same one.
///
/// # Errors
/// If the folder holds no model, or the numbers of processes, stages and layers do not go together; as `work`.
pub fn in_stages<V, E: From<RecipeError>>(
    folder: &Path,
    context: &Context<'_>,
    work: impl FnOnce(&Context<'_>) -> Result<V, E>,
) -> Result<V, E> {
    let n_stages = context.pipeline_stages;
    if n_stages == 1 {
        return work(context);
    }
    let stages = of_folder(folder, context)?;
    let (in_stages, replicas) = stages.places(context.collective).map_err(RecipeError::from)?;
    let context = Context { collective: replicas.as_ref(), in_stages: Some(&in_stages), ..*context };
    stages.parts(in_stages.pipeline.rank()).within(|| work(&context))
}

/// The stages of the model in `folder`.
fn of_folder(folder: &Path, context: &Context<'_>) -> Result<Stages, RecipeError> {
    let (ranks, n_stages) = (context.collective.size(), context.pipeline_stages);
    if !ranks.is_multiple_of(n_stages) {
        return Err(TrainError::Ranks { ranks, stages: n_stages, multiple: n_stages }.into());
    }
    let (staged, device) = (staged(folder)?, context.device.open()?);
    let (n_tokens, seq_length) = MEASURED;
    let measure = || Ok::<_, RecipeError>(Stages::measure(staged.as_ref(), n_tokens, seq_length, &device));
    let time = first(context.collective, measure)?;
    Ok(Stages::new(Some(staged), n_stages, &time)?)
}
