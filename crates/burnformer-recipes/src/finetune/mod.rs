//! Fine-tuning of a pretrained model: one recipe for every supervised task.

mod adapted;
mod base;
mod data_report;
mod dispatch;
mod embedding_settings;
mod head;
mod lora;
mod multi_label;
mod question_answering;
mod scoring;
mod sentence_embedding;
mod settings;
mod supervised;
mod tagging;
mod technique;
mod text_classification;
mod texts;
mod token_classification;

pub use adapted::Adapted;
pub use base::Base;
pub use dispatch::{FinetuneStart, begin_finetune, reload_finetune};
pub(crate) use dispatch::{Visitor, visit};
pub use embedding_settings::{EmbeddingLossKind, SentenceEmbeddingSettings};
pub use lora::LoraSettings;
pub use multi_label::MultiLabelClassification;
pub use question_answering::{QuestionAnswering, QuestionAnsweringSettings};
pub use scoring::{Regression, Scoring, TextRanking};
pub use sentence_embedding::SentenceEmbedding;
pub use settings::{FinetuneSettings, FinetuneTask};
pub use supervised::Supervised;
pub use tagging::TokenClassificationSettings;
pub use technique::{ClassWeightRule, ClassWeights, ClassificationSettings, MultiLabelSettings};
pub use text_classification::TextClassification;
pub use texts::Examples;
pub(crate) use texts::{Texts, with_task};
pub use token_classification::TokenClassification;

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_core::adapter::is_adapter;
use burnformer_core::config::{ConfigError, Validate};
use burnformer_data::DataError;
use burnformer_data::batches::{Batches, Collator, batches_per_epoch};
use burnformer_data::datasets::{Dataset, Sample};
use burnformer_data::readers::{Input, ReadError};
use burnformer_models::{Loaded, MicroBatchSize, ModelConfig, ModelSize, Passes, StepFloats};
use burnformer_reports::{Baseline, DataReport, FinetuneReport, RunSummary};
use burnformer_train::{Data, ModelCard, ParameterRule, RunFolder, TrainConfig};

use crate::text::{TaskScores, leaks};
use crate::{Context, Note, Overrides, Recipe, RecipeError, Size, memory, recipe, reload};
use data_report::data_report;

/// Scores on the test rows, and those of the baselines.
type Tested<S> = (Option<<S as Supervised>::Scores>, Vec<Baseline<<S as Supervised>::Scores>>);

/// Recipe: fine-tuning of a pretrained model for the task `S`.
pub struct Finetune<S: Supervised> {
    settings: FinetuneSettings,
    base: Base,
    supervised: Adapted<S>,
    texts: Texts<S::Texts>,
    data: Data<S::Samples, S::Collator>,
    /// Samples of the test rows.
    test: Option<Arc<S::Samples>>,
    data_report: DataReport,
    with_baselines: bool,
}

impl<S: Supervised> Finetune<S> {
    /// A new run. The number of steps follows from the epochs and the number of rows, unless `overrides` say it; `test` are
    /// rows to measure the best model on. The task of `settings` is set.
    ///
    /// # Errors
    /// If there is no such model, the settings cannot work, or rows cannot be read or teach nothing; an interruption.
    pub fn begin(
        settings: FinetuneSettings,
        epochs: f64,
        test: Option<&Input>,
        overrides: &Overrides<'_>,
        context: &Context<'_>,
    ) -> Result<Self, RecipeError> {
        // Left out as by earlier versions, so that they can resume the run.
        let task = settings.task.or((S::TASK != FinetuneTask::default()).then_some(S::TASK));
        let settings = S::with_defaults(FinetuneSettings { task, ..settings });
        let folder = Path::new(&settings.model);
        if settings.lora.is_some() && is_adapter(folder) {
            return Err(RecipeError::AdapterOfAdapter { folder: folder.to_owned() });
        }
        let base = Base::load(folder)?;
        for input in [Some(&settings.data), settings.validation.as_ref(), test].into_iter().flatten() {
            S::check_input(input)?;
        }
        let (d_model, longest) = (base.config.d_model, base.max_seq_length);
        // The default is for models of any length.
        if settings.max_seq_length > longest && settings.max_seq_length != S::TASK.max_seq_length() {
            context.observer.note(&Note::Shortened { asked: settings.max_seq_length, longest });
        }
        let asked = FinetuneSettings { max_seq_length: settings.max_seq_length.min(longest), ..settings };
        // What is asked for here is under the preset, which would get the blame.
        ConfigError::check_finite_positive("epochs", epochs)?;
        asked.validate()?;
        // What the texts depend on must be known before they are read, and their number before the steps are.
        let for_texts = asked.trained_for(epochs, 1, d_model, overrides)?;
        let texts: Texts<S::Texts> = Texts::read(&for_texts, test, false, context)?;
        S::check_texts(&texts.parts(), Some(&for_texts))?;
        let (asked, n_texts) = (S::settle(asked, &texts.train), texts.train.n_texts());
        let recipe = Self::of(asked.trained_for(epochs, n_texts, d_model, overrides)?, base, texts)?;
        // A row may make several samples, or none.
        let n_samples = recipe.data.train.per_epoch() as usize;
        if n_samples == n_texts {
            return Ok(recipe);
        }
        Ok(Self { settings: asked.trained_for(epochs, n_samples, d_model, overrides)?, ..recipe })
    }

