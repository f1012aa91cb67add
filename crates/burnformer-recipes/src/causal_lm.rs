//! Pretraining of a causal language model on a corpus, and its evaluation.

use std::f64::consts::LN_2;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::settings;
use burnformer_data::DataError;
use burnformer_data::batches::{Batches, Dealt, WindowBatch, WindowCollator};
use burnformer_data::corpus::Corpus;
use burnformer_data::datasets::{Dataset, LanguageModelConfig, LanguageModelDataset};
use burnformer_data::split::{SplitConfig, Subset};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{
    GptConfig, GptForCausalLM, GptTokens, MicroBatchSize, ModelConfig, ModelSize, Passes, Pretrained, StepFloats, stats,
};
use burnformer_reports::{CausalLmReport, CausalLmScores, RunSummary};
use burnformer_tasks::{CausalLmTask, MetricState};
use burnformer_train::{Data, ModelCard, RunFolder, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::corpus_samples::{CorpusSamples, check_corpus};
use crate::evaluate::{batches_of, check_loss, documents_of, padding};
use crate::pretrain::check_fit;
use crate::settings::{rate_share, train_config};
use crate::{
    Context, Objective, Overrides, PretrainStart, Recipe, RecipeError, RunSettings, SEED, Size, memory, recipe, reload,
};

/// Longest window of a new run; longer ones cost memory, and most texts have little to gain.
const SEQ_LENGTH: usize = 128;

/// Settings of a pretraining run of a causal language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CausalLmSettings {
    /// Objective of the run, [`Objective::CausalLm`].
    pub objective: Objective,
    /// Seed of every random draw.
    pub seed: u64,
    /// Folder of the corpus.
    pub corpus: String,
    /// Model folder to initialise the weights from; absent for random weights.
    pub init: Option<String>,
    /// Architecture of the model.
    pub model: GptConfig,
    /// Data to train on.
    pub data: CausalLmData,
    /// Training settings.
    pub train: TrainConfig,
}

/// Split and samples of the data of a causal language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CausalLmData {
    /// Split of the documents into training, validation and test.
    pub split: SplitConfig,
    /// How windows are cut from documents.
    pub samples: LanguageModelConfig,
}

impl CausalLmSettings {
    /// The settings of a new run.
    ///
    /// # Errors
    /// If there is no such corpus, model or preset, there are no such settings, or they cannot work.
    pub fn begin(start: &PretrainStart<'_>, overrides: &Overrides<'_>) -> Result<Self, RecipeError> {
        let tokenizer = Corpus::open(start.corpus)?.tokenizer();
        let model = match start.init {
            Some(init) => {
                Objective::CausalLm.check_init(init)?;
                GptConfig::load(init)?
            }
            None => {
                let specials = tokenizer.specials();
                let tokens = GptTokens { bos_id: specials.bos_id, eos_id: specials.eos_id, pad_id: specials.pad_id };
                GptConfig::preset(start.preset, tokenizer.vocab_size(), tokens).ok_or_else(|| {
                    RecipeError::NoPreset { name: start.preset.to_owned(), known: &GptConfig::PRESETS }
                })?
            }
        };
        let samples = LanguageModelConfig { max_seq_length: SEQ_LENGTH.min(model.max_seq_length) };
        let preset = |steps: u64, d_model: usize| Self {
            objective: Objective::CausalLm,
            seed: start.seed,
            corpus: start.corpus.display().to_string(),
            init: start.init.map(|folder| folder.display().to_string()),
            model: model.clone(),
            data: CausalLmData { split: SplitConfig::default(), samples: samples.clone() },
            // 6e-4 for the size of `gpt2` (Brown et al. 2020, table 2.1); small ones take, and need, more.
            train: train_config(steps, rate_share(start.init) * 0.46 / d_model as f64),
        };
        // Warm-up, evaluations and the rest follow the steps that were asked for, unless they were asked for too.
        let asked = overrides.over(&preset(1000, model.d_model))?;
        overrides.over(&preset(asked.train.steps, asked.model.d_model))
    }
}

impl RunSettings for CausalLmSettings {
    const RECIPE: &'static str = "pretrain";

    fn seed(&self) -> u64 {
        self.seed
    }

    fn train(&self) -> &TrainConfig {
        &self.train
    }
}

impl Validate for CausalLmSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let within = |section: &'static str| move |error: ConfigError| error.within(section);
        let objective = self.objective;
        ConfigError::check("objective", &objective.name(), objective == Objective::CausalLm, "`causal-lm`")?;
        self.model.validate().map_err(within("model"))?;
        self.data.split.validate().map_err(within("data.split"))?;
        self.data.samples.validate().map_err(within("data.samples"))?;
        let (longest, length) = (self.model.max_seq_length, self.data.samples.max_seq_length);
        let range = "at most `model.max_seq_length`";
        ConfigError::check("data.samples.max_seq_length", &length, length <= longest, range)?;
        self.train.validate().map_err(within("train"))
    }
}

