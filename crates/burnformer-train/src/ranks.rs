//! The processes of a run and their parts in it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Collective, CollectiveError, TrainError};
use burnformer_core::collective::agree;

/// The ranks of a run as seen from one of them.
pub(crate) struct Ranks<'a> {
    /// All ranks, which stop together.
    pub(crate) world: &'a dyn Collective,
    /// The ranks with the same part of the model, which share the micro-batches of a step and the parameters to update.
    pub(crate) data: Box<dyn Collective>,
}

impl<'a> Ranks<'a> {
    /// The parts of the ranks of `world`: each has the whole model.
    ///
    /// # Errors
    /// If a rank cannot be reached.
    pub(crate) fn new(world: &'a dyn Collective) -> Result<Self, CollectiveError> {
        Ok(Self { world, data: world.split(0)? })
    }

    /// `true` on the rank that writes the files of the run.
    pub(crate) fn is_writer(&self) -> bool {
        self.world.rank() == 0
    }

    /// The results of all ranks in their order, if none of them has failed.
    ///
    /// # Errors
    /// Its own on a rank that has failed; [`CollectiveError::Failed`] on the others.
    pub(crate) fn agree<V: Serialize + DeserializeOwned>(
        &self,
        result: Result<V, TrainError>,
    ) -> Result<Vec<V>, TrainError> {
        agree(self.world, result)
    }

    /// The result of the rank that writes, if no rank has failed.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub(crate) fn of_writer<V: Serialize + DeserializeOwned>(
        &self,
        result: Result<V, TrainError>,
    ) -> Result<V, TrainError> {
        Ok(self.agree(result)?.swap_remove(0))
    }

    /// The result of this rank, if no rank has failed.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub(crate) fn together<V>(&self, result: Result<V, TrainError>) -> Result<V, TrainError> {
        let (value, done) = match result {
            Ok(value) => (Some(value), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.agree(done)?;
        Ok(value.expect("no rank has failed"))
    }
}
