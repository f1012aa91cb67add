//! The task of training text embeddings on pairs of texts.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor};
use burnformer_data::batches::{Padded, PaddedTensors, PairedBatch};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertInput, normalize};
use burnformer_nn::{DropoutRng, EmbeddingLoss, PairEmbeddings, cosines};
use serde::{Deserialize, Serialize};

use crate::encode::{check_vocabulary, mask_pad, prompt_length, with_max_length};
use crate::metrics::{pearson, spearman};
use crate::{
    EmbeddingModel, EmbeddingModules, Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact,
};

/// Training of text embeddings on pairs of texts.
///
/// The texts of a micro-batch are each other's negatives for losses that need some, so that its size counts. The loss of a step
/// is the mean over its micro-batches, weighted by their numbers of pairs.
#[derive(Debug)]
pub struct EmbeddingTask {
    config: BertConfig,
    tokenizer: Tokenizer,
    loss: EmbeddingLoss,
    /// The score that stands for a similarity of 1.
    highest_score: f64,
    /// Number of tokens in front of first texts, and of others, that the pooling leaves out.
    left_out: [usize; 2],
}

impl EmbeddingTask {
    /// Training with `loss` of models with these settings on tokens of `tokenizer`.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(config: BertConfig, tokenizer: Tokenizer, loss: EmbeddingLoss) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        Ok(Self { config, tokenizer, loss, highest_score: 1.0, left_out: [0, 0] })
    }

    /// The same task for scores of which this one stands for a similarity of 1.
    #[must_use]
    pub fn with_highest_score(self, highest_score: f64) -> Self {
        Self { highest_score, ..self }
    }

    /// The same task for texts behind prompts, the first for first texts and the second for all others, of a model that may leave
    /// them out of its pooling.
    ///
    /// # Errors
    /// If a prompt cannot be tokenised.
    pub fn behind_prompts(self, prompts: &[String; 2], modules: &EmbeddingModules) -> Result<Self, TaskError> {
        if modules.pooling.include_prompt {
            return Ok(self);
        }
        let tokenizer = modules.tokenizer(self.tokenizer.clone())?;
        let length = |prompt: &str| prompt_length(&tokenizer, prompt, self.config.max_seq_length);
        let left_out = [length(&prompts[0])?, length(&prompts[1])?];
        Ok(Self { left_out, ..self })
    }

    /// Settings of the encoder.
    #[must_use]
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// The loss.
    #[must_use]
    pub fn loss(&self) -> EmbeddingLoss {
        self.loss
    }

    /// The embeddings of texts, of which the first `left_out` tokens do not count.
    fn embed(
        model: &EmbeddingModel,
        (texts, tensors): (&Padded, PaddedTensors),
        left_out: usize,
        rng: DropoutRng,
    ) -> Tensor<2> {
        let mask_pad = mask_pad(texts, tensors.mask_pad);
        model.forward_behind(left_out, BertInput { ids: tensors.ids, segments: None, mask_pad, rng })
    }
}

/// Name of what an evaluation measures beside the loss, by the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Measure {
    /// Ranks of second texts in their batches.
    Ranks,
    /// Correlation of cosines and scores.
    Correlation,
    /// Second texts that are nearer than all negatives.
    Triplets,
}

impl Measure {
    fn of(loss: EmbeddingLoss) -> Self {
        match loss {
            EmbeddingLoss::MultipleNegatives { .. } => Self::Ranks,
            EmbeddingLoss::Triplet { .. } => Self::Triplets,
            EmbeddingLoss::Cosent { .. } | EmbeddingLoss::Cosine | EmbeddingLoss::Contrastive { .. } => {
                Self::Correlation
            }
        }
    }
}

/// Sums over pairs of texts, and the cosines of those with scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingMetricState {
    measure: Measure,
    /// Number of pairs.
    pub pairs: u64,
    /// Sum over pairs of the mean loss of their batch.
    #[serde(with = "exact")]
    pub loss_sum: f64,
    /// Sum of the reciprocal ranks of second texts in their batches, or number of those nearer than all negatives.
    #[serde(with = "exact")]
    pub hits: f64,
    /// Cosine of each pair that has a score.
    #[serde(with = "exact::list")]
    pub cosines: Vec<f32>,
    /// Score of each pair that has one.
    #[serde(with = "exact::list")]
    pub scores: Vec<f32>,
}

impl EmbeddingMetricState {
    /// Mean loss.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.pairs.max(1) as f64
    }

    /// A correlation of cosines and scores; 0 where it is not defined.
    fn correlation(&self, of: fn(&[f64], &[f64]) -> Option<f64>) -> f64 {
        let wide = |numbers: &[f32]| numbers.iter().copied().map(f64::from).collect::<Vec<_>>();
        of(&wide(&self.cosines), &wide(&self.scores)).unwrap_or(0.0)
    }
}

impl MetricState for EmbeddingMetricState {
    fn merge(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.loss_sum += other.loss_sum;
        self.hits += other.hits;
        self.cosines.extend(other.cosines);
        self.scores.extend(other.scores);
    }

    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = vec![("loss", self.loss())];
        match self.measure {
            Measure::Ranks => metrics.push(("mrr", self.quality())),
            Measure::Triplets => metrics.push(("accuracy", self.quality())),
            Measure::Correlation => {
                metrics.extend([("pearson", self.correlation(pearson)), ("spearman", self.quality())]);
            }
        }
        metrics
    }

    fn quality(&self) -> f64 {
        match self.measure {
            Measure::Ranks | Measure::Triplets => self.hits / self.pairs.max(1) as f64,
            Measure::Correlation => self.correlation(spearman),
        }
    }
}

