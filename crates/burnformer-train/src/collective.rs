//! Gradients of several processes that train one model together.

use burn::tensor::Device;
use burnformer_core::collective::{Collective, CollectiveError};

use crate::tensors::{from_bytes, to_bytes};
use crate::{GradientSums, TrainError};

/// The sums of the gradients of all ranks, the same bits on each of them, added in the order of ranks. A parameter without a
/// gradient on some ranks gets that of the others. `device` is that of the gradients, of which a rank may have none.
pub(crate) fn sum(
    collective: &dyn Collective,
    gradients: GradientSums,
    device: &Device,
) -> Result<GradientSums, TrainError> {
    if collective.size() == 1 {
        return Ok(gradients);
    }
    let message = to_bytes(&gradients.into_data()?).map_err(CollectiveError::message)?;
    let mut sum = GradientSums::new();
    for message in collective.gather(message)? {
        sum.merge(GradientSums::from_data(from_bytes(&message).map_err(CollectiveError::message)?, device));
    }
    Ok(sum)
}
