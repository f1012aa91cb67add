//! Training settings.

use std::sync::Arc;
use std::thread::available_parallelism;

use burn::module::Module;
use burnformer_core::collective::{Collective, Local};
use burnformer_core::config::{ConfigError, Validate};
use burnformer_data::DataError;
use burnformer_data::batches::{BatchConfig, BatchSize, Batches, Collator, Dealt, Padding, StepConfig};
use burnformer_data::datasets::Dataset;
use burnformer_ops::Precision;
use serde::{Deserialize, Serialize};

use crate::layers::LayerRule;
use crate::{Freeze, OptimizerConfig, ParameterRule, ScheduleConfig, TrainError};

/// Training settings. A step is one update of the weights, on the samples of `grad_accum_steps` micro-batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Number of updates.
    pub steps: u64,
    /// Number of samples in a micro-batch, which goes through the model at once.
    pub micro_batch_size: usize,
    /// Number of tokens in a micro-batch, padding included, instead of `micro_batch_size`; those of the longer text where
    /// samples have two.
    pub micro_batch_tokens: Option<usize>,
    /// Number of micro-batches whose gradients make one update. Each is only as long as its own longest text, so several have
    /// less padding than one, most of all where `window` is a single batch.
    pub grad_accum_steps: usize,
    /// The optimiser with its settings.
    pub optimizer: OptimizerConfig,
    /// Schedule of the learning rate.
    pub schedule: ScheduleConfig,
    /// Precision of the factors of linear maps in the forward and backward passes of a step: `f32`, or `bf16` on processors
    /// that multiply it faster (with AMX, or with `AVX512_BF16` on AMD), and otherwise `f32` too. Everything else, evaluations included, is `f32`.
    #[serde(default)] // Runs that were begun before there was a choice.
    pub dtype: Precision,
    /// `true` if a layer keeps only its input in the forward pass, and runs once more in the backward pass: less memory for
    /// more time, and the same results.
    #[serde(default)] // Runs that were begun before there was a choice.
    pub activation_checkpointing: bool,
    /// `true` refuses a run that takes more memory than there is, before its first step.
    #[serde(default = "default::memory_check")]
    pub memory_check: bool,
    /// Greatest norm of the gradient over all parameters, to which it is clipped; absent for no clipping.
    pub clip_norm: Option<f64>,
    /// Factor of the learning rate from each layer to the one below, in `(0, 1]`, as in ELECTRA; absent for one rate.
    pub layer_decay: Option<f64>,
    /// Part of the model that is not trained, from its bottom: `embeddings`, a number of layers (and the embeddings), or `body`,
    /// all but what is above the layers; absent for none.
    pub freeze: Option<Freeze>,
    /// Number of steps after which one more layer is trained, from the top down, the embeddings last. Training begins with
    /// `freeze`, or the body, frozen. Absent to leave frozen what is.
    pub unfreeze_every: Option<u64>,
    /// Decay of the exponential moving average of the weights, in `(0, 1)`. It is what is evaluated and published. In the first steps
    /// the decay is `(1 + step) / (10 + step)` if that is less. Absent for the weights themselves.
    pub ema_decay: Option<f64>,
    /// Steps between two lines of metrics, each averaged over its steps.
    pub log_every: u64,
    /// Number of steps between two evaluations on the validation samples.
    pub evaluate_every: u64,
    /// Greatest number of validation samples, always the same ones; absent for all.
    pub validation_samples: Option<u64>,
    /// Number of evaluations without improvement after which training stops early; absent for no early stopping.
    pub patience: Option<u64>,
    /// Number of steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Minutes after which a checkpoint is written if none was, the first time one minute at most; absent for none by time.
    /// Such a checkpoint is removed when the next one is written.
    pub checkpoint_minutes: Option<f64>,
    /// Number of latest checkpoints to keep, beside the best.
    pub keep_checkpoints: usize,
    /// Number of best evaluations whose checkpoints are kept.
    #[serde(default = "default::keep_best")] // Runs that were begun before there was a choice, as below.
    pub keep_best: usize,
    /// Number of steps between two checkpoints that are written and never removed; absent for none.
    pub keep_every: Option<u64>,
    /// Number of steps in a row without a finite loss and gradient, which are skipped, at which the run has diverged.
    #[serde(default = "default::max_skipped_steps")]
    pub max_skipped_steps: u64,
    /// What happens when the run has diverged: `stop`, or `roll-back` to the last checkpoint of the schedule.
    #[serde(default)]
    pub on_divergence: OnDivergence,
    /// What a roll-back multiplies the learning rate by, in `(0, 1]`.
    #[serde(default = "default::roll_back_factor")]
    pub roll_back_factor: f64,
    /// Number of roll-backs of a run, after which it stops.
    #[serde(default = "default::max_roll_backs")]
    pub max_roll_backs: u64,
    /// Number of steps between two comparisons of the weights of all processes that train together.
    #[serde(default = "default::check_every")]
    pub check_every: u64,
    /// Number of consecutive samples that are sorted by length together.
    pub window: usize,
    /// Rows are padded to a multiple of this length.
    pub pad_to_multiple_of: usize,
    /// Number of threads that make batches ahead.
    pub workers: usize,
    /// `true` writes the metrics to an event file of TensorBoard too.
    #[serde(default)] // Runs that were begun before there was a choice.
    pub tensorboard: bool,
}

