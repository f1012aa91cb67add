//! Fine-tuning for multi-label classification.

use std::path::Path;

use burn::tensor::Device;
use burnformer_core::progress::{Interrupt, Progress};
use burnformer_data::DataError;
use burnformer_data::batches::{MultiLabelCollator, Padding};
use burnformer_data::class_names::OddClasses;
use burnformer_data::conflicts::Conflicts;
use burnformer_data::datasets::MultiLabelDataset;
use burnformer_data::multi_label::MultiLabelTexts;
use burnformer_data::readers::Input;
use burnformer_data::source::{Skipped, Source};
use burnformer_models::{
    BertConfig, BertForSequenceClassification, Loaded, ModelError, Outputs, Pretrained, StepFloats,
};
use burnformer_reports::{AverageScores, ClassReport, MultiLabelScores, first_of};
use burnformer_tasks::metrics::{ClassScores, LabelProbabilities};
use burnformer_tasks::{MultiLabelMetricState, MultiLabelTask};

use super::head::{check_has_no_tags, with_logits};
use super::{Base, Examples, FinetuneSettings, FinetuneTask, Supervised};
use crate::RecipeError;
use crate::text::{MOST_NAMED, TaskScores, score_table};

/// Classification of texts, or of pairs of texts: any number of labels each.
pub struct MultiLabelClassification {
    task: MultiLabelTask,
    threshold: f64,
}

impl MultiLabelClassification {
    fn of_labels(base: &Base, settings: &FinetuneSettings, labels: &[String]) -> Result<Self, RecipeError> {
        let (config, tokenizer, threshold) =
            (base.config.clone(), base.tokenizer.clone(), settings.multi_label.threshold);
        Ok(Self { task: MultiLabelTask::new(config, tokenizer, labels.to_vec(), threshold)?, threshold })
    }
}

impl Supervised for MultiLabelClassification {
    const TASK: FinetuneTask = FinetuneTask::MultiLabelClassification;
    const QUALITY: &'static str = "micro_f1";
    const PIPELINE_TAG: &'static str = "text-classification";
    const ROWS: &'static str = "texts";

    type Texts = MultiLabelTexts;
    type Task = MultiLabelTask;
    type Model = BertForSequenceClassification;
    type Samples = MultiLabelDataset;
    type Collator = MultiLabelCollator;
    type Scores = MultiLabelScores;

    fn check_input(input: &Input) -> Result<(), RecipeError> {
        check_has_no_tags(input)
    }

    fn new(base: &Base, settings: &FinetuneSettings, train: &MultiLabelTexts) -> Result<Self, RecipeError> {
        Self::of_labels(base, settings, &train.labels)
    }

    fn of_model(
        model: &BertForSequenceClassification,
        base: &Base,
        settings: &FinetuneSettings,
        folder: &Path,
    ) -> Result<Self, RecipeError> {
        if model.outputs() != Outputs::Labels {
            let (found, expected) = (model.outputs().noun(), Outputs::Labels.noun());
            return Err(RecipeError::NotClasses { folder: folder.to_owned(), found, expected });
        }
        Self::of_labels(base, settings, model.labels())
    }

    fn labels(&self) -> &[String] {
        self.task.labels()
    }

    fn task(&self) -> &MultiLabelTask {
        &self.task
    }

    fn samples(&self, texts: &MultiLabelTexts, base: &Base, seed: u64) -> Result<MultiLabelDataset, DataError> {
        MultiLabelDataset::of(&texts.examples, &base.tokenizer, base.max_seq_length, seed)
    }

    fn collator(&self, padding: Padding) -> MultiLabelCollator {
        MultiLabelCollator { padding }
    }

    fn allocate(&self, config: &BertConfig, device: &Device) -> BertForSequenceClassification {
        BertForSequenceClassification::new(config, self.labels(), device)
    }

    fn init(&self, config: &BertConfig, seed: u64, device: &Device) -> BertForSequenceClassification {
        BertForSequenceClassification::init(config, self.labels(), seed, device).with_outputs(Outputs::Labels)
    }

