//! The task of text classification.

use std::path::Path;

use burn::tensor::Device;
use burnformer_data::batches::ClassificationBatch;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForSequenceClassification, BertInput, Pretrained};
use burnformer_nn::{CrossEntropyLoss, CrossEntropyLossConfig, DropoutRng};
use serde::{Deserialize, Serialize};

use crate::encode::{check_vocabulary, mask_pad, with_max_length};
use crate::metrics::ConfusionMatrix;
use crate::{Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact};

/// Classification of texts, or pairs of texts.
#[derive(Debug)]
pub struct ClassificationTask {
    config: BertConfig,
    tokenizer: Tokenizer,
    labels: Vec<String>,
    loss: CrossEntropyLoss,
}

impl ClassificationTask {
    /// Classification into `labels` by models with these settings on tokens of `tokenizer`.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(config: BertConfig, tokenizer: Tokenizer, labels: Vec<String>) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        Ok(Self { config, tokenizer, labels, loss: CrossEntropyLossConfig::new().init() })
    }

    /// Names of the classes.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }
}

/// Confusion matrix and sum of losses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationMetricState {
    /// How often each class was predicted for each.
    pub confusion: ConfusionMatrix,
    /// Sum of the negative log-likelihoods of the true classes, in nats.
    #[serde(with = "exact")]
    pub loss_sum: f64,
}

impl MetricState for ClassificationMetricState {
    fn merge(&mut self, other: Self) {
        self.confusion += other.confusion;
        self.loss_sum += other.loss_sum;
    }

    fn metrics(&self) -> Vec<Metric> {
        let loss = self.loss_sum / self.confusion.total().max(1) as f64;
        vec![("loss", loss), ("accuracy", self.confusion.accuracy()), ("macro_f1", self.confusion.macro_f1())]
    }

    fn quality(&self) -> f64 {
        self.confusion.macro_f1()
    }
}

impl Task for ClassificationTask {
    type Model = BertForSequenceClassification;
    type Batch = ClassificationBatch;
    type Counts = u64;
    type MetricState = ClassificationMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &ClassificationBatch) -> u64 {
        batch.labels.len() as u64
    }

    fn forward(
        &self,
        model: &BertForSequenceClassification,
        batch: &ClassificationBatch,
        totals: &u64,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let tensors = batch.to_device(device);
        let mask_pad = mask_pad(&batch.tokens, tensors.tokens.mask_pad);
        let input = BertInput { ids: tensors.tokens.ids, segments: Some(tensors.segments), mask_pad, rng };
        let logits = model.forward(input); // [batch_size, n_labels]
        let answers = logits.clone().inner().argmax(1).reshape([batch.labels.len()]).float();
        let loss = self.loss.forward(logits, tensors.labels).sum;
        let scores = Scores::new().with("loss", loss.clone()).with("answers", answers);
        Forward { loss: loss / (*totals).max(1) as f64, scores }
    }

    fn metric_state(&self) -> ClassificationMetricState {
        ClassificationMetricState { confusion: ConfusionMatrix::new(self.labels.len()), loss_sum: 0.0 }
    }

    fn add_scores(
        &self,
        metric_state: &mut ClassificationMetricState,
        batch: &ClassificationBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        let answers = scores.many("answers", batch.labels.len())?;
        metric_state.loss_sum += scores.one("loss")?;
        for (&label, &answer) in batch.labels.iter().zip(answers) {
            metric_state.confusion.add(label as usize, answer as usize);
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
