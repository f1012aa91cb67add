//! Pretraining of BERT and its variants: masked language model, and next-sentence prediction.

use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use burnformer_data::batches::PretrainingBatch;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForPreTraining, MaskedLmLayers, Pretrained, PretrainingLogits, Staged};
use burnformer_nn::{CrossEntropyLoss, CrossEntropyLossConfig, DropoutRng, LossSum, best_tokens};
use serde::{Deserialize, Serialize};

use crate::encode::{bert_input, check_vocabulary, with_max_length};
use crate::metrics::perplexity;
use crate::{Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact};

/// Masked language modelling and next-sentence prediction. The loss is the sum of the two mean losses.
///
/// Source: Devlin et al. 2019, "BERT", section 3.1. Batches without pairs have no second part, as those of RoBERTa, DistilBERT
/// and every model without a next-sentence head must be.
#[derive(Debug)]
pub struct PretrainingTask {
    config: BertConfig,
    tokenizer: Tokenizer,
    loss: CrossEntropyLoss,
}

impl PretrainingTask {
    /// Pretraining of models with these settings on tokens of `tokenizer`.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(config: BertConfig, tokenizer: Tokenizer) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        Ok(Self { config, tokenizer, loss: CrossEntropyLossConfig::new().init() })
    }

    /// The settings of the model.
    #[must_use]
    pub fn config(&self) -> &BertConfig {
        &self.config
    }
}

/// Numbers of predicted tokens and pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PretrainingCounts {
    /// Number of masked tokens.
    pub masked: u64,
    /// Number of pairs of texts.
    pub pairs: u64,
}

impl AddAssign for PretrainingCounts {
    fn add_assign(&mut self, other: Self) {
        self.masked += other.masked;
        self.pairs += other.pairs;
    }
}

/// Sums over masked tokens and pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PretrainingMetricState {
    /// Number of masked tokens.
    pub masked: u64,
    /// Number of masked tokens whose most probable token is the right one.
    pub masked_correct: u64,
    /// Sum of the negative log-likelihoods of the masked tokens, in nats.
    #[serde(with = "exact")]
    pub mlm_loss_sum: f64,
    /// Number of pairs of texts.
    pub pairs: u64,
    /// Number of pairs whose more probable class is the right one.
    pub pairs_correct: u64,
    /// Sum of the negative log-likelihoods of the true classes of pairs, in nats.
    #[serde(with = "exact")]
    pub nsp_loss_sum: f64,
}

impl PretrainingMetricState {
    /// Mean negative log-likelihood of a masked token, in nats.
    #[must_use]
    pub fn mlm_loss(&self) -> f64 {
        self.mlm_loss_sum / self.masked.max(1) as f64
    }

    /// Mean negative log-likelihood of the class of a pair, in nats.
    #[must_use]
    pub fn nsp_loss(&self) -> f64 {
        self.nsp_loss_sum / self.pairs.max(1) as f64
    }
}

impl MetricState for PretrainingMetricState {
    fn merge(&mut self, other: Self) {
        self.masked += other.masked;
        self.masked_correct += other.masked_correct;
        self.mlm_loss_sum += other.mlm_loss_sum;
        self.pairs += other.pairs;
        self.pairs_correct += other.pairs_correct;
        self.nsp_loss_sum += other.nsp_loss_sum;
    }

    fn metrics(&self) -> Vec<Metric> {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let mut metrics = vec![
            ("loss", self.mlm_loss() + self.nsp_loss()),
            ("mlm_loss", self.mlm_loss()),
            ("mlm_accuracy", share(self.masked_correct, self.masked)),
            ("mlm_perplexity", perplexity(self.mlm_loss())),
        ];
        if self.pairs > 0 {
            metrics.extend([("nsp_loss", self.nsp_loss()), ("nsp_accuracy", share(self.pairs_correct, self.pairs))]);
        }
        metrics
    }

    fn quality(&self) -> f64 {
        -(self.mlm_loss() + self.nsp_loss())
    }
}

