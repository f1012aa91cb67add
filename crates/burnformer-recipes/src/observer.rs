//! Who watches a run.

use std::path::Path;

use burn::tensor::Device;
use burnformer_core::collective::{Collective, Local};
use burnformer_core::progress::{Interrupt, Progress, Silent};
use burnformer_data::class_names::OddClasses;
use burnformer_data::conflicts::Conflicts;
use burnformer_data::datasets::LostWords;
use burnformer_data::source::Skipped;
use burnformer_models::Pretrained;
use burnformer_ops::{DeviceChoice, WeightFormat};
use burnformer_reports::{RepeatedTexts, RunSummary};
use burnformer_search::Failure;
use burnformer_tasks::{Evaluation, InStages};
use burnformer_train::Event;

use crate::{Change, RecipeError};

/// What a recipe is given beside its settings: none of it changes a result, but for the rounding of devices and of weights.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Device that models live on.
    pub device: DeviceChoice,
    /// Receiver of progress, events and notes.
    pub observer: &'a dyn Observer,
    /// Request to stop at the next safe point, which ends the work with an interruption; absent for none.
    pub interrupt: Option<&'a Interrupt>,
    /// The processes that work together; each runs the same recipe.
    pub collective: &'a dyn Collective,
    /// Number of processes that share the layers of one model in training, each a stage of a pipeline; 1 for none.
    pub pipeline_stages: usize,
    /// The stage of this process while a model is measured; `None` if it has the whole model.
    pub in_stages: Option<&'a InStages<'a>>,
    /// Number of processes that share the matrices of one model in training; 1 if each has the whole model.
    pub tensor_parallel: usize,
    /// Type of the weights in products of a model that is evaluated.
    pub weights: WeightFormat,
}

impl Default for Context<'_> {
    /// The best available device, without observer and interrupt, in this process alone.
    fn default() -> Self {
        Self {
            device: DeviceChoice::Auto,
            observer: &Silent,
            interrupt: None,
            collective: &Local,
            pipeline_stages: 1,
            in_stages: None,
            tensor_parallel: 1,
            weights: WeightFormat::F32,
        }
    }
}

impl Context<'_> {
    /// A model that is evaluated, with its weights laid out as [`Self::weights`], or as in training for single precision.
    pub(crate) fn prepared<M: Pretrained>(&self, model: M) -> Result<M, RecipeError> {
        match self.weights {
            WeightFormat::F32 => Ok(model),
            other => Ok(model.prepare(other)?),
        }
    }

    /// Evaluation on `device`, with the other processes.
    pub(crate) fn evaluation<'a>(&'a self, device: &'a Device) -> Evaluation<'a> {
        let interrupt = self.interrupt();
        Evaluation { device, collective: self.collective, progress: self.observer, interrupt, stages: self.in_stages }
    }

    /// This process alone, with a whole model.
    pub(crate) fn alone(&self) -> Self {
        Self { collective: &Local, pipeline_stages: 1, in_stages: None, tensor_parallel: 1, ..*self }
    }

    /// Whether several processes share one model.
    pub(crate) fn shares_models(&self) -> bool {
        self.pipeline_stages > 1 || self.tensor_parallel > 1
    }

    /// Rank and number of the processes.
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.collective.rank(), self.collective.size())
    }

    /// The request to stop; one that is never made if absent.
    pub(crate) fn interrupt(&self) -> Interrupt {
        self.interrupt.cloned().unwrap_or_default()
    }
}

/// Observer of runs: progress (by [`Progress`]), events and notes.
pub trait Observer: Progress {
    /// Something has happened in the loop.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Receives a note.
    fn note(&self, note: &Note<'_>) {
        let _ = note;
    }
}

impl Observer for Silent {}

