//! The interface of supervised tasks: what fine-tuning and evaluation need to know of one.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_data::DataError;
use burnformer_data::batches::{Collator, Dealt, Padding};
use burnformer_data::datasets::Dataset;
use burnformer_data::readers::Input;
use burnformer_models::{BertConfig, Loaded, ModelError, Pretrained, StepFloats};
use burnformer_reports::Baseline;
use burnformer_tasks::{Task, TaskError};

use super::{Base, Examples, FinetuneSettings, FinetuneTask};
use crate::text::TaskScores;
use crate::{Context, Note, RecipeError};

/// A supervised task: a head on a pretrained body, the data that it learns from, and its scores. [`Finetune`](super::Finetune)
/// trains it, and [`evaluate_labelled`](crate::evaluate_labelled) evaluates it.
///
/// A new task is a file with an implementation, a variant of [`FinetuneTask`], and a line in `dispatch.rs`.
pub trait Supervised: Sized + Send + Sync + 'static {
    /// Name of the task in settings.
    const TASK: FinetuneTask;
    /// Validation metric that selects the best model, as in `metrics.jsonl`.
    const QUALITY: &'static str;
    /// Task tag of the model card, as on the Hugging Face hub.
    const PIPELINE_TAG: &'static str;
    /// What a row of the data is called, in the plural.
    const ROWS: &'static str;

    /// Rows of the data.
    type Texts: Examples;
    /// Training objective.
    type Task: Task<Model = Self::Model, Error = TaskError>;
    /// The model: head and body.
    type Model: Pretrained<Config = BertConfig>;
    /// Tokenised rows.
    type Samples: Dataset<Sample = <Self::Collator as Collator>::Sample> + 'static;
    /// Collator, which makes batches of the samples.
    type Collator: Collator<Batch = <Self::Task as Task>::Batch>;
    /// Scores of a model.
    type Scores: TaskScores;

    /// Refuses files whose format is that of another task.
    ///
    /// # Errors
    /// An error that says what is expected.
    fn check_input(_input: &Input) -> Result<(), RecipeError> {
        Ok(())
    }

    /// Refuses texts that cannot be what is meant: those of training, validation and test of a new run with these settings, or
    /// those that a model is evaluated on, without settings.
    ///
    /// # Errors
    /// An error that says what is expected.
    fn check_texts(_parts: &[&Self::Texts], _new_run: Option<&FinetuneSettings>) -> Result<(), RecipeError> {
        Ok(())
    }

    /// `settings` with what follows from the training rows, where they leave it to them.
    #[must_use]
    fn settle(settings: FinetuneSettings, _train: &Self::Texts) -> FinetuneSettings {
        settings
    }

    /// The settings of a new run, with those of the task where they are absent.
    #[must_use]
    fn with_defaults(settings: FinetuneSettings) -> FinetuneSettings {
        settings
    }

    /// The task on these training rows.
    ///
    /// # Errors
    /// If model and tokenizer do not fit together.
    fn new(base: &Base, settings: &FinetuneSettings, train: &Self::Texts) -> Result<Self, RecipeError>;

    /// The task that `model`, in `folder`, was trained for.
    ///
    /// # Errors
    /// If it was trained for another, or model and tokenizer do not fit together.
    fn of_model(
        model: &Self::Model,
        base: &Base,
        settings: &FinetuneSettings,
        folder: &Path,
    ) -> Result<Self, RecipeError>;

    /// Names of the labels that the model knows, to read further rows with; empty if it has none.
    fn labels(&self) -> &[String];

    /// Training objective.
    fn task(&self) -> &Self::Task;

    /// Tokenises rows.
    ///
    /// # Errors
    /// If there are none, or the tokenizer refuses a text.
    fn samples(&self, texts: &Self::Texts, base: &Base, seed: u64) -> Result<Self::Samples, DataError>;

    /// The samples as they are drawn in training, which may be in another way than to measure on.
    fn for_training(&self, samples: Self::Samples) -> Self::Samples {
        samples
    }

    /// Number of forward passes over a row in a training step.
    fn n_passes(&self) -> usize {
        1
    }

    /// Collator for batches with this padding.
    fn collator(&self, padding: Padding) -> Self::Collator;

    /// A model on `device` without initial weights, whose parameters are counted.
    fn allocate(&self, config: &BertConfig, device: &Device) -> Self::Model;

    /// A model with random initial weights.
    fn init(&self, config: &BertConfig, seed: u64, device: &Device) -> Self::Model;

    /// The pretrained model in `folder`, with a new head where it has none for this task.
    ///
    /// # Errors
    /// If the folder holds no model of the BERT family, or files that do not fit together.
    fn pretrained(&self, folder: &Path, seed: u64, device: &Device) -> Result<Loaded<Self::Model>, ModelError>;

    /// `step`, what the body keeps in memory, with the head on `n_rows` rows of `n_tokens` tokens together.
    fn step_floats(&self, step: StepFloats, n_rows: usize, n_tokens: usize, d_model: usize) -> StepFloats;

    /// Sends notes on `samples` of `texts`, such as how many are cut; `part` is what they are for, such as `training`.
    fn announce(
        &self,
        _texts: &Self::Texts,
        samples: &Self::Samples,
        part: &'static str,
        base: &Base,
        context: &Context<'_>,
    ) {
        if let Some(cut) = self.n_cut(samples) {
            let (texts, max_length) = (samples.per_epoch(), base.max_seq_length);
            context.observer.note(&Note::TextsCut { cut, texts, max_length, part });
        }
    }

    /// Number of rows in `samples` that are longer than the maximum length, of which the rest is cut off; `None` if nothing is
    /// cut off.
    fn n_cut(&self, _samples: &Self::Samples) -> Option<u64> {
        None
    }

    /// Counts for the report on the data, each with its name.
    fn counts(&self, _texts: &Self::Texts, _samples: &Self::Samples) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Measures `model`, which is on `device` without gradients, on `batches` of all `samples` of `texts`.
    ///
    /// # Errors
    /// If the device fails; an interruption.
    fn measure(
        &self,
        model: &Self::Model,
        (texts, samples): (&Self::Texts, &Arc<Self::Samples>),
        batches: impl Iterator<Item = Result<Dealt<<Self::Task as Task>::Batch>, DataError>>,
        seed: u64,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<Self::Scores, RecipeError> {
        let n_samples = samples.per_epoch();
        let state = context.evaluation(device).run_in_detail(self.task(), model, batches, n_samples)?;
        Ok(self.scores(&state, texts, samples, seed))
    }

    /// The scores that follow from the state of the metrics after all batches.
    fn scores(
        &self,
        state: &<Self::Task as Task>::MetricState,
        texts: &Self::Texts,
        samples: &Self::Samples,
        seed: u64,
    ) -> Self::Scores;

    /// Name of the metric that selected the best model: [`Self::QUALITY`], unless it depends on the labels.
    fn quality_name(_scores: &Self::Scores) -> &'static str {
        Self::QUALITY
    }

    /// Value of [`Self::QUALITY`].
    fn quality(scores: &Self::Scores) -> f64;

    /// Mean loss; `None` where there is none.
    fn loss(scores: &Self::Scores) -> Option<f64>;

    /// Share of labels that are right, comparable with that of the most frequent label; `None` for tasks without classes.
    fn accuracy(_scores: &Self::Scores) -> Option<f64> {
        None
    }

    /// Facts for the model card: names of the classes and the like.
    fn facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// A command that uses the model in `folder`, which is one word of a command line.
    fn usage(folder: &str) -> String {
        format!("burnformer predict {folder} 'A text.'")
    }

    /// Refuses baselines that cannot be trained on these rows.
    ///
    /// # Errors
    /// If there are none for the task, or too many rows.
    fn check_baselines(_train: &Self::Texts) -> Result<(), RecipeError> {
        Err(RecipeError::NoBaselines { task: Self::TASK.name() })
    }

    /// Scores of simple baselines on `test`, trained on `train`.
    ///
    /// # Errors
    /// If they cannot be trained.
    fn baselines(
        _train: &Self::Texts,
        _test: &Self::Texts,
        _seed: u64,
    ) -> Result<Vec<Baseline<Self::Scores>>, RecipeError> {
        Ok(Vec::new())
    }
}
