//! What can go wrong in training.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use burn::tensor::ExecutionError;
use burnformer_core::files::FileError;
use burnformer_core::lock::LockError;
use burnformer_core::progress::Interrupted;
use burnformer_data::DataError;
use burnformer_ops::PrecisionError;
use burnformer_tasks::ScoresError;

use crate::{CollectiveError, CurvesError, Diagnosis, HistoryError, OptimizerStateError};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The task failed; see [`Task::Error`](burnformer_tasks::Task::Error).
    #[error(transparent)]
    Task(Box<dyn Error + Send + Sync>),
    /// Several processes cannot train together any more.
    #[error("the processes cannot train together any more")]
    Collective(#[from] CollectiveError),
    /// A number of processes that cannot be dealt to the parts of a model.
    #[error("{n_tensor} tensor-parallel parts need a multiple of {n_tensor} processes, found {ranks}")]
    TensorRanks {
        /// The number of processes.
        ranks: usize,
        /// The number of parts.
        n_tensor: usize,
    },
    /// Processes that cannot all have a stage.
    #[error("{stages} stages need a multiple of {multiple} processes, found {ranks}")]
    Ranks {
        /// Number of processes.
        ranks: usize,
        /// Number of stages of the pipeline.
        stages: usize,
        /// Number of processes of one replica of the model.
        multiple: usize,
    },
    /// More stages than there are layers, or none.
    #[error("{stages} stages cannot share {layers} layers, expected at least one stage and at most {layers}")]
    Stages {
        /// Number of stages of the pipeline.
        stages: usize,
        /// Number of layers of the model.
        layers: usize,
    },
    /// A model that is not to be cut into stages.
    #[error(
        "models of sentence embeddings and those with adapters cannot be cut into stages: train without a pipeline"
    )]
    NotStaged,
    /// A rule of gradients that needs the whole model.
    #[error("a gradient rule other than the sum needs the whole model: train without a pipeline")]
    RuleInStages,
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
    /// The scores of a step cannot be read.
    #[error(transparent)]
    Scores(#[from] ScoresError),
    /// Samples cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device failed.
    #[error("the device failed")]
    Execution(#[from] ExecutionError),
    /// The device or processor does not support the precision of the settings.
    #[error(transparent)]
    Precision(#[from] PrecisionError),
    /// A file or folder cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The run is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The metrics cannot be written or read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The learning curves cannot be drawn.
    #[error(transparent)]
    Curves(#[from] CurvesError),
    /// The optimiser's state belongs to another model.
    #[error(transparent)]
    OptimizerState(#[from] OptimizerStateError),
    /// The system does not let us read a file.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder that holds a run already.
    #[error("`{}` already holds a run: resume it, or choose another folder", folder.display())]
    RunExists {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder that holds something else.
    #[error("`{}` holds other files (`{file}`), choose an empty or a new folder", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// One of the files in it.
        file: String,
    },
    /// A folder without a run.
    #[error("`{}` is not a run folder: it has no `run.toml`", folder.display())]
    NotARun {
        /// The folder.
        folder: PathBuf,
    },
    /// A run without a usable checkpoint.
    #[error("the run in `{}` has no usable checkpoint to resume from: remove the folder and start again", folder.display())]
    NoCheckpoint {
        /// The folder.
        folder: PathBuf,
    },
    /// Fewer checkpoints than are to be averaged.
    #[error(
        "the run in `{}` has {found} checkpoints, {wanted} were requested: request fewer, at least 1, or train with a larger `train.keep_checkpoints`",
        folder.display()
    )]
    TooFewCheckpoints {
        /// The folder of the run.
        folder: PathBuf,
        /// How many there are.
        found: usize,
        /// How many are asked for.
        wanted: usize,
    },
    /// A checkpoint whose files do not match their checksums.
    #[error("the checkpoint `{}` is damaged: {problem}", folder.display())]
    Damaged {
        /// The folder of the checkpoint.
        folder: PathBuf,
        /// What was found.
        problem: String,
    },
    /// A checkpoint of a run on other data or in other steps.
    #[error("cannot resume the run with another `{what}`: it was started with {begun}, found {now}")]
    OtherRun {
        /// What has changed.
        what: &'static str,
        /// Value of the checkpoint.
        begun: String,
        /// Value of the resumed run.
        now: String,
    },
    /// Too few samples.
    #[error(
        "there are {n_samples} samples for training, but a step takes {batch_size}: lower `train.micro_batch_size` or `train.grad_accum_steps`, or add text"
    )]
    TooFewSamples {
        /// How many there are.
        n_samples: u64,
        /// How many are needed.
        batch_size: usize,
    },
    /// Early stopping without evaluations.
    #[error(
        "`train.patience` stops a run by its evaluations, but there are no validation samples: set some apart, or leave it out"
    )]
    NoEvaluations,
    /// More layers to freeze than the model has.
    #[error(
        "`train.freeze` is {found}, but the model has {n_layers} layers: set it to {n_layers} or less, or to `body`"
    )]
    FrozenLayers {
        /// How many are to be frozen.
        found: usize,
        /// How many there are.
        n_layers: usize,
    },
    /// No parameter that is to be trained.
    #[error(
        "no parameter would be trained: `train.freeze` leaves none of those that the recipe trains, set it to `embeddings` or a number of layers, or leave it out"
    )]
    NothingTrained,
    /// Ranks that have to have the same weights, and do not.
    #[error(
        "after step {step}, `{path}` has other values on rank {rank} than on rank 0: start all ranks with the same program, settings and files, and resume from the last checkpoint; if it happens again, the memory of a machine may be faulty"
    )]
    OtherWeights {
        /// Number of steps done.
        step: u64,
        /// The first rank that differs from rank 0.
        rank: usize,
        /// Path of the first parameter that differs.
        path: String,
    },
    /// A step in which no parameter got a gradient.
    #[error(
        "no parameter got a gradient at step {step}: the loss must depend on a parameter that is to be trained, and the gradient rule add to the sums"
    )]
    NoGradient {
        /// The step.
        step: u64,
    },
    /// Steps in a row without finite numbers, or weights that are not finite.
    #[error(
        "the loss at step {step} is {loss}, with a gradient of norm {gradient_norm}, after {skipped} skipped steps in a row: the run has diverged, at a learning rate of {learning_rate:.3e}; {diagnosis}; lower `train.optimizer.learning_rate`, lengthen the warm-up, or let the run go back by itself: set `train.on_divergence` to `roll-back`, with enough `train.max_roll_backs`"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// Its loss.
        loss: f64,
        /// The norm of its gradient.
        gradient_norm: f64,
        /// Number of steps in a row that were skipped, this one included.
        skipped: u64,
        /// The learning rate of the step.
        learning_rate: f64,
        /// Where its numbers are not finite.
        diagnosis: Diagnosis,
    },
    /// Too little room on the disk.
    #[error(
        "a checkpoint takes {needed} bytes, but `{}` has {free} left: make room and resume, or set fewer checkpoints to keep",
        folder.display()
    )]
    DiskFull {
        /// The folder of the checkpoints.
        folder: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        free: u64,
    },
}

impl TrainError {
    /// The error of a task.
    pub fn task(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Task(Box::new(error))
    }
}