impl Task for PretrainingTask {
    type Model = BertForPreTraining;
    type Batch = PretrainingBatch;
    type Counts = PretrainingCounts;
    type MetricState = PretrainingMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &PretrainingBatch) -> PretrainingCounts {
        PretrainingCounts { masked: batch.masked_labels.len() as u64, pairs: batch.is_next.len() as u64 }
    }

    fn forward(
        &self,
        model: &BertForPreTraining,
        batch: &PretrainingBatch,
        totals: &PretrainingCounts,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let tensors = batch.to_device(device);
        let (positions, labels) = if batch.masked_labels.is_empty() {
            // No backend promises to multiply a matrix without rows: one row that does not count stands in.
            let ints = |value: i32| Tensor::<1, Int>::from_data([value], device);
            (ints(0), ints(IGNORED))
        } else {
            (tensors.masked_positions, tensors.masked_labels)
        };
        let input = bert_input(&batch.tokens, tensors.tokens, Some(tensors.segments), rng);
        let (mlm_logits, pairs) = match tensors.next_sentence_labels {
            None if !model.has_next_sentence() => (model.forward_masked(input, positions), None),
            targets => {
                let PretrainingLogits { mlm, next_sentence } = model.forward(input, positions);
                (mlm, targets.map(|targets| (next_sentence, targets)))
            }
        };

        let (mlm, mlm_correct) = self.score(mlm_logits, labels, self.config.vocab_size);
        let mut loss = mlm.sum.clone() / totals.masked.max(1) as f64;
        let mut scores = Scores::new().with("mlm_loss", mlm.sum).with("mlm_correct", mlm_correct);
        if let Some((logits, targets)) = pairs {
            let (nsp, nsp_correct) = self.score(logits, targets, 2);
            loss = loss + nsp.sum.clone() / totals.pairs.max(1) as f64;
            scores = scores.with("nsp_loss", nsp.sum).with("nsp_correct", nsp_correct);
        }
        Forward { loss, scores }
    }

    fn staged(&self) -> Option<Arc<dyn Staged>> {
        Some(Arc::new(MaskedLmLayers(self.config.clone())))
    }

    fn body(&self, model: &BertForPreTraining, batch: &PretrainingBatch, rng: DropoutRng, device: &Device) {
        let tensors = batch.to_device(device);
        model.bert().forward(bert_input(&batch.tokens, tensors.tokens, Some(tensors.segments), rng));
    }

    fn metric_state(&self) -> PretrainingMetricState {
        PretrainingMetricState::default()
    }

    fn add_scores(
        &self,
        metric_state: &mut PretrainingMetricState,
        batch: &PretrainingBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        let counts = self.counts(batch);
        metric_state.masked += counts.masked;
        metric_state.mlm_loss_sum += scores.one("mlm_loss")?;
        metric_state.masked_correct += scores.one("mlm_correct")? as u64;
        if counts.pairs > 0 {
            metric_state.pairs += counts.pairs;
            metric_state.nsp_loss_sum += scores.one("nsp_loss")?;
            metric_state.pairs_correct += scores.one("nsp_correct")? as u64;
        }
        Ok(())
    }

    fn save(&self, model: &BertForPreTraining, folder: &Path) -> Result<(), TaskError> {
        model.save(folder)?;
        Ok(with_max_length(&self.tokenizer, &self.config).save(folder)?)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<BertForPreTraining, TaskError> {
        Ok(BertForPreTraining::load(folder, device)?)
    }
}

/// Target that the loss ignores.
const IGNORED: i32 = -100;

impl PretrainingTask {
    /// The loss, and the number of rows with the greatest of `n_classes` logits at the target.
    fn score(&self, logits: Tensor<2>, targets: Tensor<1, Int>, n_classes: usize) -> (LossSum, Tensor<1>) {
        let best = best_tokens(logits.clone().inner(), n_classes);
        let correct = best.equal(targets.clone().inner()).float().sum();
        (self.loss.forward_tokens(logits, targets, n_classes), correct)
    }
}
