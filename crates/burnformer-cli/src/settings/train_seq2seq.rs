//! Settings of `burnformer train-seq2seq`.

use std::path::Path;

use anyhow::Result;
use burnformer::core::config::{ConfigError, Validate};
use burnformer::core::settings;
use burnformer::data::datasets::TextPairsConfig;
use burnformer::data::split::SplitConfig;
use burnformer::models::Seq2SeqConfig;
use burnformer::tasks::metrics::BleuTokenizer;
use burnformer::train::{AdamConfig, OptimizerConfig, ScheduleConfig, TrainConfig};
use serde::{Deserialize, Serialize};

use super::train_config;

/// All that the training of an encoder–decoder depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrainSeq2SeqSettings {
    /// Of all that is random.
    pub(crate) seed: u64,
    /// Folder of the corpus.
    pub(crate) corpus: String,
    /// Folder of the corpus to choose the best model by; absent for a share of `corpus`.
    pub(crate) validation: Option<String>,
    /// The model's embeddings and learned positions begin as its other matrices do (Glorot's), instead of with a variance of
    /// `1 / d_model`.
    pub(crate) xavier_embeddings: bool,
    /// The share of the target distribution that is spread evenly over the vocabulary, in `[0, 1)`.
    pub(crate) label_smoothing: f64,
    /// What the best model is chosen by, on the validation pairs.
    pub(crate) choose_by: ChooseBy,
    /// How BLEU cuts sentences into words: `13a`, `zh`, `char` or `none`.
    pub(crate) bleu_tokenizer: BleuTokenizer,
    /// What the model is.
    pub(crate) model: Seq2SeqConfig,
    /// What it learns from.
    pub(crate) data: TextPairsData,
    /// How it learns.
    pub(crate) train: TrainConfig,
}

/// What the best model is chosen by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChooseBy {
    /// The perplexity of the validation pairs.
    #[default]
    Loss,
    /// BLEU of translations of the validation pairs, without a beam.
    Bleu,
}

/// What an encoder–decoder learns from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TextPairsData {
    /// Which pairs are for training, validation and test, if there is no corpus for validation.
    pub(crate) split: SplitConfig,
    /// Which pairs are taken.
    pub(crate) samples: TextPairsConfig,
}

/// What is known of a run before its number of steps.
#[derive(Debug)]
pub(crate) struct Begin<'a> {
    pub(crate) seed: u64,
    pub(crate) corpus: &'a Path,
    pub(crate) validation: Option<&'a Path>,
    pub(crate) model: &'a Seq2SeqConfig,
    pub(crate) file: Option<&'a Path>,
    pub(crate) sets: &'a [String],
}

impl TrainSeq2SeqSettings {
    /// The settings for a run of `steps`, unless a file or `sets` ask for another number.
    ///
    /// # Errors
    /// If there are no such settings, or they cannot work.
    pub(crate) fn load(begin: &Begin<'_>, steps: u64) -> Result<Self> {
        let samples = TextPairsConfig::default();
        let max_seq_length = samples.max_seq_length.min(begin.model.max_seq_length);
        let preset = |steps: u64, d_model: usize| Self {
            seed: begin.seed,
            corpus: begin.corpus.display().to_string(),
            validation: begin.validation.map(|folder| folder.display().to_string()),
            xavier_embeddings: false,
            label_smoothing: 0.1,
            choose_by: ChooseBy::default(),
            bleu_tokenizer: BleuTokenizer::default(),
            model: begin.model.clone(),
            data: TextPairsData {
                // Translators are tested on files, not on a part of a corpus.
                split: SplitConfig { test: 0.0, ..SplitConfig::default() },
                samples: TextPairsConfig { max_seq_length, ..samples.clone() },
            },
            train: schedule(steps, d_model),
        };
        // Warm-up, evaluations and the rest follow the steps that were asked for, unless they were asked for too.
        let asked = settings::load(&preset(steps, begin.model.d_model), begin.file, begin.sets)?;
        Ok(settings::load(&preset(asked.train.steps, asked.model.d_model), begin.file, begin.sets)?)
    }
}

/// Adam with the constants of the paper and its schedule, of which the peak is written out: 7e-4 for the base model after
/// 4,000 steps of warm-up.
fn schedule(steps: u64, d_model: usize) -> TrainConfig {
    let learning_rate = 7e-4 * (512.0 / d_model as f64).sqrt();
    // Evaluated wherever there is a checkpoint: those of evaluations would else lie close to others, and a mean of the last
    // ones would be of fewer places.
    let every = steps.div_ceil(20).clamp(1, 1000);
    TrainConfig {
        optimizer: OptimizerConfig::Adam(AdamConfig {
            learning_rate,
            beta_1: 0.9,
            beta_2: 0.98,
            eps: 1e-9,
            weight_decay: 0.0,
        }),
        schedule: ScheduleConfig::InverseSqrt { warmup_steps: (steps / 10).clamp(1, 4000) },
        micro_batch_tokens: Some(4096),
        window: 16_384,
        pad_to_multiple_of: 1,
        validation_samples: None,
        evaluate_every: every,
        checkpoint_every: every,
        ..train_config(steps, learning_rate)
    }
}

impl Validate for TrainSeq2SeqSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let within = |section: &'static str| move |error: ConfigError| error.within(section);
        ConfigError::check_probability("label_smoothing", self.label_smoothing)?;
        self.model.validate().map_err(within("model"))?;
        self.data.split.validate().map_err(within("data.split"))?;
        self.data.samples.validate().map_err(within("data.samples"))?;
        let (longest, length) = (self.model.max_seq_length, self.data.samples.max_seq_length);
        let range = "at most `model.max_seq_length`";
        ConfigError::check("data.samples.max_seq_length", &length, length <= longest, range)?;
        self.train.validate().map_err(within("train"))
    }
}