/// A batch of the collator `C` that is dealt out.
type DealtBatch<C> = Result<Dealt<<C as Collator>::Batch>, DataError>;

/// What happens when a run has diverged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDivergence {
    /// It ends with a diagnosis.
    #[default]
    Stop,
    /// It goes back to the last checkpoint of the schedule, and on from there with a lower learning rate and other samples.
    RollBack,
}

/// Values of keys that older runs do not have.
mod default {
    pub(super) fn keep_best() -> usize {
        1
    }

    pub(super) fn max_skipped_steps() -> u64 {
        5
    }

    pub(super) fn roll_back_factor() -> f64 {
        0.5
    }

    pub(super) fn max_roll_backs() -> u64 {
        3
    }

    pub(super) fn check_every() -> u64 {
        100
    }

    pub(super) fn memory_check() -> bool {
        true
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 1000,
            micro_batch_size: 32,
            micro_batch_tokens: None,
            grad_accum_steps: 1,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            dtype: Precision::F32,
            activation_checkpointing: false,
            memory_check: default::memory_check(),
            clip_norm: Some(1.0),
            layer_decay: None,
            freeze: None,
            unfreeze_every: None,
            ema_decay: None,
            log_every: 10,
            evaluate_every: 100,
            validation_samples: Some(1024),
            patience: None,
            checkpoint_every: 500,
            checkpoint_minutes: Some(10.0),
            keep_checkpoints: 1,
            keep_best: default::keep_best(),
            keep_every: None,
            max_skipped_steps: default::max_skipped_steps(),
            on_divergence: OnDivergence::default(),
            roll_back_factor: default::roll_back_factor(),
            max_roll_backs: default::max_roll_backs(),
            check_every: default::check_every(),
            window: 1024,
            pad_to_multiple_of: 8,
            workers: available_parallelism().map_or(1, |n| usize::from(n).min(4)),
            tensorboard: false,
        }
    }
}

impl TrainConfig {
    /// Size of a step.
    #[must_use]
    pub fn batch_size(&self) -> BatchSize {
        self.size(self.grad_accum_steps)
    }

    /// Approximate number of samples in a step, if their mean length is `mean_length` tokens.
    #[must_use]
    pub fn samples_per_step(&self, mean_length: f64) -> f64 {
        match self.batch_size() {
            BatchSize::Sequences(n) => n as f64,
            BatchSize::Tokens(n) => (n as f64 / mean_length).max(1.0),
        }
    }

    /// Number of tokens of a micro-batch of samples of `seq_length` tokens, padding included.
    #[must_use]
    pub fn tokens_per_micro_batch(&self, seq_length: usize) -> usize {
        self.micro_batch_tokens.unwrap_or(self.micro_batch_size * seq_length)
    }

    /// Size of so many micro-batches.
    fn size(&self, n_micro_batches: usize) -> BatchSize {
        match self.micro_batch_tokens {
            Some(tokens) => BatchSize::Tokens(tokens * n_micro_batches),
            None => BatchSize::Sequences(self.micro_batch_size * n_micro_batches),
        }
    }

    /// How a step is cut into micro-batches, and which of them the rank `rank` of `size` has.
    pub(crate) fn step(&self, rank: usize, size: usize) -> StepConfig<impl Fn(usize) -> usize + Clone + Send + use<>> {
        let (n_micro_batches, micro_batch_size) = (self.grad_accum_steps, self.micro_batch_size);
        let by_tokens = self.micro_batch_tokens.is_some();
        let micro_batch = move |n_samples: usize| match by_tokens {
            true => n_samples.div_ceil(n_micro_batches).max(1),
            false => micro_batch_size,
        };
        StepConfig { rank, size, micro_batch }
    }

    /// Checks that there are evaluations if early stopping waits for them.
    ///
    /// # Errors
    /// [`TrainError::NoEvaluations`] if there are none.
    pub fn check_validation(&self, has_validation: bool) -> Result<(), TrainError> {
        if self.patience.is_some() && !has_validation { Err(TrainError::NoEvaluations) } else { Ok(()) }
    }

    /// Checks that some parameters of `model` are trained by these settings, within those that `rule` names.
    ///
    /// # Errors
    /// If more layers are to be frozen than there are, or nothing is trained.
    pub fn check_parameters<M: Module>(&self, rule: &dyn ParameterRule, model: &M) -> Result<(), TrainError> {
        LayerRule::new(self, rule, model).map(drop)
    }

    /// Checks that `n_samples` are enough for a step.
    ///
    /// # Errors
    /// [`TrainError::TooFewSamples`] if they are not.
    pub fn check_samples(&self, n_samples: u64) -> Result<(), TrainError> {
        match self.batch_size() {
            BatchSize::Sequences(batch_size) if n_samples < batch_size as u64 => {
                Err(TrainError::TooFewSamples { n_samples, batch_size })
            }
            _ => Ok(()),
        }
    }

