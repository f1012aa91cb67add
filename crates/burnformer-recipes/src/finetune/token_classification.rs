//! Fine-tuning for token classification.

use std::path::Path;

use burn::tensor::Device;
use burnformer_data::DataError;
use burnformer_data::batches::{Padding, TokenClassificationCollator};
use burnformer_data::datasets::TokenClassificationDataset;
use burnformer_data::readers::{Format, Input};
use burnformer_data::tagged::TaggedTexts;
use burnformer_models::{BertConfig, BertForTokenClassification, Loaded, ModelError, Pretrained, StepFloats};
use burnformer_reports::{TokenClassificationScores, first_of};
use burnformer_tasks::{TokenClassificationMetricState, TokenClassificationTask};

use super::head::with_logits;
use super::{Base, FinetuneSettings, FinetuneTask, Supervised};
use crate::text::MOST_NAMED;
use crate::{Context, Note, RecipeError, scores};

/// Classification of words: one tag each.
pub struct TokenClassification {
    task: TokenClassificationTask,
}

impl TokenClassification {
    fn of_labels(base: &Base, labels: &[String]) -> Result<Self, RecipeError> {
        let (config, tokenizer) = (base.config.clone(), base.tokenizer.clone());
        Ok(Self { task: TokenClassificationTask::new(config, tokenizer, labels.to_vec())? })
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

    /// Tags are read from CoNLL columns and from columns of lists.
    fn check_input(input: &Input) -> Result<(), RecipeError> {
        match &input.format {
            Format::Conll { .. } => Ok(()),
            Format::Jsonl { columns } | Format::Parquet { columns, .. } if columns.label.is_some() => Ok(()),
            _ => Err(RecipeError::NoTagColumns { paths: input.paths.join(", ") }),
        }
    }

    fn new(base: &Base, _settings: &FinetuneSettings, train: &TaggedTexts) -> Result<Self, RecipeError> {
        Self::of_labels(base, &train.labels)
    }

    fn of_model(
        model: &BertForTokenClassification,
        base: &Base,
        _settings: &FinetuneSettings,
        _folder: &Path,
    ) -> Result<Self, RecipeError> {
        Self::of_labels(base, model.labels())
    }

    fn labels(&self) -> &[String] {
        self.task.labels()
    }

    fn task(&self) -> &TokenClassificationTask {
        &self.task
    }

    fn samples(&self, texts: &TaggedTexts, base: &Base, seed: u64) -> Result<TokenClassificationDataset, DataError> {
        TokenClassificationDataset::new(texts, &base.tokenizer, base.max_seq_length, seed)
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

    fn from_pretrained(
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
            context.observer.note(&Note::TrainingWords { lost, invalid_tags });
        }
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

    fn quality(scores: &TokenClassificationScores) -> f64 {
        scores.f1
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