/// Recipe: pretraining of a causal language model.
pub struct PretrainCausalLm {
    settings: CausalLmSettings,
    corpus: Arc<Corpus>,
    task: CausalLmTask,
    data: Data<LanguageModelDataset, WindowCollator>,
}

impl PretrainCausalLm {
    /// A new run.
    ///
    /// # Errors
    /// If the corpus cannot be read or divided, has no tokens for the ends of texts, or does not fit the model that training
    /// begins with.
    pub fn new(settings: CausalLmSettings) -> Result<Self, RecipeError> {
        let recipe = Self::open(settings)?;
        if let Some(init) = recipe.settings.init.as_deref().map(Path::new) {
            check_fit(init, &recipe.settings.model, &GptConfig::load(init)?, &recipe.corpus)?;
        }
        Ok(recipe)
    }

    /// The run in `folder`, to be resumed with its settings, changed by `sets`.
    ///
    /// # Errors
    /// As [`Self::new`] and [`reload`].
    pub fn reload(folder: &Path, sets: &[String]) -> Result<Self, RecipeError> {
        let settings: CausalLmSettings = reload(folder, sets)?;
        check_corpus("corpus", &settings.corpus)?;
        Self::open(settings)
    }

    /// Opens the corpus and splits it.
    fn open(settings: CausalLmSettings) -> Result<Self, RecipeError> {
        let corpus = Arc::new(Corpus::open(Path::new(&settings.corpus))?);
        let tokenizer = corpus.tokenizer();
        let (config, seed) = (&settings.data.samples, settings.seed);
        let samples =
            |documents: &[u32]| LanguageModelDataset::new(Arc::clone(&corpus), documents, &tokenizer, config, seed);
        let CorpusSamples { train, validation, .. } =
            CorpusSamples::new(&corpus, &settings.corpus, &settings.data.split, seed, samples)?;
        let collator =
            WindowCollator { padding: settings.train.padding(pad_id(&tokenizer), settings.model.max_seq_length) };
        let data = Data { train, validation, collator, fingerprint: corpus.manifest().build.to_string() };
        let task = CausalLmTask::new(settings.model.clone(), tokenizer)?;
        Ok(Self { settings, corpus, task, data })
    }
}

impl Recipe for PretrainCausalLm {
    const LENGTH_SETTING: &'static str = "data.samples.max_seq_length";
    type Settings = CausalLmSettings;
    type Task = CausalLmTask;
    type Samples = LanguageModelDataset;
    type Collator = WindowCollator;
    type Report = CausalLmReport;

    fn settings(&self) -> &CausalLmSettings {
        &self.settings
    }

    fn task(&self) -> &CausalLmTask {
        &self.task
    }

    fn data(&self) -> &Data<LanguageModelDataset, WindowCollator> {
        &self.data
    }

    fn size(&self, device: &Device) -> Size {
        let CausalLmSettings { model, train, data, .. } = &self.settings;
        let seq_length = data.samples.max_seq_length;
        Size {
            samples: self.data.train.per_epoch(),
            tokens_per_sample: seq_length as f64,
            parameters: stats::n_parameters(&GptForCausalLM::new(model, device)) as u64,
            trained: None,
            longest: memory::longest(self.data.train.as_ref(), train, seq_length),
        }
    }

    fn cut_size(&self) -> Option<ModelSize> {
        Some(self.settings.model.size())
    }

    fn step_floats(&self, train: &TrainConfig, seq_length: usize, passes: Passes) -> StepFloats {
        let n_tokens = train.tokens_per_micro_batch(seq_length);
        let batch = MicroBatchSize { n_tokens, seq_length, n_predicted: n_tokens };
        self.settings.model.step_floats(&batch, passes)
    }

    fn init(&self, device: &Device, _context: &Context<'_>) -> Result<GptForCausalLM, RecipeError> {
        let CausalLmSettings { init, model, seed, .. } = &self.settings;
        match init {
            Some(init) => Ok(GptForCausalLM::load(Path::new(init), device)?),
            None => Ok(GptForCausalLM::init(model, *seed, device)),
        }
    }

