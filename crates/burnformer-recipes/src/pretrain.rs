//! Pretraining on masked tokens: BERT and its variants from a corpus.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_core::Collective;
use burnformer_core::config::{ConfigError, Validate};
use burnformer_data::batches::PretrainingCollator;
use burnformer_data::corpus::Corpus;
use burnformer_data::datasets::{Dataset, PretrainingConfig, PretrainingDataset};
use burnformer_data::split::SplitConfig;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{
    BertConfig, BertForPreTraining, Loaded, MicroBatchSize, ModelConfig, ModelSize, Passes, StepFloats, stats,
};
use burnformer_reports::{PretrainReport, PretrainingScores, RunSummary};
use burnformer_tasks::PretrainingTask;
use burnformer_train::{Data, ModelCard, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::corpus_samples::{CorpusSamples, check_corpus};
use crate::settings::{rate_share, train_config};
use crate::{
    Context, Note, Objective, Overrides, Recipe, RecipeError, RunSettings, SEED, Size, memory, recipe, reload, scores,
};

/// Settings of a pretraining run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PretrainSettings {
    /// Seed of every random draw.
    pub seed: u64,
    /// Folder of the corpus.
    pub corpus: String,
    /// Model folder to initialise the weights from; absent for random weights.
    pub init: Option<String>,
    /// `true` initialises the output bias of a new masked token head with the log frequencies of the tokens, instead of zero.
    pub frequency_bias: bool,
    /// `true` initialises the learned positions of a new model as sinusoids, instead of at random.
    pub sinusoidal_positions: bool,
    /// Architecture of the model.
    pub model: BertConfig,
    /// Data to train on.
    pub data: PretrainData,
    /// Training settings.
    pub train: TrainConfig,
}

/// Split and samples of the pretraining data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PretrainData {
    /// Split of the documents into training, validation and test.
    pub split: SplitConfig,
    /// How samples are built from documents.
    pub samples: PretrainingConfig,
}

/// Choices for a new pretraining run, from which its settings follow.
#[derive(Clone, Copy, Debug)]
pub struct PretrainStart<'a> {
    /// Folder of the corpus.
    pub corpus: &'a Path,
    /// Model folder to initialise weights and sizes from; absent for random weights.
    pub init: Option<&'a Path>,
    /// Preset of the size of a new model, one of [`BertConfig::PRESETS`] or, for a causal language model, of
    /// [`GptConfig::PRESETS`](burnformer_models::GptConfig::PRESETS).
    pub preset: &'a str,
    /// Seed of every random draw.
    pub seed: u64,
}

impl<'a> PretrainStart<'a> {
    /// A fresh `bert-tiny` on the corpus in this folder.
    pub fn new(corpus: &'a (impl AsRef<Path> + ?Sized)) -> Self {
        Self { corpus: corpus.as_ref(), init: None, preset: "bert-tiny", seed: SEED }
    }
}

impl PretrainSettings {
    /// The settings of a new run.
    ///
    /// # Errors
    /// If there is no such corpus, model or preset, there are no such settings, or they cannot work.
    pub fn begin(start: &PretrainStart<'_>, overrides: &Overrides<'_>) -> Result<Self, RecipeError> {
        let tokenizer = Corpus::open(start.corpus)?.tokenizer();
        let model = match start.init {
            Some(init) => {
                Objective::MaskedLm.check_init(init)?;
                BertConfig::load(init)?
            }
            None => {
                let pad_id = tokenizer.specials().pad_id.unwrap_or_default();
                BertConfig::preset(start.preset, tokenizer.vocab_size(), pad_id).ok_or_else(|| {
                    RecipeError::NoPreset { name: start.preset.to_owned(), known: &BertConfig::PRESETS }
                })?
            }
        };
        let samples = PretrainingConfig::default();
        let max_seq_length = samples.max_seq_length.min(model.max_seq_length);
        let next_sentence = model.variant.has_next_sentence();
        let samples = PretrainingConfig { max_seq_length, next_sentence, ..samples };
        let preset = |steps: u64, d_model: usize| Self {
            seed: start.seed,
            corpus: start.corpus.display().to_string(),
            init: start.init.map(|folder| folder.display().to_string()),
            frequency_bias: true,
            sinusoidal_positions: true,
            model: model.clone(),
            data: PretrainData { split: SplitConfig::default(), samples: samples.clone() },
            // 3.3e-4 for the base model; small ones take, and need, more.
            train: train_config(steps, rate_share(start.init) * 0.256 / d_model as f64),
        };
        // Warm-up, evaluations and the rest follow the steps that were asked for, unless they were asked for too.
        let asked = overrides.over(&preset(1000, model.d_model))?;
        overrides.over(&preset(asked.train.steps, asked.model.d_model))
    }
}

impl RunSettings for PretrainSettings {
    const RECIPE: &'static str = "pretrain";