impl Task for EmbeddingTask {
    type Model = EmbeddingModel;
    type Batch = PairedBatch;
    type Counts = u64;
    type MetricState = EmbeddingMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &PairedBatch) -> u64 {
        batch.numbers.len() as u64
    }

    fn forward(
        &self,
        model: &EmbeddingModel,
        batch: &PairedBatch,
        totals: &u64,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let tensors = batch.to_device(device);
        let [in_texts, in_pairs, in_negatives] = rng.split();
        let in_negatives = in_negatives.with_rows(rows_of_negatives(batch));
        let [of_texts, of_others] = self.left_out;
        let texts = Self::embed(model, (&batch.texts, tensors.texts), of_texts, in_texts); // [batch_size, width]
        let pairs = Self::embed(model, (&batch.pairs, tensors.pairs), of_others, in_pairs); // [batch_size, width]
        let negatives = tensors
            .negatives
            .map(|negatives| Self::embed(model, (&batch.negatives, negatives), of_others, in_negatives)); // [n_negatives, width]
        let measured = measured(
            Measure::of(self.loss),
            texts.clone().inner(),
            pairs.clone().inner(),
            negatives.clone().map(Tensor::inner),
            &batch.n_negatives,
        );
        let scores = tensors.scores.map(|scores| match self.loss {
            EmbeddingLoss::Cosine => scores / self.highest_score,
            _ => scores,
        });
        let embeddings = PairEmbeddings { texts, pairs, negatives, n_negatives: &batch.n_negatives, scores };
        let n = batch.numbers.len() as f64;
        let sum = self.loss.forward(embeddings) * n;
        let scores = Scores::new().with("loss", sum.clone()).with("measured", measured);
        Forward { loss: sum / (*totals).max(1) as f64, scores }
    }

    fn metric_state(&self) -> EmbeddingMetricState {
        EmbeddingMetricState {
            measure: Measure::of(self.loss),
            pairs: 0,
            loss_sum: 0.0,
            hits: 0.0,
            cosines: Vec::new(),
            scores: Vec::new(),
        }
    }

    fn add_scores(
        &self,
        metric_state: &mut EmbeddingMetricState,
        batch: &PairedBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        let measured = scores.many("measured", batch.numbers.len())?;
        metric_state.pairs += batch.numbers.len() as u64;
        metric_state.loss_sum += scores.one("loss")?;
        match metric_state.measure {
            Measure::Ranks => metric_state.hits += measured.iter().map(|rank| 1.0 / rank.max(1.0)).sum::<f64>(),
            Measure::Triplets => metric_state.hits += measured.iter().sum::<f64>(),
            Measure::Correlation => {
                metric_state.cosines.extend(measured.iter().map(|&cosine| cosine as f32));
                metric_state.scores.extend(&batch.scores);
            }
        }
        Ok(())
    }

    fn save(&self, model: &EmbeddingModel, folder: &Path) -> Result<(), TaskError> {
        model.write(folder)?;
        Ok(with_max_length(&self.tokenizer, &self.config).save(folder)?)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<EmbeddingModel, TaskError> {
        EmbeddingModel::open(folder, device)
    }
}

/// A number for each negative: that of its sample, with its place among the sample's negatives above all numbers of samples.
fn rows_of_negatives(batch: &PairedBatch) -> Vec<u64> {
    const ABOVE: u32 = 44;
    let of_sample = |(&number, &n): (&u64, &usize)| (0..n as u64).map(move |place| number | place << ABOVE);
    batch.numbers.iter().zip(&batch.n_negatives).flat_map(of_sample).collect()
}

/// What is measured of each pair, `[n]`: the rank of its second text among those of the batch and all negatives; its cosine; or
/// 1 if the second text is nearer than all of its own negatives, else 0.
fn measured(
    measure: Measure,
    texts: Tensor<2>,
    pairs: Tensor<2>,
    negatives: Option<Tensor<2>>,
    n_negatives: &[usize],
) -> Tensor<1> {
    let ([n, _], device) = (texts.dims(), texts.device());
    match (measure, negatives) {
        (Measure::Correlation, _) => cosines(texts, pairs),
        (Measure::Ranks, negatives) => {
            let own = cosines(texts.clone(), pairs.clone()).reshape([n, 1]);
            let candidates = negatives.map_or(pairs.clone(), |negatives| Tensor::cat(vec![pairs, negatives], 0));
            let all = normalize(texts).matmul(normalize(candidates).transpose());
            let [_, n_candidates] = all.dims();
            // One that is as near counts as nearer, up to rounding: a model without an opinion is not the best one.
            let nearer = all.greater_equal(own.expand([n, n_candidates]) - 1e-6);
            nearer.float().sum_dim(1).reshape([n])
        }
        (Measure::Triplets, Some(negatives)) => {
            let owners: Vec<i32> =
                n_negatives.iter().zip(0..).flat_map(|(&n, row)| std::iter::repeat_n(row, n)).collect();
            let owners = Tensor::<1, Int>::from_data(owners.as_slice(), &device);
            let own = cosines(texts.clone(), pairs).select(0, owners.clone());
            let other = cosines(texts.select(0, owners.clone()), negatives);
            let wrong = other.greater_equal(own - 1e-6).float();
            let wrong =
                Tensor::zeros([n], &device).select_assign(0, owners, wrong, burn::tensor::IndexingUpdateOp::Add);
            wrong.equal_elem(0.0).float()
        }
        (Measure::Triplets, None) => Tensor::zeros([n], &device),
    }
}
