//! Fine-tuning for text classification.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_data::DataError;
use burnformer_data::batches::{Batches, ClassificationBatch, ClassificationCollator, Dealt, Padding};
use burnformer_data::datasets::{ClassificationDataset, Dataset};
use burnformer_data::labelled::LabelledTexts;
use burnformer_data::readers::Input;
use burnformer_models::{
    BertConfig, BertForSequenceClassification, Loaded, ModelError, Outputs, Pretrained, StepFloats,
};
use burnformer_reports::{Baseline, ClassificationScores, first_of};
use burnformer_tasks::{ClassificationMetricState, ClassificationTask};

use super::head::{check_has_no_tags, with_logits};
use super::{Base, FinetuneSettings, FinetuneTask, Supervised};
use crate::evaluate::{batches_of, padding};
use crate::text::MOST_NAMED;
use crate::{Context, RecipeError, class_scores};

/// Texts out of scope that are measured together.
const TOGETHER: usize = 32;

/// Classification of texts, or of pairs of texts: one class each.
pub struct TextClassification {
    task: ClassificationTask,
    base: Base,
    balanced_sampling: bool,
    n_passes: usize,
}

impl Supervised for TextClassification {
    const TASK: FinetuneTask = FinetuneTask::TextClassification;
    const QUALITY: &'static str = "macro_f1";
    const PIPELINE_TAG: &'static str = "text-classification";
    const ROWS: &'static str = "texts";

    type Texts = LabelledTexts;
    type Task = ClassificationTask;
    type Model = BertForSequenceClassification;
    type Samples = ClassificationDataset;
    type Collator = ClassificationCollator;
    type Scores = ClassificationScores;

    fn check_input(input: &Input) -> Result<(), RecipeError> {
        check_has_no_tags(input)
    }

    /// The class out of scope of a new run has texts.
    fn check_texts(parts: &[&LabelledTexts], new_run: Option<&FinetuneSettings>) -> Result<(), RecipeError> {
        let out_of_scope = new_run.and_then(|settings| settings.classification.out_of_scope.as_ref());
        match out_of_scope.filter(|_| parts.iter().all(|texts| texts.out_of_scope.is_empty())) {
            Some(name) => Err(RecipeError::NoSuchClass {
                key: "classification.out_of_scope",
                name: name.clone(),
                known: parts.first().map_or_else(Vec::new, |texts| texts.labels.clone()),
            }),
            None => Ok(()),
        }
    }

    fn new(base: &Base, settings: &FinetuneSettings, train: &LabelledTexts) -> Result<Self, RecipeError> {
        let (config, tokenizer) = (base.config.clone(), base.tokenizer.clone());
        let (technique, labels) = (&settings.classification, train.labels.clone());
        let task = ClassificationTask::new(config, tokenizer, labels)?.with_loss(technique.loss(train)?)?;
        let n_passes = if technique.r_drop > 0.0 { 2 } else { 1 };
        Ok(Self { task, base: base.clone(), balanced_sampling: technique.balanced_sampling, n_passes })
    }

    fn of_model(
        model: &BertForSequenceClassification,
        base: &Base,
        _settings: &FinetuneSettings,
        folder: &Path,
    ) -> Result<Self, RecipeError> {
        if model.outputs() != Outputs::Classes {
            let (found, expected) = (model.outputs().noun(), Outputs::Classes.noun());
            return Err(RecipeError::NotClasses { folder: folder.to_owned(), found, expected });
        }
        let (config, tokenizer) = (base.config.clone(), base.tokenizer.clone());
        let task = ClassificationTask::new(config, tokenizer, model.labels().to_vec())?;
        Ok(Self { task, base: base.clone(), balanced_sampling: false, n_passes: 1 })
    }

    fn labels(&self) -> &[String] {
        self.task.labels()
    }

    fn task(&self) -> &ClassificationTask {
        &self.task
    }

    fn samples(&self, texts: &LabelledTexts, base: &Base, seed: u64) -> Result<ClassificationDataset, DataError> {
        ClassificationDataset::new(texts, &base.tokenizer, base.max_seq_length, seed)
    }