    fn seed(&self) -> u64 {
        self.seed
    }

    fn train(&self) -> &TrainConfig {
        &self.train
    }
}

impl Validate for PretrainSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let within = |section: &'static str| move |error: ConfigError| error.within(section);
        self.model.validate().map_err(within("model"))?;
        let (variant, next_sentence) = (self.model.variant, self.data.samples.next_sentence);
        let range = "`false`, as only a model with `model.variant` `bert` has a head for it";
        let has_head = !next_sentence || variant.has_next_sentence();
        ConfigError::check("data.samples.next_sentence", &next_sentence, has_head, range)?;
        self.data.split.validate().map_err(within("data.split"))?;
        self.data.samples.validate().map_err(within("data.samples"))?;
        let (longest, length) = (self.model.max_seq_length, self.data.samples.max_seq_length);
        let range = "at most `model.max_seq_length`";
        ConfigError::check("data.samples.max_seq_length", &length, length <= longest, range)?;
        self.train.validate().map_err(within("train"))
    }
}

/// Recipe: pretraining of a BERT or one of its variants on masked tokens.
pub struct Pretrain {
    settings: PretrainSettings,
    corpus: Arc<Corpus>,
    /// Documents to train on.
    documents: Vec<u32>,
    task: PretrainingTask,
    data: Data<PretrainingDataset, PretrainingCollator>,
    unigram_entropy: OnceCell<Option<f64>>,
}

impl Pretrain {
    /// A new run.
    ///
    /// # Errors
    /// If the corpus cannot be read or divided, or does not fit the model that training begins with.
    pub fn new(settings: PretrainSettings) -> Result<Self, RecipeError> {
        let corpus = Corpus::open(Path::new(&settings.corpus))?;
        if let Some(init) = settings.init.as_deref().map(Path::new) {
            check_fit(init, &settings.model, &BertConfig::load(init)?, &corpus)?;
        }
        Self::of(settings, corpus)
    }

    /// The run in `folder`, to be resumed with its settings, changed by `sets`.
    ///
    /// # Errors
    /// As [`Self::new`] and [`reload`].
    pub fn reload(folder: &Path, sets: &[String]) -> Result<Self, RecipeError> {
        let settings: PretrainSettings = reload(folder, sets)?;
        check_corpus("corpus", &settings.corpus)?;
        let corpus = Corpus::open(Path::new(&settings.corpus))?;
        Self::of(settings, corpus)
    }

    /// Splits the corpus.
    fn of(settings: PretrainSettings, corpus: Corpus) -> Result<Self, RecipeError> {
        let corpus = Arc::new(corpus);
        let tokenizer = corpus.tokenizer();
        let (config, seed) = (&settings.data.samples, settings.seed);
        let samples =
            |documents: &[u32]| PretrainingDataset::new(Arc::clone(&corpus), documents, &tokenizer, config, seed);
        let CorpusSamples { documents, train, validation } =
            CorpusSamples::new(&corpus, &settings.corpus, &settings.data.split, seed, samples)?;
        let pad_id = tokenizer.specials().pad_id.unwrap_or(settings.model.pad_id);
        let fingerprint = corpus.manifest().build.to_string();
        let collator = PretrainingCollator { padding: settings.train.padding(pad_id, settings.model.max_seq_length) };
        let data = Data { train, validation, collator, fingerprint };
        let task = PretrainingTask::new(settings.model.clone(), tokenizer)?;
        Ok(Self { settings, corpus, documents, task, data, unigram_entropy: OnceCell::new() })
    }

    /// Unigram entropy of the masked tokens of the validation samples, if there are any.
    fn unigram_entropy(&self, collective: &dyn Collective) -> Result<Option<f64>, RecipeError> {
        if let Some(known) = self.unigram_entropy.get() {
            return Ok(*known);
        }
        let entropy = match &self.data.validation {
            Some(samples) => {
                let Self { settings, data, .. } = self;
                let (batches, _) =
                    settings.train.dealt_validation(samples, &data.collator, settings.seed, collective)?;
                Some(scores::unigram_entropy(batches, collective)?)
            }
            None => None,
        };
        Ok(*self.unigram_entropy.get_or_init(|| entropy))
    }
}

impl Recipe for Pretrain {
    const LENGTH_SETTING: &'static str = "data.samples.max_seq_length";
    type Settings = PretrainSettings;
    type Task = PretrainingTask;
    type Samples = PretrainingDataset;
    type Collator = PretrainingCollator;
    type Report = PretrainReport;

    fn settings(&self) -> &PretrainSettings {
        &self.settings
    }

    fn task(&self) -> &PretrainingTask {
        &self.task
    }

    fn data(&self) -> &Data<PretrainingDataset, PretrainingCollator> {
        &self.data
    }

