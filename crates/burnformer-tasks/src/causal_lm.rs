//! Causal language modelling: the prediction of each next token.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use burnformer_data::batches::{Batch, WindowBatch};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{GptConfig, GptForCausalLM, GptInput, Pretrained, Staged};
use burnformer_nn::{CrossEntropyLoss, CrossEntropyLossConfig, DropoutRng, best_tokens};
use serde::{Deserialize, Serialize};

use crate::encode::{check_vocabulary, max_length};
use crate::metrics::perplexity;
use crate::{Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact};

/// Predicts each token of a text from those in front of it. The loss is the mean cross-entropy of a token.
///
/// Source: Radford et al. 2019, section 2.
#[derive(Debug)]
pub struct CausalLmTask {
    config: GptConfig,
    tokenizer: Tokenizer,
    loss: CrossEntropyLoss,
}

impl CausalLmTask {
    /// Training of models with these settings on tokens of `tokenizer`.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(config: GptConfig, tokenizer: Tokenizer) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        Ok(Self { config, tokenizer, loss: CrossEntropyLossConfig::new().init() })
    }

    /// The settings of the model.
    #[must_use]
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    /// The sum of the losses, to be differentiated, and the scores of predictions.
    ///
    /// # Shapes
    /// - logits: `[n_tokens, vocab_size]`
    /// - labels: `[n_tokens]`
    fn score(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> (Tensor<1>, Scores) {
        let best = best_tokens(logits.clone().inner(), self.config.vocab_size);
        let correct = best.equal(labels.clone().inner()).float().sum();
        let loss = self.loss.forward_tokens(logits, labels, self.config.vocab_size).sum;
        let scores = Scores::new().with("loss", loss.clone().inner()).with("correct", correct);
        (loss, scores)
    }
}

/// Sums over predicted tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CausalLmMetricState {
    /// Number of predicted tokens.
    pub tokens: u64,
    /// Number of tokens that are the most probable one.
    pub correct: u64,
    /// Sum of the negative log-likelihoods, in nats.
    #[serde(with = "exact")]
    pub loss_sum: f64,
}

impl CausalLmMetricState {
    /// Mean negative log-likelihood of a token, in nats.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.tokens.max(1) as f64
    }
}

impl MetricState for CausalLmMetricState {
    fn merge(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.correct += other.correct;
        self.loss_sum += other.loss_sum;
    }

    fn metrics(&self) -> Vec<Metric> {
        let accuracy = self.correct as f64 / self.tokens.max(1) as f64;
        vec![("loss", self.loss()), ("perplexity", perplexity(self.loss())), ("accuracy", accuracy)]
    }

    fn quality(&self) -> f64 {
        -self.loss()
    }
}

impl Task for CausalLmTask {
    type Model = GptForCausalLM;
    type Batch = WindowBatch;
    type Counts = u64;
    type MetricState = CausalLmMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &WindowBatch) -> u64 {
        batch.padding_stats().tokens
    }

    fn forward(
        &self,
        model: &GptForCausalLM,
        batch: &WindowBatch,
        totals: &u64,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let tensors = batch.to_device(device);
        // Padding stands behind the last token, which nothing that counts looks at.
        let hidden = model.gpt().forward(GptInput { ids: tensors.inputs.ids, mask_pad: None, rng });
        let [batch_size, seq_length, d_model] = hidden.dims();
        let hidden = hidden.reshape([batch_size * seq_length, d_model]);
        let hidden = match tensors.target_positions {
            Some(positions) => hidden.select(0, positions),
            None => hidden,
        };
        let (loss, scores) = self.score(model.logits(hidden), tensors.target_labels);
        Forward { loss: loss / (*totals).max(1) as f64, scores }
    }

    fn staged(&self) -> Option<Arc<dyn Staged>> {
        Some(Arc::new(self.config.clone()))
    }

    fn body(&self, model: &GptForCausalLM, batch: &WindowBatch, rng: DropoutRng, device: &Device) {
        let ids = batch.to_device(device).inputs.ids;
        model.gpt().forward(GptInput { ids, mask_pad: None, rng });
    }

    fn metric_state(&self) -> CausalLmMetricState {
        CausalLmMetricState::default()
    }

    fn add_scores(
        &self,
        metric_state: &mut CausalLmMetricState,
        batch: &WindowBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        metric_state.tokens += self.counts(batch);
        metric_state.loss_sum += scores.one("loss")?;
        metric_state.correct += scores.one("correct")? as u64;
        Ok(())
    }

    fn save(&self, model: &GptForCausalLM, folder: &Path) -> Result<(), TaskError> {
        model.save(folder)?;
        let length = max_length(&self.tokenizer, self.config.max_seq_length);
        Ok(self.tokenizer.clone().with_max_length(length).save(folder)?)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<GptForCausalLM, TaskError> {
        Ok(GptForCausalLM::load(folder, device)?)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burnformer_models::GptTokens;
    use burnformer_ops::DeviceChoice;

    use super::*;

    /// transformers 5.24.0: the loss of a causal language model of these logits and `labels` `[0, 1, 2, 0]`, which stand
    /// under the tokens themselves.
    #[test]
    fn the_loss_is_that_of_transformers() {
        let device = DeviceChoice::Auto.open().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let vocabulary = folder.path().join("vocab.txt");
        std::fs::write(&vocabulary, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n").unwrap();
        let config = GptConfig::preset("gpt-tiny", 4, GptTokens::default()).unwrap();
        let task = CausalLmTask::new(config, Tokenizer::load(vocabulary).unwrap()).unwrap();
        let logits = [[0.2_f32, -1.0, 0.5], [1.5, 0.1, -0.3], [-0.7, 0.9, 0.4]];
        let labels = TensorData::new(vec![1_i32, 2, 0], [3]);
        let (loss, scores) = task.score(Tensor::from_data(logits, &device), Tensor::from_data(labels, &device));
        let mut state = task.metric_state();
        state.tokens = 3;
        let scores = scores.read().unwrap();
        state.loss_sum += scores.one("loss").unwrap();
        assert!((f64::from(loss.into_scalar::<f32>()) / 3.0 - 2.170_782_566).abs() < 1e-6);
        assert!((state.loss() - 2.170_782_566).abs() < 1e-6);
        assert_eq!(scores.one("correct").unwrap(), 0.0);
        let [_, (name, perplexity), _] = state.metrics()[..] else { panic!("{:?}", state.metrics()) };
        assert_eq!(name, "perplexity");
        assert!((perplexity - 8.765_14).abs() < 1e-4, "{perplexity}");
    }
}
