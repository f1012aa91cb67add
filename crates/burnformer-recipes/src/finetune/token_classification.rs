//! Fine-tuning for token classification.

use std::path::Path;

use burn::tensor::Device;
use burnformer_data::DataError;
use burnformer_data::batches::{Padding, TokenClassificationCollator};
use burnformer_data::datasets::{FurtherLabels, TokenClassificationDataset};
use burnformer_data::readers::{Format, Input};
use burnformer_data::tag_scheme::TagScheme;
use burnformer_data::tagged::TaggedTexts;
use burnformer_models::{BertConfig, BertForTokenClassification, Loaded, ModelError, Pretrained, StepFloats};
use burnformer_reports::{TokenClassificationScores, first_of};
use burnformer_tasks::{TokenClassificationMetricState, TokenClassificationTask};

use super::head::with_logits;
use super::{Base, FinetuneSettings, FinetuneTask, Supervised, TokenClassificationSettings};
use crate::text::MOST_NAMED;
use crate::{Context, Note, RecipeError, scores};

/// Classification of words: one tag each.
pub struct TokenClassification {
    task: TokenClassificationTask,
    /// Labels of the tokens behind the first of a word, if they are trained on.
    further: Option<FurtherLabels>,
}

impl TokenClassification {
    fn of_labels(
        base: &Base,
        labels: &[String],
        scheme: Option<TagScheme>,
        settings: &FinetuneSettings,
    ) -> Result<Self, RecipeError> {
        let (config, tokenizer) = (base.config.clone(), base.tokenizer.clone());
        let mut task = TokenClassificationTask::new(config, tokenizer, labels.to_vec())?;
        if let Some(scheme) = scheme {
            task = task.with_scheme(scheme);
        }
        let all_tokens = settings.token_classification.is_some_and(|it| it.label_all_tokens);
        Ok(Self { task, further: all_tokens.then(|| FurtherLabels::of(labels)) })
    }
}

impl Supervised for TokenClassification {
    const TASK: FinetuneTask = FinetuneTask::TokenClassification;
    const QUALITY: &'static str = "entity_f1";
    const PIPELINE_TAG: &'static str = "token-classification";
    const ROWS: &'static str = "sentences";

    type Texts = TaggedTexts;
    type Task = TokenClassificationTask;
    type Model = BertForTokenClassification;
    type Samples = TokenClassificationDataset;
    type Collator = TokenClassificationCollator;
    type Scores = TokenClassificationScores;

    /// Tags are read from CoNLL columns, and from columns of lists or spans.
    fn check_input(input: &Input) -> Result<(), RecipeError> {
        match &input.format {
            Format::Conll { .. } => Ok(()),
            Format::Jsonl { columns } | Format::Parquet { columns, .. } if columns.label.is_some() => Ok(()),
            _ => Err(RecipeError::NoTagColumns { paths: input.paths.join(", ") }),
        }
    }

    fn with_defaults(settings: FinetuneSettings) -> FinetuneSettings {
        let own = settings.token_classification.unwrap_or_default();
        FinetuneSettings { token_classification: Some(own), ..settings }
    }

    fn new(base: &Base, settings: &FinetuneSettings, train: &TaggedTexts) -> Result<Self, RecipeError> {
        Self::of_labels(base, &train.labels, Some(train.scheme), settings)
    }

    fn of_model(
        model: &BertForTokenClassification,
        base: &Base,
        settings: &FinetuneSettings,
        _folder: &Path,
    ) -> Result<Self, RecipeError> {
        let scheme = settings.token_classification.and_then(|TokenClassificationSettings { scheme, .. }| scheme);
        Self::of_labels(base, model.labels(), scheme, settings)
    }

    fn labels(&self) -> &[String] {
        self.task.labels()
    }

    fn task(&self) -> &TokenClassificationTask {
        &self.task
    }

    fn samples(&self, texts: &TaggedTexts, base: &Base, seed: u64) -> Result<TokenClassificationDataset, DataError> {
        let (tokenizer, length) = (&base.tokenizer, base.max_seq_length);
        TokenClassificationDataset::with_further_labels(texts, tokenizer, length, self.further.as_ref(), seed)
    }

    fn collator(&self, padding: Padding) -> TokenClassificationCollator {
        TokenClassificationCollator { padding }
    }

    fn allocate(&self, config: &BertConfig, device: &Device) -> BertForTokenClassification {
        BertForTokenClassification::new(config, self.labels(), device)
    }

    fn init(&self, config: &BertConfig, seed: u64, device: &Device) -> BertForTokenClassification {
        BertForTokenClassification::init(config, self.labels(), seed, device)
    }

    fn pretrained(
        &self,
        folder: &Path,
        seed: u64,
        device: &Device,
    ) -> Result<Loaded<BertForTokenClassification>, ModelError> {
        BertForTokenClassification::from_pretrained(folder, self.labels(), seed, device)
    }

    fn step_floats(&self, step: StepFloats, _n_rows: usize, n_tokens: usize, d_model: usize) -> StepFloats {
        with_logits(step, n_tokens, self.labels().len(), d_model)
    }

    fn announce(
        &self,
        texts: &TaggedTexts,
        samples: &TokenClassificationDataset,
        part: &'static str,
        _base: &Base,
        context: &Context<'_>,
    ) {
        // The scores count those of the other parts.
        if part == "training" {
            let (lost, invalid_tags) = (samples.lost_words(), scores::invalid_tags(texts));
            let new_beginnings = texts.new_beginnings;
            context.observer.note(&Note::TrainingWords { lost, invalid_tags, new_beginnings });
        }
    }

    fn n_cut(&self, samples: &TokenClassificationDataset) -> Option<u64> {
        Some(samples.n_cut())
    }

    fn counts(&self, texts: &TaggedTexts, samples: &TokenClassificationDataset) -> Vec<(&'static str, u64)> {
        let lost = samples.lost_words();
        vec![
            ("words", texts.n_words() as u64),
            ("words cut off", lost.cut_off as u64),
            ("words without tokens", lost.empty as u64),
            ("invalid tags", scores::invalid_tags(texts)),
        ]
    }

    fn scores(
        &self,
        state: &TokenClassificationMetricState,
        texts: &TaggedTexts,
        samples: &TokenClassificationDataset,
        _seed: u64,
    ) -> TokenClassificationScores {
        scores::with_lost_words(scores::of_tags(state, self.labels()), texts, samples.lost_words())
    }

    fn quality_name(scores: &TokenClassificationScores) -> &'static str {
        if scores.by_word { "accuracy" } else { Self::QUALITY }
    }

    fn quality(scores: &TokenClassificationScores) -> f64 {
        if scores.by_word { scores.accuracy } else { scores.f1 }
    }

    fn loss(scores: &TokenClassificationScores) -> Option<f64> {
        Some(scores.loss)
    }

    fn accuracy(scores: &TokenClassificationScores) -> Option<f64> {
        Some(scores.accuracy)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![("tags", first_of(self.labels(), MOST_NAMED))]
    }
}