    fn size(&self, device: &Device) -> Size {
        let PretrainSettings { model, train, data, .. } = &self.settings;
        let seq_length = data.samples.max_seq_length;
        Size {
            samples: self.data.train.per_epoch(),
            tokens_per_sample: seq_length as f64,
            parameters: stats::n_parameters(&BertForPreTraining::new(model, device)) as u64,
            trained: None,
            // Samples are filled up to this length, as documents have it.
            longest: memory::padded(seq_length, train),
        }
    }

    fn cut_size(&self) -> Option<ModelSize> {
        Some(self.settings.model.size())
    }

    fn step_floats(&self, train: &TrainConfig, seq_length: usize, passes: Passes) -> StepFloats {
        let n_tokens = train.tokens_per_micro_batch(seq_length);
        let hidden = self.settings.data.samples.masking.mlm_probability * n_tokens as f64;
        let batch = MicroBatchSize { n_tokens, seq_length, n_predicted: hidden as usize };
        self.settings.model.step_floats(&batch, passes)
    }

    fn announce(&self, context: &Context<'_>) -> Result<(), RecipeError> {
        if let Some(entropy) = self.unigram_entropy(context.collective)? {
            context.observer.note(&Note::UnigramEntropy(entropy));
        }
        Ok(())
    }

    fn init(&self, device: &Device, context: &Context<'_>) -> Result<BertForPreTraining, RecipeError> {
        let settings = &self.settings;
        let (mut model, has_new_head) = match &settings.init {
            Some(init) => {
                let Loaded { model, fresh, left_over } =
                    BertForPreTraining::from_pretrained(Path::new(init), settings.seed, device)?;
                if !fresh.is_empty() {
                    context.observer.note(&Note::FreshWeights(&fresh));
                }
                if !left_over.is_empty() {
                    context.observer.note(&Note::LeftOverWeights(&left_over));
                }
                (model, fresh.iter().any(|path| path.starts_with("mlm.")))
            }
            None => (BertForPreTraining::init(&settings.model, settings.seed, device), true),
        };
        if settings.sinusoidal_positions && settings.init.is_none() {
            model = model.with_sinusoidal_positions();
        }
        if settings.frequency_bias && has_new_head {
            let mut counts = self.corpus.token_counts(&self.documents)?;
            counts.resize(settings.model.vocab_size, 0);
            model = model.with_token_counts(&counts);
        }
        Ok(model)
    }

    fn report(
        &self,
        run: RunSummary,
        best: &BertForPreTraining,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<PretrainReport, RecipeError> {
        let validation = match (&self.data.validation, self.unigram_entropy(context.collective)?) {
            (Some(samples), Some(entropy)) => {
                let Self { settings, data, .. } = self;
                let batches =
                    settings.train.dealt_validation(samples, &data.collator, settings.seed, context.collective)?;
                Some(scores::pretraining(&self.task, best, batches, entropy, device, context)?)
            }
            _ => None,
        };
        Ok(PretrainReport { run, validation })
    }

    fn card(&self, folder: &Path, report: &PretrainReport) -> ModelCard {
        let PretrainSettings { model, train, data, .. } = &self.settings;
        let tokenizer = self.corpus.tokenizer();
        let mask = tokenizer.specials().mask_id.and_then(|id| tokenizer.token(id)).unwrap_or_default();
        let sequences = train.samples_per_step(data.samples.max_seq_length as f64);
        ModelCard {
            name: recipe::name(folder),
            pipeline_tag: "fill-mask",
            description: format!(
                "An encoder of the BERT family (`{}`), pretrained with masked language modelling{}.",
                model.variant.model_type(),
                if data.samples.next_sentence { " and next-sentence prediction" } else { "" }
            ),
            facts: vec![
                ("size", format!("{} layers, width {}, {} heads", model.n_layers, model.d_model, model.n_heads)),
                ("vocabulary", format!("{} tokens", model.vocab_size)),
                ("corpus", self.settings.corpus.clone()),
                ("steps", format!("{} of {sequences} sequences", report.run.steps)),
                ("tokens seen", report.run.tokens.to_string()),
                ("seed", self.settings.seed.to_string()),
            ],
            data: Vec::new(),
            metrics: report.validation.as_ref().map_or_else(Vec::new, PretrainingScores::lines),
            usage: format!("burnformer fill-mask {} 'A sentence with a {mask} in it.'", recipe::shell_word(folder)),
        }
    }
}

/// Makes sure that the model to begin with knows the tokens of the corpus, and stays what it is.
pub(crate) fn check_fit<C: PartialEq>(init: &Path, model: &C, found: &C, corpus: &Corpus) -> Result<(), RecipeError> {
    if model != found {
        return Err(RecipeError::OtherModel { init: init.to_owned() });
    }
    let tokenizer = Tokenizer::load(init)?;
    let fits = corpus.check_tokenizer(&tokenizer);
    fits.map_err(|source| RecipeError::OtherTokens { init: init.to_owned(), source })
}
