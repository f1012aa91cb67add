//! Stages parallelism: ranks that each run some layers of one model, on several micro-batches at a time.
//!
//! It reorders no sum: the gradient of every parameter of a micro-batch has the bits of one process, also where parameters are
//! used in several stages, and micro-batches are added up as there.

mod cost;
mod cut;
mod packet;
mod passes;
mod schedule;
mod spread;
mod ties;

use std::sync::Arc;
use std::time::Duration;

use burn::tensor::Device;
use burnformer_models::{Staged, Use};
use burnformer_nn::parts::{Part, Parts};
use burnformer_nn::pipeline::StageLayers;
use burnformer_tasks::InStages;

use crate::{Collective, CollectiveError, TrainError};

/// The layers of a model as stages, one for each rank of a pipeline.
#[derive(Clone)]
pub struct Stages {
    staged: Arc<dyn Staged>,
    stages: Vec<StageLayers>,
}

impl Stages {
    /// The layers of `staged` in `n_stages` ranges, which take as much of `time` each as can be: [`Self::measure`] gives that of
    /// each layer. Where a model is cut changes no result; all ranks must cut it alike.
    ///
    /// # Errors
    /// [`TrainError::NotStaged`] if the model cannot be cut, [`TrainError::Stages`] if it has fewer layers.
    ///
    /// # Panics
    /// If there is not one time for each layer.
    pub fn new(staged: Option<Arc<dyn Staged>>, n_stages: usize, time: &[Duration]) -> Result<Self, TrainError> {
        let staged = staged.ok_or(TrainError::NotStaged)?;
        let [n_before_memory, n_layers] = staged.n_layers();
        if n_stages == 0 || n_stages > n_layers {
            return Err(TrainError::Stages { stages: n_stages, layers: n_layers });
        }
        assert_eq!(time.len(), n_layers, "one time for each layer");
        let time: Vec<u64> = time.iter().map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX >> 32)).collect();
        let ranges = cut::balanced(&time, n_stages);
        let stages = ranges.into_iter().map(|range| StageLayers { range, n_before_memory, n_layers }).collect();
        Ok(Self { staged, stages })
    }

    /// How long the forward and backward pass of a micro-batch of `n_tokens` tokens, in sequences of `seq_length`, takes in each
    /// layer of `staged`, with embeddings and head: measured on `device`, with up to 1,024 of the tokens.
    #[must_use]
    pub fn measure(staged: &dyn Staged, n_tokens: usize, seq_length: usize, device: &Device) -> Vec<Duration> {
        let seconds = cost::measured(staged, n_tokens, seq_length, device);
        seconds.into_iter().map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()).collect()
    }

    /// Number of stages.
    #[must_use]
    pub fn n_stages(&self) -> usize {
        self.stages.len()
    }

    /// The layers of the stage with this number.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn layers(&self, stage: usize) -> &StageLayers {
        &self.stages[stage]
    }

    /// What the stage with this number holds of a model.
    #[must_use]
    pub fn parts(&self, stage: usize) -> Parts {
        let stages = self.clone();
        Parts::new(move |path| if stages.holders(path).contains(&stage) { Part::All } else { Part::None })
    }

    /// The place of this process among the ranks of `world`, of which each replica of the model has as many in a row as there are
    /// stages; and the ranks with the same stage in all replicas.
    ///
    /// # Errors
    /// If a rank cannot be reached.
    pub fn places<'a>(
        &self,
        world: &'a dyn Collective,
    ) -> Result<(InStages<'a>, Box<dyn Collective>), CollectiveError> {
        let (stage, replica) = (world.rank() % self.n_stages(), world.rank() / self.n_stages());
        let pipeline = Arc::from(world.split(replica)?);
        Ok((InStages { layers: self.layers(stage).clone(), pipeline, all: world }, world.split(stage)?))
    }

    /// `true` if the stage with this number trains the parameter at `path`.
    pub(crate) fn trains(&self, stage: usize, path: &str) -> bool {
        self.holders(path).first() == Some(&stage)
    }

    /// The stages that hold the parameter at `path`, in order. The first one trains it.
    pub(crate) fn holders(&self, path: &str) -> Vec<usize> {
        let mut stages: Vec<usize> = self.staged.uses(path).into_iter().map(|place| self.stage(place)).collect();
        stages.sort_unstable();
        stages.dedup();
        stages
    }

    /// The stage with this place of the model.
    fn stage(&self, place: Use) -> usize {
        let last = self.stages.len() - 1;
        let layer = match place {
            Use::Embeddings => 0,
            Use::TargetEmbeddings => self.stages[last].n_before_memory,
            Use::Layer(layer) => layer,
            Use::Head => return last,
        };
        self.stages.iter().position(|stage| stage.range.contains(&layer)).unwrap_or(last)
    }
}
