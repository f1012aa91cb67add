//! The task of extractive question answering.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burnformer_data::batches::{QuestionAnsweringBatch, WindowQuestion};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForQuestionAnswering, Pretrained, Staged};
use burnformer_nn::{CrossEntropyLoss, CrossEntropyLossConfig, DropoutRng};
use serde::{Deserialize, Serialize};

use super::{AnswerSearch, WindowAnswers};
use crate::encode::{bert_input, check_vocabulary, mask_pad, with_max_length};
use crate::metrics::{AnswerRules, ThresholdedAnswer, best_threshold, is_chinese};
use crate::{Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact};

/// Logit of padding: no softmax gives it a share.
const PADDING: f64 = -1e30;

/// Answers to questions as parts of contexts: two classifications over the tokens of a window, of its answer's first and of its
/// last token. The loss of a window is the mean of both.
#[derive(Debug)]
pub struct QuestionAnsweringTask {
    config: BertConfig,
    tokenizer: Tokenizer,
    search: AnswerSearch,
    threshold: Option<f64>,
    loss: CrossEntropyLoss,
}

impl QuestionAnsweringTask {
    /// Answers by models with these settings on tokens of `tokenizer`. No answer is given where the score of "no answer" exceeds
    /// that of the best one by more than `threshold`; without a threshold there is always one.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(
        config: BertConfig,
        tokenizer: Tokenizer,
        search: AnswerSearch,
        threshold: Option<f64>,
    ) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        Ok(Self { config, tokenizer, search, threshold, loss: CrossEntropyLossConfig::new().init() })
    }

    /// The rules of comparison: those of SQuAD 2.0 where a question may have no answer.
    #[must_use]
    pub fn rules(&self) -> AnswerRules {
        if self.threshold.is_some() { AnswerRules::Squad2 } else { AnswerRules::Squad1 }
    }

    /// The same task with another threshold.
    #[must_use]
    pub fn with_threshold(&self, threshold: Option<f64>) -> Self {
        let Self { config, tokenizer, search, loss, .. } = self;
        Self { config: config.clone(), tokenizer: tokenizer.clone(), search: *search, threshold, loss: *loss }
    }
}

/// The best answer to a question so far, and how good it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestAnswer {
    /// The answer.
    pub text: String,
    /// Sum of its logits.
    #[serde(with = "exact")]
    pub score: f64,
    /// Score of "no answer".
    #[serde(with = "exact")]
    pub no_answer: f64,
    /// `true` if it is right.
    pub exact: bool,
    /// F1 of its words.
    #[serde(with = "exact")]
    pub f1: f64,
    /// F1 by the rules for Chinese, where a true answer has Chinese characters.
    #[serde(with = "exact::option")]
    pub chinese_f1: Option<f64>,
    /// `true` if the question has an answer.
    pub is_answerable: bool,
}

impl BestAnswer {
    fn of(question: &WindowQuestion, answers: &WindowAnswers, rules: AnswerRules) -> Self {
        let WindowQuestion { question, place, .. } = question;
        let best = answers.candidates.first();
        let text = best.map_or("", |best| place.context.text[best.bytes.clone()].trim());
        let scores = rules.compare(text, question.answer_texts());
        let has_chinese = question.answer_texts().any(|answer| answer.contains(is_chinese));
        Self {
            text: text.to_owned(),
            score: best.map_or(f64::NEG_INFINITY, |best| best.score),
            no_answer: answers.no_answer,
            exact: scores.exact,
            f1: scores.f1,
            chinese_f1: has_chinese.then(|| AnswerRules::Chinese.compare(text, question.answer_texts()).f1),
            is_answerable: !question.answers.is_empty(),
        }
    }

    /// Adds what was found in another window.
    fn merge(&mut self, other: Self) {
        let no_answer = self.no_answer.min(other.no_answer);
        if other.score > self.score {
            *self = other;
        }
        self.no_answer = no_answer;
    }

    /// Score of "no answer" minus that of the answer.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.no_answer - self.score
    }

    /// `true` if an answer is given.
    #[must_use]
    pub fn is_given(&self, threshold: Option<f64>) -> bool {
        threshold.is_none_or(|threshold| self.difference() <= threshold)
    }

    /// Whether what is given is right, its F1, and that by the rules for Chinese.
    #[must_use]
    pub fn scores(&self, threshold: Option<f64>) -> (bool, f64, Option<f64>) {
        match self.is_given(threshold) {
            true => (self.exact, self.f1, self.chinese_f1),
            false => {
                let is_right = !self.is_answerable;
                (is_right, f64::from(u8::from(is_right)), self.chinese_f1.map(|_| 0.0))
            }
        }
    }
}

/// The best answer to each question, and sum of losses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QuestionAnsweringMetricState {
    /// Number of windows.
    pub windows: u64,
    /// Sum over windows of the mean negative log-likelihood of first and last token, in nats.
    #[serde(with = "exact")]
    pub loss_sum: f64,
    /// Difference of scores above which no answer is given; `None` to always give one.
    #[serde(with = "exact::option")]
    pub threshold: Option<f64>,
    /// The best answer to each question, by its number.
    pub answers: BTreeMap<u32, BestAnswer>,
}

