//! Fine-tuning of a pretrained model: its settings, and the recipe for text classification.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_core::config::{ConfigError, Validate};
use burnformer_data::DataError;
use burnformer_data::batches::{Batches, ClassificationCollator};
use burnformer_data::datasets::{ClassificationDataset, Dataset};
use burnformer_data::labelled::LabelledTexts;
use burnformer_data::readers::{Format, Input, ReadError};
use burnformer_data::source::OnBadRow;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{
    BertConfig, BertForSequenceClassification, Loaded, MicroBatchSize, ModelConfig, Passes, StepFloats, stats,
};
use burnformer_reports::{ClassificationScores, FinetuneReport, RunSummary, first_of};
use burnformer_tasks::ClassificationTask;
use burnformer_train::{Data, ModelCard, RunFolder, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::settings::train_config;
use crate::text::{MOST_NAMED, leaks};
use crate::texts::{Examples, Texts};
use crate::{Context, Note, Overrides, Recipe, RecipeError, RunSettings, SEED, Size, memory, recipe, reload, scores};

/// Task of a fine-tuning run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinetuneTask {
    /// Classes of texts.
    #[default]
    TextClassification,
    /// Tags of words: entities in texts.
    TokenClassification,
}

impl FinetuneTask {
    /// The name, as in `run.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TextClassification => "text-classification",
            Self::TokenClassification => "token-classification",
        }
    }

    /// Refuses files of another task: tags are read from CoNLL columns and from columns of lists, and classes from everything else.
    fn check_format(self, input: &Input) -> Result<(), RecipeError> {
        let paths = || input.paths.join(", ");
        match (self, &input.format) {
            (Self::TextClassification, Format::Conll { .. }) => Err(RecipeError::TagColumns { paths: paths() }),
            (Self::TextClassification, _) | (Self::TokenClassification, Format::Conll { .. }) => Ok(()),
            (Self::TokenClassification, Format::Jsonl { columns } | Format::Parquet { columns, .. })
                if columns.label.is_some() =>
            {
                Ok(())
            }
            (Self::TokenClassification, _) => Err(RecipeError::NoTagColumns { paths: paths() }),
        }
    }
}

/// Settings of a fine-tuning run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinetuneSettings {
    /// Task to train; absent for text classification.
    pub task: Option<FinetuneTask>,
    /// Seed of every random draw.
    pub seed: u64,
    /// Folder of the pretrained model.
    pub model: String,
    /// `true` uses its architecture and tokenizer only, and trains from random weights.
    pub from_scratch: bool,
    /// Maximum text length in tokens; longer texts are truncated.
    pub max_seq_length: usize,
    /// Training texts.
    pub data: Input,
    /// What to do with rows that cannot be used.
    pub on_bad_row: OnBadRow,
    /// Maximum number of training texts per class; absent for all.
    pub max_per_class: Option<usize>,
    /// `true` reads special tokens written in a text, such as `[SEP]`, as text, also when the model is used; `false` as the
    /// tokenizer's files say.
    #[serde(default)]
    pub split_special_tokens: bool,
    /// Validation texts, to select the best model; absent for a share of `data`.
    pub validation: Option<Input>,
    /// Share of `data` for validation, in `[0, 1)`.
    pub validation_share: f64,
    /// `true` keeps all rows of a text in one part when validation texts are taken from `data`; `false`, as in runs of version
    /// 0.1.0, may put some of them into both.
    #[serde(default)]
    pub split_by_text: bool,
    /// Training settings.
    pub train: TrainConfig,
}

impl FinetuneSettings {
    /// Settings for the model in `folder` and these texts, a tenth of them to choose by. [`Finetune::begin`] decides on
    /// `train`.
    #[must_use]
    pub fn new(folder: &Path, data: Input) -> Self {
        Self {
            task: None,
            seed: SEED,
            model: folder.display().to_string(),
            from_scratch: false,
            max_seq_length: 128,
            data,
            on_bad_row: OnBadRow::default(),
            max_per_class: None,
            split_special_tokens: false,
            validation: None,
            validation_share: 0.1,
            split_by_text: true,
            train: TrainConfig::default(),
        }
    }