    fn report(
        &self,
        run: RunSummary,
        best: &GptForCausalLM,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<CausalLmReport, RecipeError> {
        let validation = match &self.data.validation {
            Some(samples) => {
                let Self { settings, data, .. } = self;
                let batches =
                    settings.train.dealt_validation(samples, &data.collator, settings.seed, context.collective)?;
                Some(scores(&self.task, best, batches, &self.corpus, device, context)?)
            }
            None => None,
        };
        Ok(CausalLmReport { run, validation })
    }

    fn card(&self, folder: &Path, report: &CausalLmReport) -> ModelCard {
        let CausalLmSettings { model, train, data, .. } = &self.settings;
        let windows = train.samples_per_step(data.samples.max_seq_length as f64);
        ModelCard {
            name: recipe::name(folder),
            pipeline_tag: "text-generation",
            description: "A causal language model in the architecture of GPT-2.".to_owned(),
            facts: vec![
                ("size", format!("{} layers, width {}, {} heads", model.n_layers, model.d_model, model.n_heads)),
                ("vocabulary", format!("{} tokens", model.vocab_size)),
                ("corpus", self.settings.corpus.clone()),
                ("steps", format!("{} of {windows} windows", report.run.steps)),
                ("tokens seen", report.run.tokens.to_string()),
                ("seed", self.settings.seed.to_string()),
            ],
            data: Vec::new(),
            metrics: report.validation.as_ref().map_or_else(Vec::new, CausalLmScores::lines),
            usage: format!("burnformer generate {} 'Once upon a time'", recipe::shell_word(folder)),
        }
    }
}

/// Evaluates the causal language model in `folder` on a corpus or a part of it, `batch_size` windows at a time. Seed, split
/// and windows are those of the training run, if the folder is a run folder.
///
/// # Errors
/// If there is no such model or corpus, or they do not go together; an interruption.
pub fn evaluate_causal_lm(
    folder: &Path,
    corpus: &Path,
    part: Option<Subset>,
    batch_size: usize,
    context: &Context<'_>,
) -> Result<CausalLmScores, RecipeError> {
    let device = context.device.open()?;
    let model = context.prepared(GptForCausalLM::load(folder, &device)?)?;
    let config = model.config().clone();
    let corpus = Arc::new(Corpus::open(corpus)?);
    let tokenizer = Tokenizer::load(folder)?;
    corpus.check_tokenizer(&tokenizer).map_err(DataError::from)?;
    let (seed, split, samples) = of_run(folder, &config)?;
    let documents = documents_of(&corpus, part, &split, seed)?;
    let samples = Arc::new(LanguageModelDataset::new(Arc::clone(&corpus), &documents, &tokenizer, &samples, seed)?);
    let padding = padding(pad_id(&tokenizer), config.max_seq_length);
    let (collator, n_samples) = (WindowCollator { padding }, samples.per_epoch());
    let batches = Batches::dealt(samples, &collator, &batches_of(batch_size), seed, context.place())?;
    let task = CausalLmTask::new(config, tokenizer)?;
    let found = scores(&task, &model, (batches, n_samples), &corpus, &device, context)?;
    check_loss(folder, found.metrics.get("loss"))?;
    Ok(found)
}

/// Seed, split and windows as in the run of the model, or the defaults if the folder is not that of a run.
fn of_run(folder: &Path, config: &GptConfig) -> Result<(u64, SplitConfig, LanguageModelConfig), RecipeError> {
    let file = RunFolder::settings_file(folder);
    if file.is_file() {
        let settings: CausalLmSettings = settings::reload(&file, &[])?;
        return Ok((settings.seed, settings.data.split, settings.data.samples));
    }
    let max_seq_length = SEQ_LENGTH.min(config.max_seq_length);
    Ok((SEED, SplitConfig::default(), LanguageModelConfig { max_seq_length }))
}

/// Measures a model on batches of windows of `corpus`. It is on `device`, without gradients.
fn scores(
    task: &CausalLmTask,
    model: &GptForCausalLM,
    (batches, n_samples): (impl Iterator<Item = Result<Dealt<WindowBatch>, DataError>>, u64),
    corpus: &Corpus,
    device: &Device,
    context: &Context<'_>,
) -> Result<CausalLmScores, RecipeError> {
    let state = context.evaluation(device).run(task, model, batches, n_samples)?;
    let manifest = corpus.manifest();
    let counts = manifest.counts();
    // Each document has an end token, which is predicted too.
    let tokens_per_byte = (counts.tokens + counts.documents) as f64 / manifest.text_bytes.max(1) as f64;
    let has_bytes = manifest.text_bytes > 0 && manifest.pairs.unwrap_or(0) == 0;
    Ok(CausalLmScores {
        samples: n_samples,
        tokens: state.tokens,
        metrics: state.metrics().into_iter().collect(),
        bits_per_byte: has_bytes.then(|| state.loss() / LN_2 * tokens_per_byte),
    })
}

/// The token that fills up windows. It counts nowhere, so any token will do.
fn pad_id(tokenizer: &Tokenizer) -> u32 {
    let specials = tokenizer.specials();
    specials.pad_id.or(specials.eos_id).unwrap_or_default()
}
