//! The processes of a run and their parts in it.

use std::sync::Arc;

use burnformer_nn::Cut;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Collective, Local, TrainError};
use burnformer_core::collective::agree;

/// The ranks of a run as seen from one of them.
pub(crate) struct Ranks<'a> {
    /// All ranks, which stop together.
    pub(crate) world: &'a dyn Collective,
    /// The ranks with the same part of the model, which share the micro-batches of a step and the parameters to update.
    pub(crate) data: Box<dyn Collective>,
    /// The ranks with the parts of the matrices of one model.
    pub(crate) tensor: Arc<dyn Collective>,
    /// All ranks once more, for what outlives a call.
    pub(crate) line: Arc<dyn Collective>,
}

impl<'a> Ranks<'a> {
    /// The parts of the ranks of `world`, of which `n_tensor` in a row have the parts of one model.
    ///
    /// # Errors
    /// If a rank cannot be reached, or their number is no multiple of `n_tensor`.
    pub(crate) fn new(world: &'a dyn Collective, n_tensor: usize) -> Result<Self, TrainError> {
        let (rank, ranks) = (world.rank(), world.size());
        if n_tensor == 0 || !ranks.is_multiple_of(n_tensor) {
            return Err(TrainError::TensorRanks { ranks, n_tensor });
        }
        let tensor = if n_tensor > 1 { world.split(rank / n_tensor)? } else { Box::new(Local) };
        Ok(Self { world, data: world.split(rank % n_tensor)?, tensor: tensor.into(), line: world.split(0)?.into() })
    }

    /// The part of the model that the rank `rank` has.
    pub(crate) fn tensor_rank_of(&self, rank: usize) -> usize {
        rank % self.tensor.size()
    }

    /// Calls `body`, in which models that are loaded have the parts of this rank alone.
    pub(crate) fn within_parts<R>(&self, body: impl FnOnce() -> R) -> R {
        match self.tensor.size() {
            1 => body(),
            size => Cut::parts(self.tensor.rank(), size).within(body),
        }
    }

    /// The results of the ranks with the same part of the model, in their order, if no rank has failed.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub(crate) fn agree_on_data<V: Serialize + DeserializeOwned>(
        &self,
        result: Result<V, TrainError>,
    ) -> Result<Vec<V>, TrainError> {
        let size = self.tensor.size();
        Ok(self.agree(result)?.into_iter().skip(self.tensor.rank()).step_by(size).collect())
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