    /// Settings of a new run, the model's, and the texts that `epochs` count. The number of steps follows from both, unless
    /// `overrides` say it.
    pub(crate) fn begin<T: Examples>(
        self,
        epochs: f64,
        test: Option<&Input>,
        overrides: &Overrides<'_>,
        context: &Context<'_>,
    ) -> Result<(Self, Base, Texts<T>), RecipeError> {
        let base_model = Base::load(Path::new(&self.model))?;
        let config = &base_model.config;
        for input in [Some(&self.data), self.validation.as_ref(), test].into_iter().flatten() {
            self.task.unwrap_or_default().check_format(input)?;
        }
        let max_seq_length = self.seq_length(config);
        let base = Self { max_seq_length, ..self };
        // What is asked for here is under the preset, which would get the blame.
        ConfigError::check_finite_positive("epochs", epochs)?;
        base.validate()?;
        // What the texts depend on must be known before they are read, and their number before the steps are.
        let asked = base.trained_for(epochs, 1, config.d_model, overrides)?;
        let texts: Texts<T> = Texts::read(&asked, test, false, context)?;
        let settings = base.trained_for(epochs, texts.train.n_texts(), config.d_model, overrides)?;
        Ok((settings, base_model, texts))
    }

    /// Settings, base model and texts of the run in `folder`, to be resumed.
    pub(crate) fn resumed<T: Examples>(
        folder: &Path,
        sets: &[String],
        test: &[String],
        context: &Context<'_>,
    ) -> Result<(Self, Base, Texts<T>), RecipeError> {
        let settings: Self = reload(folder, sets)?;
        let inputs = [("data.paths", Some(&settings.data)), ("validation.paths", settings.validation.as_ref())];
        for (key, input) in inputs.into_iter().filter_map(|(key, input)| Some((key, input?))) {
            if let Err(DataError::Read(ReadError::NoFile { pattern: place })) = input.open() {
                return Err(RecipeError::DataGone { key, place });
            }
        }
        // A checkpoint has all that was taken of the model that training began with, which may be gone.
        let model = RunFolder::latest_checkpoint(folder);
        let base = Base::load(model.as_deref().unwrap_or(Path::new(&settings.model)))?;
        let test = settings.input_like(test);
        let texts = Texts::read(&settings, test.as_ref(), true, context)?;
        Ok((settings, base, texts))
    }

    /// The files at `paths` in the format of the training texts; nothing without paths.
    fn input_like(&self, paths: &[String]) -> Option<Input> {
        (!paths.is_empty()).then(|| Input { paths: paths.to_vec(), ..self.data.clone() })
    }

    /// Longest text of this model, in tokens.
    pub(crate) fn seq_length(&self, config: &BertConfig) -> usize {
        self.max_seq_length.min(config.max_seq_length)
    }

    /// `tokenizer` as these settings want it, for texts of at most `seq_length` tokens.
    pub(crate) fn tokenizer(&self, tokenizer: Tokenizer, seq_length: usize) -> Tokenizer {
        let splits = self.split_special_tokens || tokenizer.splits_special_tokens();
        tokenizer.with_max_length(seq_length).with_split_special_tokens(splits)
    }

    /// Refuses settings of another task.
    pub(crate) fn expect_task(&self, expected: FinetuneTask) -> Result<(), ConfigError> {
        let found = self.task.unwrap_or_default();
        ConfigError::check("task", &found.name(), found == expected, expected.name())
    }

    /// Size of a model with so many parameters, on these samples.
    pub(crate) fn size(&self, config: &BertConfig, samples: &impl Dataset, parameters: u64) -> Size {
        let seq_length = self.seq_length(config);
        let longest = memory::longest(samples, &self.train, seq_length);
        Size { samples: samples.per_epoch(), tokens_per_sample: seq_length as f64, parameters, longest }
    }

