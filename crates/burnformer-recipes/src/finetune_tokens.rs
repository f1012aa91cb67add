//! Fine-tuning of a pretrained model for token classification.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_data::batches::{Batches, TokenClassificationCollator};
use burnformer_data::datasets::{Dataset, TokenClassificationDataset};
use burnformer_data::readers::Input;
use burnformer_data::tagged::TaggedTexts;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{
    BertConfig, BertForTokenClassification, Loaded, MicroBatchSize, ModelConfig, Passes, StepFloats, stats,
};
use burnformer_reports::{FinetuneReport, RunSummary, TokenClassificationScores, first_of};
use burnformer_tasks::TokenClassificationTask;
use burnformer_train::{Data, ModelCard, TrainConfig};

use crate::finetune::{Base, with_logits};
use crate::text::{MOST_NAMED, leaks};
use crate::texts::Texts;
use crate::{Context, FinetuneSettings, FinetuneTask, Note, Overrides, Recipe, RecipeError, Size, recipe, scores};

/// Recipe: fine-tuning of a pretrained model for token classification.
pub struct FinetuneTokens {
    settings: FinetuneSettings,
    /// Settings of the model.
    config: BertConfig,
    tokenizer: Tokenizer,
    task: TokenClassificationTask,
    texts: Texts<TaggedTexts>,
    data: Data<TokenClassificationDataset, TokenClassificationCollator>,
}

impl FinetuneTokens {
    /// A new run. The number of steps follows from the epochs and the number of sentences, unless `overrides` say it; `test`
    /// are sentences to measure the best model on.
    ///
    /// # Errors
    /// If there is no such model, the settings cannot work, or sentences cannot be read or have no tags; an interruption.
    pub fn begin(
        settings: FinetuneSettings,
        epochs: f64,
        test: Option<&Input>,
        overrides: &Overrides<'_>,
        context: &Context<'_>,
    ) -> Result<Self, RecipeError> {
        let settings = FinetuneSettings { task: Some(FinetuneTask::TokenClassification), ..settings };
        let (settings, base, texts) = settings.begin(epochs, test, overrides, context)?;
        Self::of(settings, base, texts)
    }

    /// The run in `folder`, to be resumed with its settings, changed by `sets`. `test` are paths of sentences to measure the best model on,
    /// in the format of the others.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`reload`](crate::reload).
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

    fn of(settings: FinetuneSettings, base: Base, texts: Texts<TaggedTexts>) -> Result<Self, RecipeError> {
        settings.expect_task(FinetuneTask::TokenClassification)?;
        let Base { config, tokenizer } = base;
        let seq_length = settings.seq_length(&config);
        let tokenizer = settings.tokenizer(tokenizer, seq_length);
        let task = TokenClassificationTask::new(config.clone(), tokenizer.clone(), texts.train.labels.clone())?;
        let samples =
            |texts| TokenClassificationDataset::new(texts, &tokenizer, seq_length, settings.seed).map(Arc::new);
        let pad_id = tokenizer.specials().pad_id.unwrap_or(config.pad_id);
        let data = Data {
            train: samples(&texts.train)?,
            validation: Some(samples(&texts.validation)?),
            collator: TokenClassificationCollator { padding: settings.train.padding(pad_id, config.max_seq_length) },
            fingerprint: texts.fingerprint.clone(),
        };
        Ok(Self { settings, config, tokenizer, task, texts, data })
    }

    /// Measures the best model on `samples` of `texts`.
    fn score(
        &self,
        (texts, samples): (&TaggedTexts, &Arc<TokenClassificationDataset>),
        best: &BertForTokenClassification,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<TokenClassificationScores, RecipeError> {
        let (config, seed) = (self.settings.train.validation_batches(), self.settings.seed);
        let batches = Batches::epoch(Arc::clone(samples), &self.data.collator, &config, seed)?;
        let scores = scores::tokens(&self.task, best, (batches, samples.per_epoch()), device, context)?;
        Ok(scores::with_lost_words(scores, texts, samples.lost_words()))
    }
}

impl Recipe for FinetuneTokens {
    type Settings = FinetuneSettings;
    const LENGTH_SETTING: &'static str = "max_seq_length";
    type Task = TokenClassificationTask;
    type Samples = TokenClassificationDataset;
    type Collator = TokenClassificationCollator;
    type Report = FinetuneReport<TokenClassificationScores>;

    fn settings(&self) -> &FinetuneSettings {
        &self.settings
    }

    fn task(&self) -> &TokenClassificationTask {
        &self.task
    }

