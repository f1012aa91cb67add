//! The task of text classification.

use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};
use burnformer_core::config::{ConfigError, Validate};
use burnformer_data::batches::ClassificationBatch;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForSequenceClassification, Pretrained, Staged};
use burnformer_nn::{
    CrossEntropyLoss, CrossEntropyLossConfig, DropoutRng, WeightedCrossEntropyLoss, symmetric_divergence,
};
use serde::{Deserialize, Serialize};

use crate::encode::{bert_input, check_vocabulary, with_max_length};
use crate::metrics::{ClassProbabilities, ConfusionMatrix};
use crate::{Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact};

/// Classification of texts, or pairs of texts.
#[derive(Debug)]
pub struct ClassificationTask {
    config: BertConfig,
    tokenizer: Tokenizer,
    labels: Vec<String>,
    loss: ClassificationLoss,
    /// The loss that is reported.
    likelihood: CrossEntropyLoss,
}

/// What the loss of a classifier has beside the likelihood of the classes. The default is the likelihood alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassificationLoss {
    /// Weight of each class: the loss is the weighted mean, as PyTorch's `CrossEntropyLoss` has it. Empty for equal weights.
    pub class_weights: Vec<f32>,
    /// Share of the target distribution that is spread evenly over all classes, in `[0, 1)`.
    pub label_smoothing: f64,
    /// Weight of R-Drop, the divergence between two passes with different dropout; 0 for one pass.
    pub r_drop: f64,
}

impl Validate for ClassificationLoss {
    fn validate(&self) -> Result<(), ConfigError> {
        let is_weight = |weight: &&f32| weight.is_finite() && **weight >= 0.0;
        if let Some(wrong) = self.class_weights.iter().find(|weight| !is_weight(weight)) {
            ConfigError::check("class_weights", wrong, false, "finite numbers of at least 0")?;
        }
        let is_used = self.class_weights.is_empty() || self.class_weights.iter().any(|&weight| weight > 0.0);
        ConfigError::check("class_weights", &"0 for every class", is_used, "at least one positive weight")?;
        ConfigError::check_probability("label_smoothing", self.label_smoothing)?;
        let is_finite = self.r_drop.is_finite() && self.r_drop >= 0.0;
        ConfigError::check("r_drop", &self.r_drop, is_finite, "a finite number of at least 0")
    }
}

/// Numbers that the losses of a step are divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassificationCounts {
    /// Number of texts.
    pub texts: u64,
    /// Sum of the weights of their classes.
    #[serde(with = "exact")]
    pub weight: f64,
}

impl AddAssign for ClassificationCounts {
    fn add_assign(&mut self, other: Self) {
        self.texts += other.texts;
        self.weight += other.weight;
    }
}

impl ClassificationTask {
    /// Classification into `labels` by models with these settings on tokens of `tokenizer`.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(config: BertConfig, tokenizer: Tokenizer, labels: Vec<String>) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        let (loss, likelihood) = (ClassificationLoss::default(), CrossEntropyLossConfig::new().init());
        Ok(Self { config, tokenizer, labels, loss, likelihood })
    }

    /// The same task with another loss in training. Metrics have the likelihood alone, which can be compared.
    ///
    /// # Errors
    /// As [`ClassificationLoss::validate`](Validate::validate).
    ///
    /// # Panics
    /// If there are weights, and not one for each class.
    pub fn with_loss(self, loss: ClassificationLoss) -> Result<Self, ConfigError> {
        loss.validate()?;
        let (n, n_labels) = (loss.class_weights.len(), self.labels.len());
        assert!(n == 0 || n == n_labels, "class weights: {n} weights, {n_labels} classes");
        Ok(Self { loss, ..self })
    }

    /// Names of the classes.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// `true` if a batch passes twice; without dropout both passes would be equal.
    fn passes_twice(&self, rng: &DropoutRng) -> bool {
        self.loss.r_drop > 0.0 && rng.again().into_draw().is_some()
    }

    /// The loss of logits without dropout's divergence, divided by the weights of the step.
    fn weighted(&self, logits: Tensor<2>, targets: Tensor<1, Int>, totals: &ClassificationCounts) -> Tensor<1> {
        let ClassificationLoss { class_weights, label_smoothing, .. } = &self.loss;
        let sum = match class_weights.as_slice() {
            [] => {
                CrossEntropyLossConfig::new().with_label_smoothing(*label_smoothing).init().forward(logits, targets).sum
            }
            weights => WeightedCrossEntropyLoss::new(weights.to_vec(), *label_smoothing).forward(logits, targets).sum,
        };
        // A step all of whose classes weigh nothing has no loss.
        if totals.weight > 0.0 { sum / totals.weight } else { sum }
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
    /// Probabilities of the classes of every text, in evaluations whose scores are reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<ClassProbabilities>,
}