    /// The run in `folder`, to be resumed with its settings, changed by `sets`. `test` are paths of rows to measure the best
    /// model on, in the format of the others.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`reload`].
    pub fn reload(folder: &Path, sets: &[String], test: &[String], context: &Context<'_>) -> Result<Self, RecipeError> {
        let settings: FinetuneSettings = reload(folder, sets)?;
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
        Self::of(settings, base, texts)
    }

    /// A run with these settings.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn new(settings: FinetuneSettings, test: Option<&Input>, context: &Context<'_>) -> Result<Self, RecipeError> {
        let texts: Texts<S::Texts> = Texts::read(&settings, test, false, context)?;
        let base = Base::load(Path::new(&settings.model))?;
        Self::of(S::settle(settings, &texts.train), base, texts)
    }

    fn of(settings: FinetuneSettings, base: Base, texts: Texts<S::Texts>) -> Result<Self, RecipeError> {
        settings.expect_task(S::TASK)?;
        let base = base.with_settings(&settings);
        let supervised = S::new(&base, &settings, &texts.train)?;
        let padding = settings.train.padding(base.pad_id(), base.config.max_seq_length);
        let samples = |texts| supervised.samples(texts, &base, settings.seed).map(Arc::new);
        let train = supervised.samples(&texts.train, &base, settings.seed)?;
        let validation = samples(&texts.validation)?;
        let test = texts.test.as_ref().map(samples).transpose()?;
        let all = (&train, validation.as_ref(), test.as_deref());
        let data_report = data_report(&supervised, &base, &texts, all)?;
        let data = Data {
            train: Arc::new(supervised.for_training(train)),
            validation: Some(validation),
            collator: supervised.collator(padding),
            fingerprint: texts.fingerprint.clone(),
        };
        let supervised = Adapted::new(supervised, &settings);
        Ok(Self { settings, base, supervised, texts, data, test, data_report, with_baselines: false })
    }

    /// Evaluates simple baselines on the test rows too.
    ///
    /// # Errors
    /// If there are none for this task, or too many rows for them.
    pub fn with_baselines(self, with_baselines: bool) -> Result<Self, RecipeError> {
        if with_baselines {
            S::check_baselines(&self.texts.train)?;
        }
        Ok(Self { with_baselines, ..self })
    }

    /// Measures the best model on `samples` of `texts`.
    fn score(
        &self,
        (texts, samples): (&S::Texts, &Arc<S::Samples>),
        best: &S::Model,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<S::Scores, RecipeError> {
        let (config, seed) = (self.settings.train.validation_batches(), self.settings.seed);
        let batches = Batches::dealt(Arc::clone(samples), &self.data.collator, &config, seed, context.place())?;
        self.supervised.measure(best, (texts, samples), batches, seed, device, context)
    }

    fn announce(&self, part: &'static str, texts: &S::Texts, samples: &S::Samples, context: &Context<'_>) {
        self.supervised.announce(texts, samples, part, &self.base, context);
    }

    /// Scores on the test rows, and those of the baselines.
    fn test(&self, best: &S::Model, device: &Device, context: &Context<'_>) -> Result<Tested<S>, RecipeError> {
        let (Some(test), Some(samples)) = (&self.texts.test, &self.test) else { return Ok((None, Vec::new())) };
        self.announce("test", test, samples, context);
        let scores = self.score((test, samples), best, device, context)?;
        let baselines = match self.with_baselines {
            true => S::baselines(&self.texts.train, test, self.settings.seed)?,
            false => Vec::new(),
        };
        Ok((Some(scores), baselines))
    }
}

impl<S: Supervised> Recipe for Finetune<S> {
    type Settings = FinetuneSettings;
    const LENGTH_SETTING: &'static str = "max_seq_length";
    type Task = Adapted<S>;
    type Samples = S::Samples;
    type Collator = S::Collator;
    type Report = FinetuneReport<S::Scores>;

    fn settings(&self) -> &FinetuneSettings {
        &self.settings
    }

    fn task(&self) -> &Adapted<S> {
        &self.supervised
    }

