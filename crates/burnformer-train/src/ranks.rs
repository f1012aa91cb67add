//! The processes of a run and their parts in it.

use std::sync::Arc;

use burnformer_nn::Cut;
use burnformer_nn::parts::Parts;
use burnformer_tasks::InStages;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Collective, Local, Stages, TrainError};
use burnformer_core::collective::agree;

/// The ranks of a run as seen from one of them.
pub(crate) struct Ranks<'a> {
    /// All ranks, which stop together.
    pub(crate) world: &'a dyn Collective,
    /// The ranks with the same part of the model, which share the micro-batches of a step and the parameters to update.
    pub(crate) data: Box<dyn Collective>,
    /// The ranks with the other layers of the same model, each a stage of a pipeline, in their order.
    pub(crate) pipeline: Arc<dyn Collective>,
    /// The ranks with the parts of the matrices of one model.
    pub(crate) tensor: Arc<dyn Collective>,
    /// The ranks with the same part of every matrix, of all stages.
    slice: Box<dyn Collective>,
    /// All ranks once more, for what outlives a call.
    pub(crate) line: Arc<dyn Collective>,
}

impl<'a> Ranks<'a> {
    /// The parts of the ranks of `world`: `n_tensor` in a row have the parts of some layers of a model, and `n_stages` times as
    /// many have all layers.
    ///
    /// # Errors
    /// If a rank cannot be reached, or their number is no multiple of these.
    pub(crate) fn new(world: &'a dyn Collective, n_stages: usize, n_tensor: usize) -> Result<Self, TrainError> {
        let (rank, ranks, in_model) = (world.rank(), world.size(), n_stages * n_tensor);
        if n_tensor == 0 || !ranks.is_multiple_of(n_tensor) {
            return Err(TrainError::TensorRanks { ranks, n_tensor });
        }
        if in_model == 0 || !ranks.is_multiple_of(in_model) {
            return Err(TrainError::Ranks { ranks, stages: n_stages, multiple: in_model });
        }
        let (part, replica) = (rank % n_tensor, rank / in_model);
        let split = |n, color| if n > 1 { world.split(color) } else { Ok(Box::new(Local) as _) };
        Ok(Self {
            world,
            data: world.split(rank % in_model)?,
            pipeline: split(n_stages, replica * n_tensor + part)?.into(),
            tensor: split(n_tensor, rank / n_tensor)?.into(),
            slice: split(n_stages, part)?,
            line: world.split(0)?.into(),
        })
    }

    /// The number of this rank's stage.
    pub(crate) fn stage(&self) -> usize {
        self.pipeline.rank()
    }

    /// What evaluation in `stages` needs.
    pub(crate) fn in_stages(&self, stages: &Stages) -> InStages<'_> {
        let layers = stages.layers(self.stage()).clone();
        InStages { layers, pipeline: Arc::clone(&self.pipeline), all: self.slice.as_ref() }
    }

    /// The part of the model that the rank `rank` has.
    pub(crate) fn tensor_rank_of(&self, rank: usize) -> usize {
        rank % self.tensor.size()
    }

    /// Calls `body`, in which models that are loaded have the parts of this rank alone.
    pub(crate) fn within_parts<R>(&self, stages: Option<&Stages>, body: impl FnOnce() -> R) -> R {
        let stage = stages.map(|stages| stages.parts(self.stage()));
        let cut = (self.tensor.size() > 1).then(|| Cut::parts(self.tensor.rank(), self.tensor.size()));
        match [stage, cut].into_iter().flatten().reduce(Parts::and) {
            Some(parts) => parts.within(body),
            None => body(),
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
