//! Training of an encoder–decoder on pairs of texts.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_core::config::{ConfigError, Validate};
use burnformer_data::batches::{TextPairCollator, batches_per_epoch};
use burnformer_data::corpus::Corpus;
use burnformer_data::datasets::{Dataset, TextPairDataset, TextPairsConfig};
use burnformer_data::split::{Split, SplitConfig, Subset};
use burnformer_models::{
    GenerationConfig, MicroBatchSize, ModelConfig, ModelSize, Passes, Pretrained, Seq2Seq, Seq2SeqConfig, StepFloats,
    stats,
};
use burnformer_reports::{PairScores, RunSummary, TrainSeq2SeqReport};
use burnformer_tasks::metrics::{Bleu, BleuTokenizer};
use burnformer_tasks::{TranslationTask, TranslationTokenizers};
use burnformer_train::{AdamConfig, Data, ModelCard, OptimizerConfig, ScheduleConfig, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::corpus_samples::check_corpus;
use crate::settings::{rate_share, train_config};
use crate::{Context, Note, Overrides, Recipe, RecipeError, RunSettings, SEED, Size, memory, recipe, reload, scores};

/// Settings of a seq2seq training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSeq2SeqSettings {
    /// Seed of every random draw.
    pub seed: u64,
    /// Folder of the corpus.
    pub corpus: String,
    /// Folder of the validation corpus; absent for a share of `corpus`.
    pub validation: Option<String>,
    /// Model folder to initialise the weights from; absent for random weights.
    pub init: Option<String>,
    /// `true` initialises embeddings and learned positions by Glorot's rule, like the other matrices, instead of with a
    /// variance of `1 / d_model`. Without effect on weights of `init`.
    pub xavier_embeddings: bool,
    /// Label smoothing: share of the target distribution spread evenly over the vocabulary, in `[0, 1)`.
    pub label_smoothing: f64,
    /// Validation metric that selects the best model.
    pub choose_by: ChooseBy,
    /// Tokenizer of BLEU: `13a`, `intl`, `zh`, `char` or `none`.
    pub bleu_tokenizer: BleuTokenizer,
    /// Architecture of the model.
    pub model: Seq2SeqConfig,
    /// Data to train on.
    pub data: TextPairsData,
    /// Training settings.
    pub train: TrainConfig,
}

/// Metric that selects the best model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChooseBy {
    /// The perplexity of the validation pairs.
    #[default]
    Loss,
    /// BLEU of greedy translations of the validation pairs.
    Bleu,
}

/// Split and choice of the text pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextPairsData {
    /// Split of the pairs into training, validation and test, if there is no corpus for validation.
    pub split: SplitConfig,
    /// Which pairs are used.
    pub samples: TextPairsConfig,
}

/// Choices for a new seq2seq run, from which its settings follow.
#[derive(Clone, Copy, Debug)]
pub struct TrainSeq2SeqStart<'a> {
    /// Folder of the corpus.
    pub corpus: &'a Path,
    /// Folder of the validation corpus; absent for a share of the first.
    pub validation: Option<&'a Path>,
    /// Model folder to initialise weights and sizes from; absent for random weights.
    pub init: Option<&'a Path>,
    /// Preset of the model size, one of [`Seq2SeqConfig::PRESETS`]; without effect with `init`.
    pub preset: &'a str,
    /// Number of passes over the training pairs, which sets the number of steps.
    pub epochs: f64,
    /// Seed of every random draw.
    pub seed: u64,
}

impl<'a> TrainSeq2SeqStart<'a> {
    /// Ten epochs of a `transformer-small` on the corpus in this folder.
    pub fn new(corpus: &'a (impl AsRef<Path> + ?Sized)) -> Self {
        let corpus = corpus.as_ref();
        Self { corpus, validation: None, init: None, preset: "transformer-small", epochs: 10.0, seed: SEED }
    }

