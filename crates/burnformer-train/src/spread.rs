//! Updated parameters, from the ranks that own them to all.

use std::collections::{BTreeMap, BTreeSet};

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::module::Module;
use burn::tensor::{Device, Shape, read_sync};
use burnformer_tasks::Task;

use crate::gradients::trained_parameters;
use crate::ranks::Ranks;
use crate::shards::Shards;
use crate::tensors::{TensorsError, Values, message};
use crate::values::{replace, values};
use crate::{CollectiveError, TrainError, Trainer};

impl<T: Task> Trainer<'_, T> {
    /// The model with the parameters at `paths` as their owners have updated them.
    pub(crate) fn spread(
        &self,
        model: T::Model,
        paths: &BTreeSet<String>,
        ranks: &Ranks<'_>,
        shards: &Shards,
    ) -> Result<T::Model, TrainError> {
        if ranks.data.size() == 1 {
            return Ok(model);
        }
        let shapes = trained_parameters(&model);
        // Other parts of the model may have more.
        let paths: BTreeSet<String> = paths.iter().filter(|path| shapes.contains_key(*path)).cloned().collect();
        let message = ranks.together(pack(&model, &paths, shards))?;
        let mut values = BTreeMap::new();
        let unpacked = ranks.data.gather(message)?.into_iter().enumerate().try_for_each(|(rank, message)| {
            if rank == shards.rank() {
                return Ok(());
            }
            let here = paths.iter().filter(|path| !shards.is_elsewhere(path));
            let of_rank = here.filter(|path| shards.owner(path) == rank);
            unpack(&message, of_rank, &shapes, &self.device, &mut values).map_err(CollectiveError::message)
        });
        ranks.together(unpacked.map_err(TrainError::from))?;
        Ok(replace(model, &mut |path| values.remove(path)))
    }
}

/// The values of the parameters at `paths` that this rank owns, in the order of paths.
fn pack<M: Module>(model: &M, paths: &BTreeSet<String>, shards: &Shards) -> Result<Vec<u8>, TrainError> {
    let own = values(model, &|path| paths.contains(path) && shards.is_own(path));
    let mut message = message(own.values().map(|value| value.shape().num_elements()).sum());
    for value in own.into_values() {
        message.extend_from_slice(read_sync(Dispatch::float_into_data(value))?.as_bytes());
    }
    Ok(message)
}

/// Reads what the owner of the parameters at `paths` has packed.
fn unpack<'p>(
    message: &[u8],
    paths: impl Iterator<Item = &'p String>,
    shapes: &BTreeMap<String, Shape>,
    device: &Device,
    values: &mut BTreeMap<String, DispatchTensor>,
) -> Result<(), TensorsError> {
    let mut rest = Values(message);
    for path in paths {
        let data = rest.take(shapes[path].clone())?;
        values.insert(path.clone(), Dispatch::float_from_data(data, device.as_dispatch()));
    }
    rest.end()
}