/// A note on a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Note<'a> {
    /// Rows that were skipped because they could not be used.
    SkippedRows(&'a Skipped),
    /// Texts that occur with different labels; all rows of such a text are in one part.
    Conflicts {
        /// The texts.
        conflicts: &'a Conflicts,
        /// What differs, in the plural, such as `labels`.
        of: &'static str,
    },
    /// The model takes shorter texts than the settings ask for.
    Shortened {
        /// Longest text of the settings, in tokens.
        asked: usize,
        /// Longest text of the model.
        longest: usize,
    },
    /// The last loss of a run is NaN or infinite.
    NotFiniteLoss {
        /// Step at which it was measured.
        step: u64,
        /// What it was measured on: `train` or `validation`.
        part: &'a str,
    },
    /// Classes that were perhaps not meant as such.
    OddClasses(&'a OddClasses),
    /// Rows of the training data with the text of an earlier row, and the number of all rows.
    RepeatedTexts {
        /// Number of such rows.
        repeated: usize,
        /// Number of all rows.
        rows: usize,
    },
    /// Validation and test texts that the model is trained on or chosen by.
    SharedTexts {
        /// Their numbers.
        repeated: &'a RepeatedTexts,
        /// Number of all validation texts.
        validation: usize,
        /// Number of all test texts.
        test: usize,
    },
    /// The best model of a fine-tuning run is right no more often than the most frequent label would be.
    NoBetterThanMajority {
        /// The run.
        run: &'a RunSummary,
        /// Name and value of the metric that the model was chosen by.
        quality: (&'static str, f64),
        /// Accuracy of the model on the validation texts.
        accuracy: f64,
        /// Accuracy of always answering their most frequent label.
        majority: f64,
        /// That label.
        label: &'a str,
    },
    /// Stages of a pipeline that wait for each other, as there are few micro-batches in a step.
    IdleStages {
        /// Number of micro-batches in a step.
        micro_batches: usize,
        /// Number of replicas of the model, which share them.
        replicas: usize,
        /// Number of stages.
        stages: usize,
    },
    /// Entropy of the masked tokens of the validation samples, in nats: the loss to beat.
    UnigramEntropy(f64),
    /// A setting of a resumed run that has changed since its latest checkpoint.
    Changed(&'a Change),
    /// Number of pairs of texts that the settings exclude.
    PairsLeftOut(usize),
    /// Texts that are longer than the model can take, so that it does not see their ends.
    TextsCut {
        /// Number of these texts.
        cut: u64,
        /// Number of all texts.
        texts: u64,
        /// Longest text, in tokens, special tokens included.
        max_length: usize,
        /// What the texts are for, such as `training`.
        part: &'static str,
    },
    /// Batches that are smaller than asked for, where samples with a text in common must not be in one.
    SmallBatches {
        /// Number of samples.
        samples: u64,
        /// Number of batches that they make.
        batches: u64,
        /// Number of samples that a batch was to have.
        asked: f64,
    },
    /// Lost words and invalid tags of the training sentences.
    TrainingWords {
        /// Words without a label in any sample.
        lost: LostWords,
        /// Number of tags such as `I-PER` that continue no entity.
        invalid_tags: u64,
        /// Number of such tags of the scheme `iob1`, which were turned into beginnings.
        new_beginnings: u64,
    },
    /// Names of weights that the pretrained model lacks and that were initialised at random.
    FreshWeights(&'a [String]),
    /// Names of weights of the pretrained model that the new model does not have.
    LeftOverWeights(&'a [String]),
    /// The run has no checkpoint yet, and starts from its first step.
    StartsAnew {
        /// Folder of the run.
        folder: &'a Path,
    },
    /// The next of several runs that differ in the seed begins or goes on.
    Seed {
        /// Its seed.
        seed: u64,
        /// Its number, from 1 on.
        number: usize,
        /// Number of all runs.
        of: usize,
    },
    /// Runs of several seeds were interrupted, and can be resumed together.
    SeedsInterrupted {
        /// Name of the recipe.
        recipe: &'static str,
        /// Folder of the runs.
        folder: &'a Path,
    },
    /// The run was interrupted after this step, and can be resumed.
    Interrupted {
        /// Name of the recipe.
        recipe: &'static str,
        /// Folder of the run.
        folder: &'a Path,
        /// Last step that was done.
        step: u64,
    },
    /// A search was interrupted, and can be resumed.
    SearchInterrupted {
        /// Folder of the search.
        folder: &'a Path,
    },
    /// Something has happened to a trial of a search.
    Trial {
        /// Number of the trial.
        number: usize,
        /// What has happened.
        news: TrialNews<'a>,
    },
}

/// What happens to a trial of a search.
#[derive(Clone, Copy, Debug)]
pub enum TrialNews<'a> {
    /// It starts with these settings, each as `key=value`.
    Starts(&'a [String]),
    /// It waits for others to compare with.
    Waits {
        /// Name of the metric.
        metric: &'a str,
        /// Its best value so far.
        value: f64,
        /// Steps done.
        step: u64,
    },
    /// It goes on from where it waited.
    GoesOn,
    /// It has ended.
    Complete {
        /// Name of the metric.
        metric: &'a str,
        /// Its best value.
        value: f64,
    },
    /// It has ended early by itself.
    Failed(&'a Failure),
}