    /// The settings for a run of `steps` of `model`, unless `overrides` ask for another number.
    fn settings(
        &self,
        model: &Seq2SeqConfig,
        steps: u64,
        overrides: &Overrides<'_>,
    ) -> Result<TrainSeq2SeqSettings, RecipeError> {
        let samples = TextPairsConfig::default();
        let max_seq_length = samples.max_seq_length.min(model.max_seq_length);
        let preset = |steps: u64, d_model: usize| TrainSeq2SeqSettings {
            seed: self.seed,
            corpus: self.corpus.display().to_string(),
            validation: self.validation.map(|folder| folder.display().to_string()),
            init: self.init.map(|folder| folder.display().to_string()),
            xavier_embeddings: false,
            label_smoothing: 0.1,
            choose_by: ChooseBy::default(),
            bleu_tokenizer: BleuTokenizer::default(),
            model: model.clone(),
            data: TextPairsData {
                // Translators are tested on files, not on a part of a corpus.
                split: SplitConfig { test: 0.0, ..SplitConfig::default() },
                samples: TextPairsConfig { max_seq_length, ..samples.clone() },
            },
            train: schedule(steps, d_model, rate_share(self.init)),
        };
        // Warm-up, evaluations and the rest follow the steps that were asked for, unless they were asked for too.
        let asked = overrides.over(&preset(steps, model.d_model))?;
        overrides.over(&preset(asked.train.steps, asked.model.d_model))
    }
}