    /// `self` for `epochs` of `n_samples`, with `overrides` over it.
    fn trained_for(
        &self,
        epochs: f64,
        n_samples: usize,
        d_model: usize,
        overrides: &Overrides<'_>,
    ) -> Result<Self, RecipeError> {
        let preset = |steps: u64| Self {
            // 5e-5 for the base model.
            train: TrainConfig { validation_samples: None, ..train_config(steps, 0.0384 / d_model as f64) },
            ..self.clone()
        };
        let asked = overrides.over(&preset(1000))?;
        let steps = (epochs * n_samples as f64 / asked.train.samples_per_step(self.max_seq_length as f64))
            .ceil()
            .max(1.0) as u64;
        let asked = overrides.over(&preset(steps))?;
        overrides.over(&preset(asked.train.steps))
    }
}

impl RunSettings for FinetuneSettings {
    const RECIPE: &'static str = "finetune";

    fn seed(&self) -> u64 {
        self.seed
    }

    fn train(&self) -> &TrainConfig {
        &self.train
    }
}

impl Validate for FinetuneSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let within = |section: &'static str| move |error: ConfigError| error.within(section);
        self.data.validate().map_err(within("data"))?;
        if let Some(validation) = &self.validation {
            validation.validate().map_err(within("validation"))?;
        }
        ConfigError::check_probability("validation_share", self.validation_share)?;
        ConfigError::check_positive("max_seq_length", self.max_seq_length)?;
        if let Some(n) = self.max_per_class {
            let has_classes = self.task.unwrap_or_default() == FinetuneTask::TextClassification;
            ConfigError::check("max_per_class", &n, has_classes, "no such setting: sentences have no class")?;
            ConfigError::check_positive("max_per_class", n)?;
        }
        self.train.validate().map_err(within("train"))?;
        let tokens = self.train.micro_batch_tokens;
        let range = "no such setting: `micro_batch_size` counts the texts of a pass here";
        ConfigError::check("train.micro_batch_tokens", &tokens.unwrap_or(0), tokens.is_none(), range)
    }
}

/// What a recipe takes of the model that training begins with, beside its weights.
pub(crate) struct Base {
    pub(crate) config: BertConfig,
    pub(crate) tokenizer: Tokenizer,
}

impl Base {
    /// Reads the model folder `folder`.
    pub(crate) fn load(folder: &Path) -> Result<Self, RecipeError> {
        Ok(Self { config: BertConfig::load(folder)?, tokenizer: Tokenizer::load(folder)? })
    }
}

/// `step` with a classifier of `d_model` features: its logits, which become their gradient, and the gradient of its weights,
/// the first of the backward pass.
pub(crate) fn with_logits(step: StepFloats, n_rows: usize, n_labels: usize, d_model: usize) -> StepFloats {
    StepFloats {
        first_activations: step.first_activations + (n_rows * n_labels) as u64,
        first_gradients: step.first_gradients + (n_labels * d_model) as u64,
        ..step
    }
}

/// Recipe: fine-tuning of a pretrained model for text classification.
pub struct Finetune {
    settings: FinetuneSettings,
    /// Settings of the model.
    config: BertConfig,
    tokenizer: Tokenizer,
    task: ClassificationTask,
    texts: Texts<LabelledTexts>,
    data: Data<ClassificationDataset, ClassificationCollator>,
    #[cfg(feature = "baseline")]
    with_baselines: bool,
}

impl Finetune {
    /// A new run. The number of steps follows from the epochs and the number of texts, unless `overrides` say it; `test` are
    /// texts to measure the best model on.
    ///
    /// # Errors
    /// If there is no such model, the settings cannot work, or texts cannot be read or teach nothing; an interruption.
    pub fn begin(
        settings: FinetuneSettings,
        epochs: f64,
        test: Option<&Input>,
        overrides: &Overrides<'_>,
        context: &Context<'_>,
    ) -> Result<Self, RecipeError> {
        let (settings, base, texts) = settings.begin(epochs, test, overrides, context)?;
        Self::of(settings, base, texts)
    }

    /// The run in `folder`, to be resumed with its settings, changed by `sets`. `test` are paths of texts to measure the best model on, in the format of the others.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`reload`].
    pub fn reload(folder: &Path, sets: &[String], test: &[String], context: &Context<'_>) -> Result<Self, RecipeError> {
        let (settings, base, texts) = FinetuneSettings::resumed(folder, sets, test, context)?;
        Self::of(settings, base, texts)
    }