impl QuestionAnsweringMetricState {
    /// Mean loss of a window, in nats; 0 without windows.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.windows.max(1) as f64
    }

    /// Shares of exact answers, and means of F1, over the questions for which `is_counted` holds; 0 without any.
    pub fn means(&self, is_counted: impl Fn(&BestAnswer) -> bool) -> (f64, f64) {
        let counted: Vec<_> =
            self.answers.values().filter(|it| is_counted(it)).map(|it| it.scores(self.threshold)).collect();
        let n = counted.len().max(1) as f64;
        let exact = counted.iter().filter(|(exact, ..)| *exact).count() as f64;
        (exact / n, counted.iter().map(|(_, f1, _)| f1).sum::<f64>() / n)
    }

    /// Mean of F1 by the rules for Chinese, over the questions with Chinese answers; `None` without any.
    #[must_use]
    pub fn chinese_f1(&self) -> Option<f64> {
        let counted: Vec<f64> = self.answers.values().filter_map(|it| it.scores(self.threshold).2).collect();
        (!counted.is_empty()).then(|| counted.iter().sum::<f64>() / counted.len() as f64)
    }

    /// The threshold that leads to the best F1, and that F1.
    #[must_use]
    pub fn best_threshold(&self) -> (f64, f64) {
        let answer = |it: &BestAnswer| ThresholdedAnswer {
            difference: it.difference(),
            score: it.is_answerable.then_some(it.f1),
        };
        best_threshold(&self.answers.values().map(answer).collect::<Vec<_>>())
    }
}

impl MetricState for QuestionAnsweringMetricState {
    fn merge(&mut self, other: Self) {
        self.windows += other.windows;
        self.loss_sum += other.loss_sum;
        for (number, answer) in other.answers {
            match self.answers.get_mut(&number) {
                Some(known) => known.merge(answer),
                None => {
                    self.answers.insert(number, answer);
                }
            }
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        let (exact, f1) = self.means(|_| true);
        vec![("loss", self.loss()), ("exact_match", exact), ("f1", f1)]
    }

    fn quality(&self) -> f64 {
        self.means(|_| true).1
    }
}

impl Task for QuestionAnsweringTask {
    type Model = BertForQuestionAnswering;
    type Batch = QuestionAnsweringBatch;
    type Counts = u64;
    type MetricState = QuestionAnsweringMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &QuestionAnsweringBatch) -> u64 {
        batch.starts.len() as u64
    }

    fn forward(
        &self,
        model: &BertForQuestionAnswering,
        batch: &QuestionAnsweringBatch,
        totals: &u64,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let tensors = batch.to_device(device);
        let padding = mask_pad(&batch.tokens, tensors.tokens.mask_pad.clone());
        let input = bert_input(&batch.tokens, tensors.tokens, Some(tensors.segments), rng);
        let [starts, ends] = model.forward(input).map(|logits| match &padding {
            Some(padding) => logits.mask_fill(padding.clone(), PADDING),
            None => logits,
        });
        let flat = |logits: &Tensor<2>| {
            let [batch_size, seq_length] = logits.dims();
            logits.clone().inner().reshape([batch_size * seq_length])
        };
        let scores = Scores::new().with("starts", flat(&starts)).with("ends", flat(&ends));
        let loss = (self.loss.forward(starts, tensors.starts).sum + self.loss.forward(ends, tensors.ends).sum) / 2.0;
        let scores = scores.with("loss", loss.clone());
        Forward { loss: loss / (*totals).max(1) as f64, scores }
    }

    fn staged(&self) -> Option<Arc<dyn Staged>> {
        Some(Arc::new(self.config.clone()))
    }

    fn body(&self, model: &BertForQuestionAnswering, batch: &QuestionAnsweringBatch, rng: DropoutRng, device: &Device) {
        let tensors = batch.to_device(device);
        model.hidden(bert_input(&batch.tokens, tensors.tokens, Some(tensors.segments), rng));
    }

    fn metric_state(&self) -> QuestionAnsweringMetricState {
        QuestionAnsweringMetricState { threshold: self.threshold, ..QuestionAnsweringMetricState::default() }
    }

    fn add_scores(
        &self,
        metric_state: &mut QuestionAnsweringMetricState,
        batch: &QuestionAnsweringBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        let (n_rows, length) = (batch.starts.len(), batch.tokens.seq_length);
        let (starts, ends) = (scores.many("starts", n_rows * length)?, scores.many("ends", n_rows * length)?);
        metric_state.loss_sum += scores.one("loss")?;
        metric_state.windows += n_rows as u64;
        for (row, question) in batch.questions.iter().enumerate() {
            let own = row * length..row * length + batch.tokens.lengths[row];
            let mut answers = WindowAnswers::default();
            answers.add(&question.place, &starts[own.clone()], &ends[own], &self.search);
            let answer = BestAnswer::of(question, &answers, self.rules());
            match metric_state.answers.get_mut(&question.number) {
                Some(known) => known.merge(answer),
                None => {
                    metric_state.answers.insert(question.number, answer);
                }
            }
        }
        Ok(())
    }

    fn save(&self, model: &BertForQuestionAnswering, folder: &Path) -> Result<(), TaskError> {
        model.save(folder)?;
        Ok(with_max_length(&self.tokenizer, &self.config).save(folder)?)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<BertForQuestionAnswering, TaskError> {
        Ok(BertForQuestionAnswering::load(folder, device)?)
    }
}