/// Adam with the constants of the paper and its schedule, of which the peak is written out: `share` of 7e-4 for the base
/// model after 4,000 steps of warm-up.
fn schedule(steps: u64, d_model: usize, share: f64) -> TrainConfig {
    let learning_rate = share * 7e-4 * (512.0 / d_model as f64).sqrt();
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

impl RunSettings for TrainSeq2SeqSettings {
    const RECIPE: &'static str = "train-seq2seq";

    fn seed(&self) -> u64 {
        self.seed
    }

    fn train(&self) -> &TrainConfig {
        &self.train
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

/// Recipe: training of an encoder–decoder.
pub struct TrainSeq2Seq {
    settings: TrainSeq2SeqSettings,
    task: TranslationTask,
    data: Data<TextPairDataset, TextPairCollator>,
    /// Number of steps per epoch.
    steps_per_epoch: f64,
}

impl TrainSeq2Seq {
    /// A new run: the number of steps follows from the epochs and the pairs of the corpus, unless `overrides` say it.
    ///
    /// # Errors
    /// If there is no such corpus or preset, there are no such settings, or they cannot work.
    pub fn begin(start: &TrainSeq2SeqStart<'_>, overrides: &Overrides<'_>) -> Result<Self, RecipeError> {
        ConfigError::check_finite_positive("epochs", start.epochs)?;
        let corpus = Corpus::open(start.corpus)?;
        let model = match start.init {
            Some(init) => {
                check_init(init, &corpus)?;
                Seq2SeqConfig::load(init)?
            }
            None => Seq2SeqConfig::preset(start.preset, tokenizers(&corpus)?.vocabularies()?).ok_or_else(|| {
                RecipeError::NoPreset { name: start.preset.to_owned(), known: &Seq2SeqConfig::PRESETS }
            })?,
        };
        let settings = start.settings(&model, 1000, overrides)?;
        if let Some(init) = start.init.filter(|_| settings.model != model) {
            return Err(RecipeError::OtherModel { init: init.to_owned() });
        }
        let recipe = Self::new(settings)?;
        // What a step holds does not depend on how many there are.
        let steps = (start.epochs * recipe.steps_per_epoch).ceil().max(1.0) as u64;
        Ok(Self { settings: start.settings(&model, steps, overrides)?, ..recipe })
    }

    /// The run in `folder`, to be resumed with its settings, changed by `sets`.
    ///
    /// # Errors
    /// As [`Self::new`] and [`reload`].
    pub fn reload(folder: &Path, sets: &[String]) -> Result<Self, RecipeError> {
        let settings: TrainSeq2SeqSettings = reload(folder, sets)?;
        check_corpus("corpus", &settings.corpus)?;
        if let Some(validation) = &settings.validation {
            check_corpus("validation", validation)?;
        }
        Self::new(settings)
    }

    /// A run with these settings, whose corpora are opened.
    ///
    /// # Errors
    /// If a corpus cannot be read or divided, or has no pairs to train on or to choose by.
    pub fn new(settings: TrainSeq2SeqSettings) -> Result<Self, RecipeError> {
        let corpus = Arc::new(Corpus::open(Path::new(&settings.corpus))?);
        let mut fingerprint = corpus.manifest().build.to_string();
        let samples = |corpus: &Arc<Corpus>, part: Subset, documents: &[u32]| {
            let (end, config) = (settings.model.eos_id, &settings.data.samples);
            TextPairDataset::new(Arc::clone(corpus), documents, end, config, settings.seed)
                .map(Arc::new)
                .map_err(|source| RecipeError::NoSamples { part, corpus: settings.corpus.as_str().into(), source })
        };
        let all = |corpus: &Corpus| (0..corpus.n_documents()).collect::<Vec<_>>();
        let (train, validation) = match &settings.validation {
            Some(path) => {
                let other = Arc::new(Corpus::open(Path::new(path))?);
                check_tokenizers(&corpus, &other)?;
                fingerprint = format!("{fingerprint} and {}", other.manifest().build);
                let train = samples(&corpus, Subset::Train, &all(&corpus))?;
                (train, Some(samples(&other, Subset::Validation, &all(&other))?))
            }
            None => {
                let split = Split::of(&corpus, &settings.data.split, settings.seed)
                    .map_err(|source| RecipeError::Split { corpus: settings.corpus.as_str().into(), source })?;
                let validation = match split.validation.as_slice() {
                    [] => None,
                    documents => Some(samples(&corpus, Subset::Validation, documents)?),
                };
                (samples(&corpus, Subset::Train, &split.train)?, validation)
            }
        };
        if validation.is_none() && (settings.choose_by == ChooseBy::Bleu || settings.train.patience.is_some()) {
            return Err(RecipeError::NoValidationPairs);
        }
        let task = TranslationTask::new(settings.model.clone(), tokenizers(&corpus)?, settings.label_smoothing)?;
        let task = match settings.choose_by {
            ChooseBy::Loss => task,
            ChooseBy::Bleu => {
                let bleu = Bleu { tokenizer: settings.bleu_tokenizer, lowercase: false };
                task.with_bleu(GenerationConfig::greedy(), bleu)
            }
        };
        let collator =
            TextPairCollator { padding: settings.train.padding(settings.model.pad_id, settings.model.max_seq_length) };
        let steps_per_epoch = steps_per_epoch(&settings, &train, &collator)?;
        let data = Data { train, validation, collator, fingerprint };
        Ok(Self { settings, task, data, steps_per_epoch })
    }
}

/// Number of steps per epoch.
fn steps_per_epoch(
    settings: &TrainSeq2SeqSettings,
    samples: &Arc<TextPairDataset>,
    collator: &TextPairCollator,
) -> Result<f64, RecipeError> {
    let train = &settings.train;
    if train.micro_batch_tokens.is_none() {
        return Ok(samples.per_epoch() as f64 / train.samples_per_step(1.0));
    }
    Ok(batches_per_epoch(samples.as_ref(), collator, &train.batches())? as f64)
}

/// The tokenizers of both sides of a corpus.
fn tokenizers(corpus: &Corpus) -> Result<TranslationTokenizers, RecipeError> {
    Ok(TranslationTokenizers::new(corpus.tokenizer(), corpus.pair_tokenizer()))
}

/// Makes sure that the model to begin with knows the tokens of both sides of the corpus.
fn check_init(init: &Path, corpus: &Corpus) -> Result<(), RecipeError> {
    let tokenizers = TranslationTokenizers::load(init)?;
    let init = || init.to_owned();
    corpus.check_tokenizer(tokenizers.source()).map_err(|source| RecipeError::OtherTokens { init: init(), source })?;
    let fits = corpus.check_pair_tokenizer(tokenizers.target());
    fits.map_err(|source| RecipeError::OtherPairTokens { init: init(), source })
}

/// Makes sure that two corpora have the same tokens.
fn check_tokenizers(corpus: &Corpus, validation: &Corpus) -> Result<(), RecipeError> {
    let of = |corpus: &Corpus| (corpus.manifest().tokenizer, corpus.manifest().pair_tokenizer);
    if of(corpus) == of(validation) { Ok(()) } else { Err(RecipeError::OtherValidationTokens) }
}

impl Recipe for TrainSeq2Seq {
    const LENGTH_SETTING: &'static str = "data.samples.max_seq_length";
    type Settings = TrainSeq2SeqSettings;
    type Task = TranslationTask;
    type Samples = TextPairDataset;
    type Collator = TextPairCollator;
    type Report = TrainSeq2SeqReport;

    fn settings(&self) -> &TrainSeq2SeqSettings {
        &self.settings
    }

    fn task(&self) -> &TranslationTask {
        &self.task
    }

    fn data(&self) -> &Data<TextPairDataset, TextPairCollator> {
        &self.data
    }

    fn size(&self, device: &Device) -> Size {
        let TrainSeq2SeqSettings { model, train, data, .. } = &self.settings;
        let parameters = stats::n_parameters(&Seq2Seq::new(model, device)) as u64;
        let samples = self.data.train.per_epoch();
        let longest = data.samples.max_seq_length;
        let tokens_per_sample = match train.micro_batch_tokens {
            Some(tokens) => (tokens * train.grad_accum_steps) as f64 * self.steps_per_epoch / samples as f64,
            None => longest as f64,
        };
        Size {
            samples,
            tokens_per_sample,
            parameters,
            trained: None,
            longest: memory::longest(self.data.train.as_ref(), train, longest),
        }
    }

    fn cut_size(&self) -> Option<ModelSize> {
        Some(self.settings.model.size())
    }

    /// As if both texts of a pair were as long as the longer.
    fn step_floats(&self, train: &TrainConfig, seq_length: usize, passes: Passes) -> StepFloats {
        let n_tokens = train.tokens_per_micro_batch(seq_length);
        let batch = MicroBatchSize { n_tokens, seq_length, n_predicted: n_tokens };
        self.settings.model.step_floats(&batch, passes)
    }

    fn announce(&self, context: &Context<'_>) -> Result<(), RecipeError> {
        match self.data.train.n_left_out() {
            0 => {}
            left_out => context.observer.note(&Note::PairsLeftOut(left_out)),
        }
        Ok(())
    }

    fn init(&self, device: &Device, _context: &Context<'_>) -> Result<Seq2Seq, RecipeError> {
        if let Some(init) = &self.settings.init {
            let model = Seq2Seq::load(Path::new(init), device)?;
            if self.settings.choose_by == ChooseBy::Bleu {
                // What evaluations would stumble over is said before the first step.
                TranslationTask::search_of(&model, &GenerationConfig::greedy())?;
            }
            return Ok(model);
        }
        let init = if self.settings.xavier_embeddings { Seq2Seq::init_xavier } else { Seq2Seq::init };
        Ok(init(&self.settings.model, self.settings.seed, device))
    }

    fn report(
        &self,
        run: RunSummary,
        best: &Seq2Seq,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<TrainSeq2SeqReport, RecipeError> {
        let validation = match &self.data.validation {
            Some(samples) => {
                let Self { settings, data, .. } = self;
                let batches =
                    settings.train.dealt_validation(samples, &data.collator, settings.seed, context.collective)?;
                Some(scores::pairs(&self.task, best, batches, device, context)?)
            }
            None => None,
        };
        Ok(TrainSeq2SeqReport { run, validation })
    }

    fn card(&self, folder: &Path, report: &TrainSeq2SeqReport) -> ModelCard {
        let model = &self.settings.model;
        let (encoder, decoder) = (model.n_encoder_layers, model.n_decoder_layers);
        let size = format!("{encoder} + {decoder} layers, width {}, {} heads", model.d_model, model.n_heads);
        let vocabulary = match model.shared_embeddings {
            true => format!("{} tokens for both sides", model.source_vocab_size),
            false => format!("{} source tokens, {} target tokens", model.source_vocab_size, model.target_vocab_size),
        };
        ModelCard {
            name: recipe::name(folder),
            pipeline_tag: "translation",
            description: "An encoder–decoder Transformer that turns one text into another.".to_owned(),
            facts: vec![
                ("size", size),
                ("vocabulary", vocabulary),
                ("corpus", self.settings.corpus.clone()),
                ("initialised from", self.settings.init.clone().unwrap_or_else(|| "fresh weights".to_owned())),
                ("steps", report.run.steps.to_string()),
                ("tokens seen", report.run.tokens.to_string()),
                ("seed", self.settings.seed.to_string()),
            ],
            data: Vec::new(),
            metrics: report.validation.as_ref().map_or_else(Vec::new, PairScores::lines),
            usage: format!("burnformer translate {} 'A text.'", recipe::shell_word(folder)),
        }
    }
}
