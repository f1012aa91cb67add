//! The task of multi-label classification.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burn::tensor::activation::sigmoid;
use burnformer_data::batches::MultiLabelBatch;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForSequenceClassification, Pretrained, Staged};
use burnformer_nn::{DropoutRng, binary_cross_entropy};
use serde::{Deserialize, Serialize};

use crate::encode::{bert_input, check_vocabulary, with_max_length};
use crate::metrics::{LabelProbabilities, MultiLabelCounts};
use crate::{Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact};

/// Classification of texts, or pairs of texts, that may have any number of labels: a decision on each label, by binary
/// cross-entropy.
#[derive(Debug)]
pub struct MultiLabelTask {
    config: BertConfig,
    tokenizer: Tokenizer,
    labels: Vec<String>,
    threshold: f64,
}

impl MultiLabelTask {
    /// Classification with `labels` by models with these settings on tokens of `tokenizer`. A text counts as having the labels
    /// whose probability is at least `threshold`.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(
        config: BertConfig,
        tokenizer: Tokenizer,
        labels: Vec<String>,
        threshold: f64,
    ) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        Ok(Self { config, tokenizer, labels, threshold })
    }

    /// Names of the labels.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }
}

/// Decisions on labels, and sum of losses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelMetricState {
    /// Numbers of true and predicted labels.
    pub counts: MultiLabelCounts,
    /// Sum over texts of the mean binary cross-entropy of their labels, in nats.
    #[serde(with = "exact")]
    pub loss_sum: f64,
    /// Truths and probabilities of all labels, in evaluations whose scores are reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<LabelProbabilities>,
}

impl MultiLabelMetricState {
    /// Mean binary cross-entropy of a label, in nats.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.counts.total().max(1) as f64
    }
}

impl MetricState for MultiLabelMetricState {
    fn merge(&mut self, other: Self) {
        self.counts += other.counts;
        self.loss_sum += other.loss_sum;
        self.probabilities = self.probabilities.take().zip(other.probabilities).map(|(mut mine, others)| {
            mine.merge(others);
            mine
        });
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            ("loss", self.loss()),
            ("subset_accuracy", self.counts.subset_accuracy()),
            ("micro_f1", self.counts.micro().f1),
            ("macro_f1", self.counts.macro_average().f1),
        ]
    }

    /// The micro-F1; before any label is predicted, what the loss says.
    fn quality(&self) -> f64 {
        let f1 = self.counts.micro().f1;
        if f1 > 0.0 { f1 } else { -self.loss() }
    }
}

impl Task for MultiLabelTask {
    type Model = BertForSequenceClassification;
    type Batch = MultiLabelBatch;
    type Counts = u64;
    type MetricState = MultiLabelMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &MultiLabelBatch) -> u64 {
        batch.labels.len() as u64
    }

    fn forward(
        &self,
        model: &BertForSequenceClassification,
        batch: &MultiLabelBatch,
        totals: &u64,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let (n_texts, n_labels) = (batch.labels.len(), self.labels.len());
        let tensors = batch.to_device(n_labels, device);
        let input = bert_input(&batch.tokens, tensors.tokens, Some(tensors.segments), rng);
        let logits = model.forward(input); // [batch_size, n_labels]
        let answers = sigmoid(logits.clone().inner()).reshape([n_texts * n_labels]);
        // The mean over all labels of all texts, as in transformers.
        let loss = binary_cross_entropy(logits, tensors.labels) / n_labels as f64;
        let scores = Scores::new().with("loss", loss.clone()).with("answers", answers);
        Forward { loss: loss / (*totals).max(1) as f64, scores }
    }

    fn staged(&self) -> Option<Arc<dyn Staged>> {
        Some(Arc::new(self.config.clone()))
    }

    fn body(&self, model: &BertForSequenceClassification, batch: &MultiLabelBatch, rng: DropoutRng, device: &Device) {
        let tensors = batch.to_device(self.labels.len(), device);
        model.hidden(bert_input(&batch.tokens, tensors.tokens, Some(tensors.segments), rng));
    }

    fn metric_state(&self) -> MultiLabelMetricState {
        MultiLabelMetricState { counts: MultiLabelCounts::new(self.labels.len()), loss_sum: 0.0, probabilities: None }
    }

    fn detailed_metric_state(&self) -> MultiLabelMetricState {
        let probabilities = Some(LabelProbabilities::new(self.labels.len()));
        MultiLabelMetricState { probabilities, ..self.metric_state() }
    }

    fn add_scores(
        &self,
        metric_state: &mut MultiLabelMetricState,
        batch: &MultiLabelBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        let n_labels = self.labels.len();
        let answers = scores.many("answers", batch.labels.len() * n_labels)?;
        metric_state.loss_sum += scores.one("loss")?;
        for (labels, answers) in batch.labels.iter().zip(answers.chunks_exact(n_labels)) {
            let mut truth = vec![false; n_labels];
            labels.iter().for_each(|&label| truth[label as usize] = true);
            let predicted: Vec<bool> = answers.iter().map(|&probability| probability >= self.threshold).collect();
            metric_state.counts.add(&truth, &predicted);
            if let Some(kept) = &mut metric_state.probabilities {
                kept.add(&truth, answers);
            }
        }
        Ok(())
    }

    fn save(&self, model: &BertForSequenceClassification, folder: &Path) -> Result<(), TaskError> {
        model.save(folder)?;
        Ok(with_max_length(&self.tokenizer, &self.config).save(folder)?)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<BertForSequenceClassification, TaskError> {
        Ok(BertForSequenceClassification::load(folder, device)?)
    }
}