    /// A run with these settings.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn new(settings: FinetuneSettings, test: Option<&Input>, context: &Context<'_>) -> Result<Self, RecipeError> {
        let texts = Texts::read(&settings, test, false, context)?;
        let base = Base::load(Path::new(&settings.model))?;
        Self::of(settings, base, texts)
    }

    fn of(settings: FinetuneSettings, base: Base, texts: Texts<LabelledTexts>) -> Result<Self, RecipeError> {
        settings.expect_task(FinetuneTask::TextClassification)?;
        let Base { config, tokenizer } = base;
        let seq_length = settings.seq_length(&config);
        let tokenizer = settings.tokenizer(tokenizer, seq_length);
        let task = ClassificationTask::new(config.clone(), tokenizer.clone(), texts.train.labels.clone())?;
        let samples = |texts| ClassificationDataset::new(texts, &tokenizer, seq_length, settings.seed).map(Arc::new);
        let pad_id = tokenizer.specials().pad_id.unwrap_or(config.pad_id);
        let data = Data {
            train: samples(&texts.train)?,
            validation: Some(samples(&texts.validation)?),
            collator: ClassificationCollator { padding: settings.train.padding(pad_id, config.max_seq_length) },
            fingerprint: texts.fingerprint.clone(),
        };
        Ok(Self {
            settings,
            config,
            tokenizer,
            task,
            texts,
            data,
            #[cfg(feature = "baseline")]
            with_baselines: false,
        })
    }

    /// Evaluates simple baselines on the test texts too.
    ///
    /// # Errors
    /// If there are too many texts and classes for them.
    #[cfg(feature = "baseline")]
    pub fn with_baselines(self, with_baselines: bool) -> Result<Self, RecipeError> {
        if with_baselines {
            crate::baseline::check_size(self.texts.train.examples.len(), self.texts.train.labels.len())?;
        }
        Ok(Self { with_baselines, ..self })
    }

    /// Notes how many texts are longer than the model can take.
    fn note_cut(&self, part: &'static str, samples: &ClassificationDataset, context: &Context<'_>) {
        let (cut, texts, max_length) = (samples.n_cut(), samples.per_epoch(), self.settings.seq_length(&self.config));
        context.observer.note(&Note::TextsCut { cut, texts, max_length, part });
    }

    /// Measures the best model on samples.
    fn score(
        &self,
        samples: &Arc<ClassificationDataset>,
        best: &BertForSequenceClassification,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<ClassificationScores, RecipeError> {
        let (config, seed) = (self.settings.train.validation_batches(), self.settings.seed);
        let batches = Batches::epoch(Arc::clone(samples), &self.data.collator, &config, seed)?;
        scores::classification(&self.task, best, (batches, samples.per_epoch()), seed, device, context)
    }

    #[cfg(feature = "baseline")]
    fn baselines(&self) -> Result<Vec<burnformer_reports::Baseline>, RecipeError> {
        match &self.texts.test {
            Some(test) if self.with_baselines => {
                Ok(crate::baseline::measured(&self.texts.train, test, self.settings.seed)?)
            }
            _ => Ok(Vec::new()),
        }
    }

    #[cfg(not(feature = "baseline"))]
    fn baselines(&self) -> Result<Vec<burnformer_reports::Baseline>, RecipeError> {
        Ok(Vec::new())
    }
}

impl Recipe for Finetune {
    type Settings = FinetuneSettings;
    const LENGTH_SETTING: &'static str = "max_seq_length";
    type Task = ClassificationTask;
    type Samples = ClassificationDataset;
    type Collator = ClassificationCollator;
    type Report = FinetuneReport;

    fn settings(&self) -> &FinetuneSettings {
        &self.settings
    }

    fn task(&self) -> &ClassificationTask {
        &self.task
    }

    fn data(&self) -> &Data<ClassificationDataset, ClassificationCollator> {
        &self.data
    }

    fn former_fingerprint(&self) -> Option<&str> {
        Some(&self.texts.former_fingerprint)
    }

