//! The task of translation.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use burnformer_core::progress::Interrupt;
use burnformer_data::batches::{Padded, PaddedTensors, TextPairBatch};
use burnformer_models::{
    Convention, GenerationConfig, GenerationInput, Pretrained, Seq2Seq, Seq2SeqConfig, Seq2SeqInput, Staged,
};
use burnformer_nn::{CrossEntropyLoss, CrossEntropyLossConfig, DropoutRng, best_tokens};
use serde::{Deserialize, Serialize};

use super::TranslationTokenizers;
use crate::encode::{check_vocabulary, mask_pad};
use crate::metrics::{Bleu, BleuStatistics, CorpusMetric, perplexity};
use crate::{Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact};

/// Predicts each target token from the source and the target tokens before it. The loss is the mean over target tokens,
/// the end token included, of the cross-entropy with label smoothing.
///
/// Source: Vaswani et al. 2017, section 5.
#[derive(Debug)]
pub struct TranslationTask {
    config: Seq2SeqConfig,
    tokenizers: TranslationTokenizers,
    loss: CrossEntropyLoss,
    /// Loss without smoothing, where `loss` is smoothed.
    exact_loss: Option<CrossEntropyLoss>,
    /// Decoding and metric of the translations in evaluations; `None` translates nothing.
    translation: Option<(GenerationConfig, Bleu)>,
}

impl TranslationTask {
    /// Training of models with these settings; `label_smoothing` is the share of the target distribution that is spread
    /// evenly over the vocabulary, 0.1 in the paper.
    ///
    /// # Errors
    /// If a tokenizer has more tokens than the model.
    ///
    /// # Panics
    /// If `label_smoothing` is not in `[0, 1)`.
    pub fn new(
        config: Seq2SeqConfig,
        tokenizers: TranslationTokenizers,
        label_smoothing: f64,
    ) -> Result<Self, TaskError> {
        check_vocabulary(tokenizers.source(), config.source_vocab_size)?;
        check_vocabulary(tokenizers.target(), config.target_vocab_size)?;
        let loss = CrossEntropyLossConfig::new();
        let exact_loss = (label_smoothing > 0.0).then(|| loss.init());
        let loss = loss.with_label_smoothing(label_smoothing).init();
        Ok(Self { config, tokenizers, loss, exact_loss, translation: None })
    }

    /// Makes evaluations translate with the settings `generation`: they add the BLEU of the translations to the
    /// metrics, and select the best model by it. Translation and reference are compared as the tokenizer decodes them.
    /// What else the settings of generation in the model's folder say, as [`Self::search_of`] tells, is followed.
    #[must_use]
    pub fn with_bleu(self, generation: GenerationConfig, bleu: Bleu) -> Self {
        Self { translation: Some((generation, bleu)), ..self }
    }

    /// The settings of generation in the model's folder, or `search` if it has none, with the beams and the sampling of
    /// `search`.
    ///
    /// # Errors
    /// If the settings of the folder cannot be followed.
    pub fn search_of(model: &Seq2Seq, search: &GenerationConfig) -> Result<GenerationConfig, TaskError> {
        let file = model.generation_file();
        let GenerationConfig { n_beams, n_best, sampling, .. } = search.clone();
        let settings = GenerationConfig { n_beams, n_best, sampling, ..file.config(search.clone())? };
        file.check(&settings)?;
        Ok(settings)
    }

    /// Settings of the model.
    #[must_use]
    pub fn config(&self) -> &Seq2SeqConfig {
        &self.config
    }

    /// Tokenizers of both sides.
    #[must_use]
    pub fn tokenizers(&self) -> &TranslationTokenizers {
        &self.tokenizers
    }
}

/// Sums over target tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TranslationMetricState {
    /// Number of target tokens, end tokens included.
    pub tokens: u64,
    /// Number of target tokens whose most probable token is the right one.
    pub correct: u64,
    /// Sum of the losses, with smoothed labels, in nats.
    #[serde(with = "exact")]
    pub loss_sum: f64,
    /// Sum of the negative log-likelihoods, in nats.
    #[serde(with = "exact")]
    pub negative_log_likelihood_sum: f64,
    /// BLEU statistics of the translations; `None` without translations.
    pub bleu: Option<BleuStatistics>,
}

impl TranslationMetricState {
    /// Mean negative log-likelihood of a target token, in nats.
    #[must_use]
    pub fn negative_log_likelihood(&self) -> f64 {
        self.negative_log_likelihood_sum / self.tokens.max(1) as f64
    }
}