    fn for_training(&self, samples: ClassificationDataset) -> ClassificationDataset {
        if self.balanced_sampling { samples.balanced() } else { samples }
    }

    fn n_passes(&self) -> usize {
        self.n_passes
    }

    fn collator(&self, padding: Padding) -> ClassificationCollator {
        ClassificationCollator { padding }
    }

    fn allocate(&self, config: &BertConfig, device: &Device) -> BertForSequenceClassification {
        BertForSequenceClassification::new(config, self.labels(), device)
    }

    fn init(&self, config: &BertConfig, seed: u64, device: &Device) -> BertForSequenceClassification {
        BertForSequenceClassification::init(config, self.labels(), seed, device)
    }

    fn pretrained(
        &self,
        folder: &Path,
        seed: u64,
        device: &Device,
    ) -> Result<Loaded<BertForSequenceClassification>, ModelError> {
        BertForSequenceClassification::from_pretrained(folder, self.labels(), seed, device)
    }

    fn step_floats(&self, step: StepFloats, n_rows: usize, _n_tokens: usize, d_model: usize) -> StepFloats {
        with_logits(step, n_rows, self.labels().len(), d_model)
    }

    fn n_cut(&self, samples: &ClassificationDataset) -> Option<u64> {
        Some(samples.n_cut())
    }

    fn counts(&self, texts: &LabelledTexts, _samples: &ClassificationDataset) -> Vec<(&'static str, u64)> {
        match texts.out_of_scope.len() {
            0 => Vec::new(),
            n => vec![("out of scope", n as u64)],
        }
    }

    /// Texts out of scope are measured beside the others.
    fn measure(
        &self,
        model: &BertForSequenceClassification,
        (texts, samples): (&LabelledTexts, &Arc<ClassificationDataset>),
        batches: impl Iterator<Item = Result<Dealt<ClassificationBatch>, DataError>>,
        seed: u64,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<ClassificationScores, RecipeError> {
        let (task, evaluation) = (&self.task, context.evaluation(device));
        let state = evaluation.run_in_detail(task, model, batches, samples.per_epoch())?;
        let mut scores = self.scores(&state, texts, samples, seed);
        if !texts.out_of_scope.is_empty() {
            let Base { config, tokenizer, max_seq_length, .. } = &self.base;
            let outside = ClassificationDataset::of(&texts.out_of_scope, tokenizer, *max_seq_length, seed)?;
            let n_outside = outside.per_epoch();
            let collator = self.collator(padding(self.base.pad_id(), config.max_seq_length));
            let batches = Batches::dealt(Arc::new(outside), &collator, &batches_of(TOGETHER), seed, context.place())?;
            let outside = evaluation.run_in_detail(task, model, batches, n_outside)?;
            scores.out_of_scope = class_scores::out_of_scope(&state, &outside, seed);
        }
        Ok(scores)
    }

    fn scores(
        &self,
        state: &ClassificationMetricState,
        _texts: &LabelledTexts,
        _samples: &ClassificationDataset,
        seed: u64,
    ) -> ClassificationScores {
        class_scores::of_state(state, self.labels(), seed)
    }

    fn quality(scores: &ClassificationScores) -> f64 {
        scores.macro_f1
    }

    fn loss(scores: &ClassificationScores) -> Option<f64> {
        scores.loss
    }

    fn accuracy(scores: &ClassificationScores) -> Option<f64> {
        Some(scores.accuracy)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![("classes", first_of(self.labels(), MOST_NAMED))]
    }

    #[cfg(feature = "baseline")]
    fn check_baselines(train: &LabelledTexts) -> Result<(), RecipeError> {
        Ok(crate::baseline::check_size(train.examples.len(), train.labels.len())?)
    }

    #[cfg(feature = "baseline")]
    fn baselines(
        train: &LabelledTexts,
        test: &LabelledTexts,
        seed: u64,
    ) -> Result<Vec<Baseline<ClassificationScores>>, RecipeError> {
        Ok(crate::baseline::measured(train, test, seed)?)
    }
}