    fn size(&self, device: &Device) -> Size {
        let model = BertForSequenceClassification::new(&self.config, &self.texts.train.labels, device);
        self.settings.size(&self.config, self.data.train.as_ref(), stats::n_parameters(&model) as u64)
    }

    fn step_floats(&self, train: &TrainConfig, seq_length: usize, passes: Passes) -> StepFloats {
        let n_tokens = train.tokens_per_micro_batch(seq_length);
        let step = self.config.step_floats(&MicroBatchSize { n_tokens, seq_length, n_predicted: 0 }, passes);
        with_logits(step, train.micro_batch_size, self.texts.train.labels.len(), self.config.d_model)
    }

    fn announce(&self, context: &Context<'_>) -> Result<(), RecipeError> {
        self.note_cut("training", &self.data.train, context);
        if let Some(validation) = &self.data.validation {
            self.note_cut("validation", validation, context);
        }
        Ok(())
    }

    fn init(&self, device: &Device, context: &Context<'_>) -> Result<BertForSequenceClassification, RecipeError> {
        let (labels, seed) = (&self.texts.train.labels, self.settings.seed);
        if self.settings.from_scratch {
            return Ok(BertForSequenceClassification::init(&self.config, labels, seed, device));
        }
        let folder = Path::new(&self.settings.model);
        let Loaded { model, fresh, left_over } =
            BertForSequenceClassification::from_pretrained(folder, labels, seed, device)?;
        context.observer.note(&Note::FreshWeights(&fresh));
        if !left_over.is_empty() {
            context.observer.note(&Note::LeftOverWeights(&left_over));
        }
        Ok(model)
    }

    fn report(
        &self,
        run: RunSummary,
        best: &BertForSequenceClassification,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<FinetuneReport, RecipeError> {
        let score = |samples: &Arc<ClassificationDataset>| self.score(samples, best, device, context);
        let validation = score(self.data.validation.as_ref().unwrap_or(&self.data.train))?;
        let baselines = self.baselines()?;
        let test = match &self.texts.test {
            Some(test) => {
                let (seq_length, seed) = (self.settings.seq_length(&self.config), self.settings.seed);
                let samples = Arc::new(ClassificationDataset::new(test, &self.tokenizer, seq_length, seed)?);
                self.note_cut("test", &samples, context);
                Some(score(&samples)?)
            }
            None => None,
        };
        let training_texts = self.texts.train.examples.len() as u64;
        let quality = ("macro_f1", validation.macro_f1);
        let majority_accuracy = self.texts.compare_with_majority(&run, quality, validation.accuracy, context);
        let repeated = self.texts.repeated;
        Ok(FinetuneReport { run, training_texts, repeated, majority_accuracy, validation, test, baselines })
    }

    fn card(&self, folder: &Path, report: &FinetuneReport) -> ModelCard {
        let FinetuneSettings { model, from_scratch, data, train, max_seq_length, seed, .. } = &self.settings;
        let config = &self.config;
        let named = |part: &str, scores: &ClassificationScores| {
            let lines = leaks(&report.repeated, part).into_iter().chain(scores.lines());
            lines.map(|(name, value)| (format!("{part} {name}"), value)).collect::<Vec<_>>()
        };
        let mut metrics = named("validation", &report.validation);
        metrics.extend(report.test.iter().flat_map(|test| named("test", test)));
        let texts_per_step = train.samples_per_step(*max_seq_length as f64);
        ModelCard {
            name: recipe::name(folder),
            pipeline_tag: "text-classification",
            description: "An encoder of the BERT family, fine-tuned for text classification.".to_owned(),
            facts: vec![
                ("initialised from", if *from_scratch { "fresh weights".to_owned() } else { model.clone() }),
                ("size", format!("{} layers, width {}, {} heads", config.n_layers, config.d_model, config.n_heads)),
                ("classes", first_of(&self.texts.train.labels, MOST_NAMED)),
                ("training texts", format!("{} from {}", report.training_texts, data.paths.join(", "))),
                ("steps", format!("{} of {texts_per_step} texts", report.run.steps)),
                ("seed", seed.to_string()),
            ],
            metrics,
            usage: format!("burnformer predict {} 'A text.'", recipe::shell_word(folder)),
        }
    }
}