    /// How texts are padded by the token `pad_id`, in training and evaluation, for a model that takes at most `max_length`
    /// tokens.
    #[must_use]
    pub fn padding(&self, pad_id: u32, max_length: usize) -> Padding {
        Padding { pad_id, multiple_of: self.pad_to_multiple_of }.within(max_length)
    }

    /// Settings of the batches for training, each of a whole step.
    #[must_use]
    pub fn batches(&self) -> BatchConfig {
        BatchConfig { size: self.batch_size(), window: self.window, workers: self.workers }
    }

    /// Settings of the batches for evaluation, each of a micro-batch.
    #[must_use]
    pub fn validation_batches(&self) -> BatchConfig {
        BatchConfig { size: self.size(1), ..self.batches() }
    }

    /// The batches that a model is evaluated on, always the same ones: `validation_samples` of `samples`, rounded up to
    /// whole batches; and how many samples that are.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn validation<S: Dataset<Sample = C::Sample> + 'static, C: Collator>(
        &self,
        samples: &Arc<S>,
        collator: &C,
        seed: u64,
    ) -> Result<(impl Iterator<Item = Result<C::Batch, DataError>> + use<S, C>, u64), DataError> {
        let (batches, n_samples) = self.dealt_validation(samples, collator, seed, &Local)?;
        Ok((batches.filter_map(|dealt| dealt.map(|dealt| dealt.batch).transpose()), n_samples))
    }

    /// The batches of [`Self::validation`], dealt out to the ranks of `collective`.
    ///
    /// # Errors
    /// As there.
    pub fn dealt_validation<S: Dataset<Sample = C::Sample> + 'static, C: Collator>(
        &self,
        samples: &Arc<S>,
        collator: &C,
        seed: u64,
        collective: &dyn Collective,
    ) -> Result<(impl Iterator<Item = DealtBatch<C>> + use<S, C>, u64), DataError> {
        let place = (collective.rank(), collective.size());
        let batches = Batches::dealt(Arc::clone(samples), collator, &self.validation_batches(), seed, place)?;
        let n_samples = samples.per_epoch().min(self.validation_samples.unwrap_or(u64::MAX));
        let mut left = n_samples;
        let batches = batches.take_while(move |batch: &DealtBatch<C>| {
            let is_wanted = left > 0;
            left = left.saturating_sub(batch.as_ref().map_or(0, |batch| batch.n_samples as u64));
            is_wanted
        });
        Ok((batches, n_samples))
    }
}

impl Validate for TrainConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let positive = |field, value: u64| ConfigError::check(field, &value, value > 0, "at least 1");
        positive("steps", self.steps)?;
        let within =
            |field, value: usize| ConfigError::check(field, &value, (1..=1 << 20).contains(&value), "1 to 1048576");
        within("micro_batch_size", self.micro_batch_size)?;
        within("micro_batch_tokens", self.micro_batch_tokens.unwrap_or(1))?;
        within("grad_accum_steps", self.grad_accum_steps)?;
        self.optimizer.validate().map_err(|error| error.within("optimizer"))?;
        self.schedule.validate().map_err(|error| error.within("schedule"))?;
        if let Some(clip_norm) = self.clip_norm {
            ConfigError::check_finite_positive("clip_norm", clip_norm)?;
        }
        for (field, value) in [
            ("log_every", self.log_every),
            ("evaluate_every", self.evaluate_every),
            ("checkpoint_every", self.checkpoint_every),
            ("validation_samples", self.validation_samples.unwrap_or(1)),
            ("patience", self.patience.unwrap_or(1)),
            ("keep_every", self.keep_every.unwrap_or(1)),
            ("unfreeze_every", self.unfreeze_every.unwrap_or(1)),
            ("max_skipped_steps", self.max_skipped_steps),
            ("check_every", self.check_every),
        ] {
            positive(field, value)?;
        }
        let decay = self.layer_decay.unwrap_or(1.0);
        ConfigError::check("layer_decay", &decay, decay > 0.0 && decay <= 1.0, "more than 0, at most 1")?;
        if let Some(decay) = self.ema_decay {
            ConfigError::check("ema_decay", &decay, decay > 0.0 && decay < 1.0, "more than 0, less than 1")?;
        }
        ConfigError::check_positive("keep_checkpoints", self.keep_checkpoints)?;
        ConfigError::check_positive("keep_best", self.keep_best)?;
        if let Some(minutes) = self.checkpoint_minutes {
            ConfigError::check_finite_positive("checkpoint_minutes", minutes)?;
        }
        let factor = self.roll_back_factor;
        ConfigError::check("roll_back_factor", &factor, factor > 0.0 && factor <= 1.0, "more than 0, at most 1")?;
        if let BatchSize::Sequences(n) = self.batch_size() {
            ConfigError::check(
                "window",
                &self.window,
                self.window >= n,
                "at least `micro_batch_size * grad_accum_steps`",
            )?;
        }
        let multiple_of = self.pad_to_multiple_of;
        ConfigError::check("pad_to_multiple_of", &multiple_of, (1..=4096).contains(&multiple_of), "1 to 4096")?;
        self.batches().validate()
    }
}