    fn data(&self) -> &Data<TokenClassificationDataset, TokenClassificationCollator> {
        &self.data
    }

    fn former_fingerprint(&self) -> Option<&str> {
        Some(&self.texts.former_fingerprint)
    }

    fn size(&self, device: &Device) -> Size {
        let model = BertForTokenClassification::new(&self.config, &self.texts.train.labels, device);
        self.settings.size(&self.config, self.data.train.as_ref(), stats::n_parameters(&model) as u64)
    }

    fn step_floats(&self, train: &TrainConfig, seq_length: usize, passes: Passes) -> StepFloats {
        let n_tokens = train.tokens_per_micro_batch(seq_length);
        let step = self.config.step_floats(&MicroBatchSize { n_tokens, seq_length, n_predicted: 0 }, passes);
        with_logits(step, n_tokens, self.texts.train.labels.len(), self.config.d_model)
    }

    fn announce(&self, context: &Context<'_>) -> Result<(), RecipeError> {
        let (lost, invalid_tags) = (self.data.train.lost_words(), scores::invalid_tags(&self.texts.train));
        context.observer.note(&Note::TrainingWords { lost, invalid_tags });
        Ok(())
    }

    fn init(&self, device: &Device, context: &Context<'_>) -> Result<BertForTokenClassification, RecipeError> {
        let (labels, seed) = (&self.texts.train.labels, self.settings.seed);
        if self.settings.from_scratch {
            return Ok(BertForTokenClassification::init(&self.config, labels, seed, device));
        }
        let folder = Path::new(&self.settings.model);
        let Loaded { model, fresh, left_over } =
            BertForTokenClassification::from_pretrained(folder, labels, seed, device)?;
        context.observer.note(&Note::FreshWeights(&fresh));
        if !left_over.is_empty() {
            context.observer.note(&Note::LeftOverWeights(&left_over));
        }
        Ok(model)
    }

    fn report(
        &self,
        run: RunSummary,
        best: &BertForTokenClassification,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<FinetuneReport<TokenClassificationScores>, RecipeError> {
        let samples = self.data.validation.as_ref().unwrap_or(&self.data.train);
        let validation = self.score((&self.texts.validation, samples), best, device, context)?;
        let test = match &self.texts.test {
            Some(test) => {
                let (seq_length, seed) = (self.settings.seq_length(&self.config), self.settings.seed);
                let samples = Arc::new(TokenClassificationDataset::new(test, &self.tokenizer, seq_length, seed)?);
                Some(self.score((test, &samples), best, device, context)?)
            }
            None => None,
        };
        let training_texts = self.texts.train.examples.len() as u64;
        let quality = ("entity_f1", validation.f1);
        let majority_accuracy = self.texts.compare_with_majority(&run, quality, validation.accuracy, context);
        let repeated = self.texts.repeated;
        Ok(FinetuneReport { run, training_texts, repeated, majority_accuracy, validation, test, baselines: Vec::new() })
    }

    fn card(&self, folder: &Path, report: &FinetuneReport<TokenClassificationScores>) -> ModelCard {
        let FinetuneSettings { model, from_scratch, data, train, max_seq_length, seed, .. } = &self.settings;
        let config = &self.config;
        let named = |part: &str, scores: &TokenClassificationScores| {
            let lines = leaks(&report.repeated, part).into_iter().chain(scores.lines());
            lines.map(|(name, value)| (format!("{part} {name}"), value)).collect::<Vec<_>>()
        };
        let mut metrics = named("validation", &report.validation);
        metrics.extend(report.test.iter().flat_map(|test| named("test", test)));
        let sentences_per_step = train.samples_per_step(*max_seq_length as f64);
        ModelCard {
            name: recipe::name(folder),
            pipeline_tag: "token-classification",
            description: "An encoder of the BERT family, fine-tuned for token classification.".to_owned(),
            facts: vec![
                ("initialised from", if *from_scratch { "fresh weights".to_owned() } else { model.clone() }),
                ("size", format!("{} layers, width {}, {} heads", config.n_layers, config.d_model, config.n_heads)),
                ("tags", first_of(&self.texts.train.labels, MOST_NAMED)),
                ("training sentences", format!("{} from {}", report.training_texts, data.paths.join(", "))),
                ("steps", format!("{} of {sentences_per_step} sentences", report.run.steps)),
                ("seed", seed.to_string()),
            ],
            metrics,
            usage: format!("burnformer predict {} 'A text.'", recipe::shell_word(folder)),
        }
    }
}