    fn parameter_rule(&self) -> Box<dyn ParameterRule + '_> {
        Box::new(&self.supervised)
    }

    fn data(&self) -> &Data<S::Samples, S::Collator> {
        &self.data
    }

    fn former_fingerprint(&self) -> Option<&str> {
        Some(&self.texts.former_fingerprint)
    }

    fn data_report(&self) -> Option<&DataReport> {
        Some(&self.data_report)
    }

    fn size(&self, device: &Device) -> Size {
        let (parameters, trained) = self.supervised.n_weights(&self.supervised.allocate(&self.base.config, device));
        let (samples, length) = (&self.data.train, self.base.max_seq_length);
        let longest = memory::longest(samples.as_ref(), &self.settings.train, length);
        Size { samples: samples.per_epoch(), tokens_per_sample: length as f64, parameters, trained, longest }
    }

    fn cut_size(&self) -> Option<ModelSize> {
        (!self.supervised.has_adapter()).then(|| self.base.config.size())
    }

    fn step_floats(&self, train: &TrainConfig, seq_length: usize, passes: Passes) -> StepFloats {
        let (n_passes, n_rows) = (self.supervised.n_passes(), train.micro_batch_size);
        let n_tokens = train.tokens_per_micro_batch(seq_length) * n_passes;
        let step = self.base.config.step_floats(&MicroBatchSize { n_tokens, seq_length, n_predicted: 0 }, passes);
        let step = self.supervised.step_floats(step, n_rows * n_passes, n_tokens, self.base.config.d_model);
        let of_adapter = self.supervised.floats_per_token(&self.base.config) * n_tokens as u64;
        StepFloats { first_activations: step.first_activations + of_adapter, ..step }
    }

    fn announce(&self, context: &Context<'_>) -> Result<(), RecipeError> {
        self.announce("training", &self.texts.train, &self.data.train, context);
        if <S::Collator as Collator>::Sample::HAS_KEYS {
            let (config, samples) = (self.settings.train.batches(), &self.data.train);
            let batches = batches_per_epoch(samples.as_ref(), &self.data.collator, &config)?;
            let asked = self.settings.train.samples_per_step(self.base.max_seq_length as f64);
            context.observer.note(&Note::SmallBatches { samples: samples.per_epoch(), batches, asked });
        }
        if let Some(validation) = &self.data.validation {
            self.announce("validation", &self.texts.validation, validation, context);
        }
        Ok(())
    }

    fn init(&self, device: &Device, context: &Context<'_>) -> Result<S::Model, RecipeError> {
        let seed = self.settings.seed;
        if self.settings.from_scratch {
            return Ok(self.supervised.init(&self.base.config, seed, device));
        }
        let folder = Path::new(&self.settings.model);
        let Loaded { model, fresh, left_over } = self.supervised.begin(folder, seed, device)?;
        // A model without labels has no head.
        if !(fresh.is_empty() && self.supervised.labels().is_empty()) {
            context.observer.note(&Note::FreshWeights(&fresh));
        }
        if !left_over.is_empty() {
            context.observer.note(&Note::LeftOverWeights(&left_over));
        }
        Ok(model)
    }

    fn report(
        &self,
        run: RunSummary,
        best: &S::Model,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<FinetuneReport<S::Scores>, RecipeError> {
        let samples = self.data.validation.as_ref().unwrap_or(&self.data.train);
        let validation = self.score((&self.texts.validation, samples), best, device, context)?;
        let (test, baselines) = self.test(best, device, context)?;
        let training_texts = self.texts.train.n_texts() as u64;
        let quality = (S::quality_name(&validation), S::quality(&validation));
        let accuracy = S::accuracy(&validation).filter(|_| S::loss(&validation).is_none_or(f64::is_finite));
        let majority_accuracy =
            accuracy.and_then(|accuracy| self.texts.compare_with_majority(&run, quality, accuracy, context));
        let repeated = self.texts.repeated;
        Ok(FinetuneReport { run, training_texts, repeated, majority_accuracy, validation, test, baselines })
    }

    fn card(&self, folder: &Path, report: &FinetuneReport<S::Scores>) -> ModelCard {
        let FinetuneSettings { model, from_scratch, data, train, max_seq_length, seed, .. } = &self.settings;
        let config = &self.base.config;
        let named = |part: &str, scores: &S::Scores| {
            let lines = leaks(&report.repeated, part).into_iter().chain(scores.lines());
            lines.map(|(name, value)| (format!("{part} {name}"), value)).collect::<Vec<_>>()
        };
        let mut metrics = named("validation", &report.validation);
        metrics.extend(report.test.iter().flat_map(|test| named("test", test)));
        let (rows, rows_per_step) = (S::ROWS, train.samples_per_step(*max_seq_length as f64));
        let mut facts = vec![
            ("initialised from", if *from_scratch { "fresh weights".to_owned() } else { model.clone() }),
            ("size", format!("{} layers, width {}, {} heads", config.n_layers, config.d_model, config.n_heads)),
        ];
        if let Some(lora) = &self.settings.lora {
            facts.push(("adapter", lora.to_string()));
        }
        facts.extend(self.supervised.facts());
        facts.extend([
            ("training data", format!("{} {rows} from {}", report.training_texts, data.paths.join(", "))),
            ("steps", format!("{} of {rows_per_step} {rows}", report.run.steps)),
            ("seed", seed.to_string()),
        ]);
        ModelCard {
            name: recipe::name(folder),
            pipeline_tag: S::PIPELINE_TAG,
            data: self.data_report.lines(),
            description: format!("An encoder of the BERT family, fine-tuned for {}.", S::TASK.noun()),
            facts,
            metrics,
            usage: S::usage(&recipe::shell_word(folder)),
        }
    }
}