impl MetricState for TranslationMetricState {
    fn merge(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.correct += other.correct;
        self.loss_sum += other.loss_sum;
        self.negative_log_likelihood_sum += other.negative_log_likelihood_sum;
        if let Some(bleu) = other.bleu {
            *self.bleu.get_or_insert_default() += bleu;
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        let n_tokens = self.tokens.max(1) as f64;
        let mut metrics = vec![
            ("loss", self.loss_sum / n_tokens),
            ("perplexity", perplexity(self.negative_log_likelihood())),
            ("accuracy", self.correct as f64 / n_tokens),
        ];
        metrics.extend(self.bleu.map(|sum| ("bleu", Bleu::default().score(sum).score)));
        metrics
    }

    fn quality(&self) -> f64 {
        match self.bleu {
            Some(sum) => Bleu::default().score(sum).score,
            None => -self.negative_log_likelihood(),
        }
    }
}

impl Task for TranslationTask {
    type Model = Seq2Seq;
    type Batch = TextPairBatch;
    type Counts = u64;
    type MetricState = TranslationMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &TextPairBatch) -> u64 {
        batch.target.padding_stats().tokens
    }

    fn forward(
        &self,
        model: &Seq2Seq,
        batch: &TextPairBatch,
        totals: &u64,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let tensors = batch.to_device(self.config.decoder_start_id, device);
        let hidden = model.hidden(input(batch, tensors.source, tensors.target_inputs, rng));
        let [batch_size, target_length, d_model] = hidden.dims();
        let hidden = hidden.reshape([batch_size * target_length, d_model]);
        let hidden = match tensors.target_positions {
            Some(positions) => hidden.select(0, positions),
            None => hidden,
        };
        let logits = model.logits(hidden); // [n_tokens, target_vocab_size]
        let labels = tensors.target_labels;
        let n_tokens = self.config.target_vocab_size;
        let answers = best_tokens(logits.clone().inner(), n_tokens);
        let correct = answers.equal(labels.clone().inner()).float().sum();
        let exact =
            |loss: &CrossEntropyLoss| loss.forward_tokens(logits.clone().inner(), labels.clone().inner(), n_tokens).sum;
        let exact = self.exact_loss.as_ref().map(exact);
        let loss = self.loss.forward_tokens(logits, labels, n_tokens).sum;
        let sum = loss.clone().inner();
        let scores = Scores::new()
            .with("loss", sum.clone())
            .with("negative_log_likelihood", exact.unwrap_or(sum))
            .with("correct", correct);
        Forward { loss: loss / (*totals).max(1) as f64, scores }
    }

    fn staged(&self) -> Option<Arc<dyn Staged>> {
        Some(Arc::new(self.config.clone()))
    }

    fn body(&self, model: &Seq2Seq, batch: &TextPairBatch, rng: DropoutRng, device: &Device) {
        let tensors = batch.to_device(self.config.decoder_start_id, device);
        model.hidden(input(batch, tensors.source, tensors.target_inputs, rng));
    }

    fn metric_state(&self) -> TranslationMetricState {
        TranslationMetricState::default()
    }

    fn add_scores(
        &self,
        metric_state: &mut TranslationMetricState,
        batch: &TextPairBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        metric_state.tokens += self.counts(batch);
        metric_state.loss_sum += scores.one("loss")?;
        metric_state.negative_log_likelihood_sum += scores.one("negative_log_likelihood")?;
        metric_state.correct += scores.one("correct")? as u64;
        Ok(())
    }

    fn add_answers(
        &self,
        metric_state: &mut TranslationMetricState,
        model: &Seq2Seq,
        batch: &TextPairBatch,
        interrupt: &Interrupt,
    ) -> Result<(), TaskError> {
        let Some((search, bleu)) = &self.translation else { return Ok(()) };
        let rows = |padded: &Padded| -> Vec<Vec<u32>> {
            let rows = padded.ids.chunks(padded.seq_length.max(1)).zip(&padded.lengths);
            rows.map(|(row, &length)| row[..length].to_vec()).collect()
        };
        let sources = rows(&batch.source);
        let input = GenerationInput { interrupt: Some(interrupt), ..GenerationInput::new(&sources) };
        let generation = Self::search_of(model, search)?;
        let answers = model.generate(&generation, input)?;
        let skip_specials = generation.convention == Convention::Transformers;
        let text = |tokens: &[u32]| self.tokenizers.target().decode(tokens, skip_specials);
        for (answers, reference) in answers.iter().zip(rows(&batch.target)) {
            let reference = reference.split_last().map_or(&[][..], |(_, text)| text);
            let answer = answers.first().map_or(&[][..], |best| &best.tokens);
            let counts = bleu.sentence(&text(answer)?, &[&text(reference)?]);
            *metric_state.bleu.get_or_insert_default() += counts;
        }
        Ok(())
    }

    fn save(&self, model: &Seq2Seq, folder: &Path) -> Result<(), TaskError> {
        model.save(folder)?;
        self.tokenizers.save(folder, self.config.max_seq_length)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<Seq2Seq, TaskError> {
        Ok(Seq2Seq::load(folder, device)?)
    }
}

fn input(batch: &TextPairBatch, source: PaddedTensors, target: Tensor<2, Int>, rng: DropoutRng) -> Seq2SeqInput {
    Seq2SeqInput {
        source: source.ids,
        target,
        source_mask_pad: mask_pad(&batch.source, source.mask_pad),
        // Padding stands behind the last token, which nothing that counts looks at.
        target_mask_pad: None,
        rng,
    }
}
