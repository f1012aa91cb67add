//! The tasks of regression and of ranking: a score for each text, or pair of texts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_data::batches::ScoreBatch;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForSequenceClassification, OutputActivation, Outputs, Pretrained, Staged};
use burnformer_nn::{DropoutRng, binary_cross_entropy, squared_error};
use serde::{Deserialize, Serialize};

use crate::encode::{bert_input, check_vocabulary, with_max_length};
use crate::metrics::{RankedGains, pearson, spearman};
use crate::{Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact};

/// Loss of a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScoreLoss {
    /// Squared error of the score: regression, as in transformers.
    #[default]
    SquaredError,
    /// Binary cross-entropy of the logit and a true score in `[0, 1]`: ranking, as the cross-encoders of sentence-transformers are
    /// trained.
    BinaryCrossEntropy,
}

impl ScoreLoss {
    /// What the logits of its models mean.
    #[must_use]
    pub fn outputs(self) -> Outputs {
        Outputs::Score(match self {
            Self::SquaredError => OutputActivation::Identity,
            Self::BinaryCrossEntropy => OutputActivation::Sigmoid,
        })
    }
}

/// A score for each text, or pair of texts.
#[derive(Debug)]
pub struct ScoreTask {
    config: BertConfig,
    tokenizer: Tokenizer,
    loss: ScoreLoss,
    activation: OutputActivation,
}

impl ScoreTask {
    /// Scores by models with these settings on tokens of `tokenizer`.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(config: BertConfig, tokenizer: Tokenizer, loss: ScoreLoss) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        Ok(Self { config, tokenizer, loss, activation: OutputActivation::Identity }.with_outputs(loss.outputs()))
    }

    /// The same task for models with these outputs, if they are scores.
    #[must_use]
    pub fn with_outputs(self, outputs: Outputs) -> Self {
        match outputs {
            Outputs::Score(activation) => Self { activation, ..self },
            _ => self,
        }
    }
}

/// A true and a predicted score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredAnswer {
    /// Number of the query, the first text.
    pub query: u32,
    /// True score.
    #[serde(with = "exact")]
    pub truth: f64,
    /// Predicted score.
    #[serde(with = "exact::single")]
    pub answer: f32,
}

/// True and predicted scores, and sum of losses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreMetricState {
    /// The scores of each text.
    pub answers: Vec<ScoredAnswer>,
    /// Sum of the losses.
    #[serde(with = "exact")]
    pub loss_sum: f64,
}

impl ScoreMetricState {
    /// Mean loss.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.answers.len().max(1) as f64
    }

    /// True scores, and predicted ones.
    #[must_use]
    pub fn columns(&self) -> (Vec<f64>, Vec<f64>) {
        self.answers.iter().map(|it| (it.truth, f64::from(it.answer))).unzip()
    }

    /// The answers to each query that has several, ranked by their predicted scores; texts whose true score is greater than 0
    /// are relevant.
    #[must_use]
    pub fn rankings(&self) -> Vec<RankedGains> {
        let mut queries: BTreeMap<u32, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for answer in &self.answers {
            let (scores, gains) = queries.entry(answer.query).or_default();
            scores.push(f64::from(answer.answer));
            gains.push(answer.truth);
        }
        let several = queries.into_values().filter(|(scores, _)| scores.len() > 1);
        several.map(|(scores, gains)| RankedGains::of_scores(&scores, &gains)).collect()
    }
}

impl MetricState for ScoreMetricState {
    fn merge(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.loss_sum += other.loss_sum;
    }

    /// A correlation that is not defined, as of equal answers, counts as 0.
    fn metrics(&self) -> Vec<Metric> {
        let (truths, answers) = self.columns();
        let (pearson, spearman) = (pearson(&truths, &answers), spearman(&truths, &answers));
        vec![("loss", self.loss()), ("pearson", pearson.unwrap_or(0.0)), ("spearman", spearman.unwrap_or(0.0))]
    }

    fn quality(&self) -> f64 {
        let (truths, answers) = self.columns();
        spearman(&truths, &answers).unwrap_or(0.0)
    }
}

impl Task for ScoreTask {
    type Model = BertForSequenceClassification;
    type Batch = ScoreBatch;
    type Counts = u64;
    type MetricState = ScoreMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &ScoreBatch) -> u64 {
        batch.labels.len() as u64
    }

    fn forward(
        &self,
        model: &BertForSequenceClassification,
        batch: &ScoreBatch,
        totals: &u64,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let tensors = batch.to_device(device);
        let input = bert_input(&batch.tokens, tensors.tokens, Some(tensors.segments), rng);
        let logits = model.forward(input); // [batch_size, 1]
        let n_texts = [batch.labels.len()];
        let answers = self.activation.apply(logits.clone()).reshape(n_texts);
        let loss = match self.loss {
            ScoreLoss::SquaredError => squared_error(answers.clone(), tensors.labels),
            ScoreLoss::BinaryCrossEntropy => binary_cross_entropy(logits.reshape(n_texts), tensors.labels),
        };
        let scores = Scores::new().with("loss", loss.clone()).with("answers", answers);
        Forward { loss: loss / (*totals).max(1) as f64, scores }
    }

    fn staged(&self) -> Option<Arc<dyn Staged>> {
        Some(Arc::new(self.config.clone()))
    }

    fn body(&self, model: &BertForSequenceClassification, batch: &ScoreBatch, rng: DropoutRng, device: &Device) {
        let tensors = batch.to_device(device);
        model.hidden(bert_input(&batch.tokens, tensors.tokens, Some(tensors.segments), rng));
    }

    fn metric_state(&self) -> ScoreMetricState {
        ScoreMetricState::default()
    }

    fn add_scores(
        &self,
        metric_state: &mut ScoreMetricState,
        batch: &ScoreBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        let answers = scores.many("answers", batch.labels.len())?;
        metric_state.loss_sum += scores.one("loss")?;
        let answer = |(label, &answer): (&burnformer_data::scored::Score, &f64)| ScoredAnswer {
            query: label.query,
            truth: label.value,
            answer: answer as f32,
        };
        metric_state.answers.extend(batch.labels.iter().zip(answers).map(answer));
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