impl MetricState for ClassificationMetricState {
    fn merge(&mut self, other: Self) {
        self.confusion += other.confusion;
        self.loss_sum += other.loss_sum;
        self.probabilities = self.probabilities.take().zip(other.probabilities).map(|(mut mine, others)| {
            mine.merge(others);
            mine
        });
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
    type Counts = ClassificationCounts;
    type MetricState = ClassificationMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &ClassificationBatch) -> ClassificationCounts {
        let texts = batch.labels.len() as u64;
        let weight = match self.loss.class_weights.as_slice() {
            [] => texts as f64,
            weights => batch.labels.iter().map(|&label| f64::from(weights[label as usize])).sum(),
        };
        ClassificationCounts { texts, weight }
    }

    fn forward(
        &self,
        model: &BertForSequenceClassification,
        batch: &ClassificationBatch,
        totals: &ClassificationCounts,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let tensors = batch.to_device(device);
        let segments = Some(tensors.segments);
        let input = |rng| bert_input(&batch.tokens, tensors.tokens.clone(), segments.clone(), rng);
        let (logits, loss) = if self.passes_twice(&rng) {
            let [first, second] = rng.split();
            let (first, second) = (model.forward(input(first)), model.forward(input(second))); // [batch_size, n_labels]
            let weighted = |logits: &Tensor<2>| self.weighted(logits.clone(), tensors.labels.clone(), totals);
            let likelihood = (weighted(&first) + weighted(&second)) * 0.5;
            let divergence =
                symmetric_divergence(first.clone(), second) * (self.loss.r_drop / totals.texts.max(1) as f64);
            (first, Some(likelihood + divergence))
        } else if self.loss == ClassificationLoss::default() {
            (model.forward(input(rng)), None)
        } else {
            let logits = model.forward(input(rng));
            (logits.clone(), Some(self.weighted(logits, tensors.labels.clone(), totals)))
        };
        let answers = logits.clone().inner().argmax(1).reshape([batch.labels.len()]).float();
        let probabilities = softmax(logits.clone().inner(), 1).flatten(0, 1);
        let likelihood = self.likelihood.forward(logits, tensors.labels).sum;
        let scores = Scores::new()
            .with("loss", likelihood.clone())
            .with("answers", answers)
            .with("probabilities", probabilities);
        let loss = loss.unwrap_or_else(|| likelihood / totals.texts.max(1) as f64);
        Forward { loss, scores }
    }

    fn staged(&self) -> Option<Arc<dyn Staged>> {
        Some(Arc::new(self.config.clone()))
    }

    fn body(
        &self,
        model: &BertForSequenceClassification,
        batch: &ClassificationBatch,
        rng: DropoutRng,
        device: &Device,
    ) {
        let tensors = batch.to_device(device);
        let segments = Some(tensors.segments);
        let body = |rng| {
            model.hidden(bert_input(&batch.tokens, tensors.tokens.clone(), segments.clone(), rng));
        };
        if self.passes_twice(&rng) {
            rng.split::<2>().into_iter().for_each(body);
        } else {
            body(rng);
        }
    }

    fn metric_state(&self) -> ClassificationMetricState {
        ClassificationMetricState {
            confusion: ConfusionMatrix::new(self.labels.len()),
            loss_sum: 0.0,
            probabilities: None,
        }
    }

    fn detailed_metric_state(&self) -> ClassificationMetricState {
        let probabilities = (!self.labels.is_empty()).then(|| ClassProbabilities::new(self.labels.len()));
        ClassificationMetricState { probabilities, ..self.metric_state() }
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
        if let Some(kept) = &mut metric_state.probabilities {
            let n_labels = self.labels.len();
            let rows = scores.many("probabilities", batch.labels.len() * n_labels)?.chunks(n_labels);
            for ((&label, &answer), row) in batch.labels.iter().zip(answers).zip(rows) {
                kept.add(label as usize, answer as usize, row);
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