    fn pretrained(
        &self,
        folder: &Path,
        seed: u64,
        device: &Device,
    ) -> Result<Loaded<BertForSequenceClassification>, ModelError> {
        let labels = self.labels();
        BertForSequenceClassification::from_pretrained_with_outputs(folder, labels, Outputs::Labels, seed, device)
    }

    fn step_floats(&self, step: StepFloats, n_rows: usize, _n_tokens: usize, d_model: usize) -> StepFloats {
        with_logits(step, n_rows, self.labels().len(), d_model)
    }

    fn n_cut(&self, samples: &MultiLabelDataset) -> Option<u64> {
        Some(samples.n_cut())
    }

    fn scores(
        &self,
        state: &MultiLabelMetricState,
        _texts: &MultiLabelTexts,
        _samples: &MultiLabelDataset,
        _seed: u64,
    ) -> MultiLabelScores {
        let counts = &state.counts;
        let average = |ClassScores { precision, recall, f1, .. }| AverageScores { precision, recall, f1 };
        let labels = self.labels().iter().zip(counts.by_label()).map(|(label, scores)| {
            let ClassScores { precision, recall, f1, support } = scores;
            ClassReport { label: label.clone(), precision, recall, f1, support, auroc: None }
        });
        MultiLabelScores {
            texts: counts.total(),
            loss: state.loss(),
            threshold: self.threshold,
            best_threshold: state.probabilities.as_ref().and_then(LabelProbabilities::best_threshold),
            auroc: state.probabilities.as_ref().and_then(LabelProbabilities::auroc),
            subset_accuracy: counts.subset_accuracy(),
            micro: average(counts.micro()),
            r#macro: average(counts.macro_average()),
            weighted: average(counts.weighted_average()),
            samples: average(counts.samples_average()),
            labels: labels.collect(),
        }
    }

    fn quality(scores: &MultiLabelScores) -> f64 {
        scores.micro.f1
    }

    fn loss(scores: &MultiLabelScores) -> Option<f64> {
        Some(scores.loss)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![("labels", first_of(self.labels(), MOST_NAMED))]
    }
}

impl TaskScores for MultiLabelScores {
    fn lines(&self) -> Vec<(String, String)> {
        self.lines()
    }

    /// The scores of each label.
    fn details(&self) -> String {
        let labels = &self.labels[..self.labels.len().min(MOST_NAMED)];
        let rows = labels.iter().map(|it| (it.label.as_str(), [it.precision, it.recall, it.f1], it.support));
        let text = score_table("label", rows);
        match self.labels.len() - labels.len() {
            0 => text,
            more => format!("{text}and {more} more labels\n"),
        }
    }
}

impl Examples for MultiLabelTexts {
    const TARGETS: &'static str = "labels";

    fn read(
        source: &dyn Source,
        known: Option<Vec<String>>,
        settings: &FinetuneSettings,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        match known {
            Some(labels) => Self::read_with_labels(source, labels, settings.on_bad_row, progress, interrupt),
            None => Self::read(source, settings.on_bad_row, progress, interrupt),
        }
    }

    fn split(self, share: f64, seed: u64) -> (Self, Self) {
        self.split(share, seed)
    }

    fn odd_labels(&self) -> OddClasses {
        self.odd_labels()
    }

    fn conflicts(&self) -> Conflicts {
        self.conflicts()
    }

    fn label_counts(&self) -> Vec<u64> {
        self.label_counts()
    }

    fn n_repeated(&self) -> usize {
        self.n_repeated()
    }

    fn n_shared(&self, others: &Self) -> usize {
        self.n_shared(others)
    }

    fn retain(mut self, is_kept: &[bool]) -> Self {
        let mut is_kept = is_kept.iter();
        self.examples.retain(|_| is_kept.next() == Some(&true));
        self
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn n_texts(&self) -> usize {
        self.examples.len()
    }
}
