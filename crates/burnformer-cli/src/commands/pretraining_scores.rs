//! How good a model is on hidden tokens and pairs of texts.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use anyhow::Result;
use burn::tensor::Device;
use burnformer::data::batches::PretrainingBatch;
use burnformer::data::datasets::PretrainingDataset;
use burnformer::models::BertForPreTraining;
use burnformer::tasks::metrics::{entropy, wilson_interval};
use burnformer::tasks::{Metric, MetricState, PretrainingTask, evaluate};
use burnformer::train::TrainConfig;
use serde::Serialize;

use super::Context;
use crate::output::fact;

/// The samples that a model is measured on, always the same.
pub(super) struct Sampled {
    samples: Arc<PretrainingDataset>,
    train: TrainConfig,
    pad_id: u32,
    seed: u64,
    /// Entropy of the hidden tokens, in nats: the loss of a model that knows no more than how frequent each token is.
    pub(super) unigram_entropy: f64,
}

/// How good a model is on hidden tokens and pairs of texts.
#[derive(Serialize)]
pub(super) struct PretrainingScores {
    samples: u64,
    masked_tokens: u64,
    pairs: u64,
    #[serde(serialize_with = "as_object")]
    metrics: Vec<Metric>,
    /// Entropy of the hidden tokens, in nats: the loss of a model that knows no more than how frequent each token is.
    unigram_entropy: f64,
    /// 95 % interval of the accuracy on pairs.
    nsp_accuracy_interval: Option<(f64, f64)>,
}

/// Metrics as an object with a key for each.
pub(super) fn as_object<S: serde::Serializer>(metrics: &[Metric], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metrics.iter().copied())
}

impl Sampled {
    /// Those of `samples` that a run with the settings `train` evaluates on.
    pub(super) fn new(samples: Arc<PretrainingDataset>, train: TrainConfig, pad_id: u32, seed: u64) -> Result<Self> {
        let (batches, _) = train.validation::<PretrainingBatch>(&samples, pad_id, seed)?;
        let mut counts = BTreeMap::new();
        for batch in batches {
            for label in batch?.masked_labels {
                *counts.entry(label).or_insert(0) += 1;
            }
        }
        Ok(Self { samples, train, pad_id, seed, unigram_entropy: entropy(counts.into_values()) })
    }

    /// Measures `model`, which tracks no gradients and is on `device`.
    pub(super) fn score(
        &self,
        task: &PretrainingTask,
        model: &BertForPreTraining,
        device: &Device,
        context: &Context,
    ) -> Result<PretrainingScores> {
        let (batches, n_samples) = self.train.validation(&self.samples, self.pad_id, self.seed)?;
        let metric_state = evaluate(task, model, batches, n_samples, device, &context.terminal, &context.interrupt)?;
        Ok(PretrainingScores {
            samples: n_samples,
            masked_tokens: metric_state.masked,
            pairs: metric_state.pairs,
            metrics: metric_state.metrics(),
            unigram_entropy: self.unigram_entropy,
            nsp_accuracy_interval: (metric_state.pairs > 0)
                .then(|| wilson_interval(metric_state.pairs_correct, metric_state.pairs, 1.96)),
        })
    }
}

impl PretrainingScores {
    /// Each number with its name and what belongs to it.
    pub(super) fn lines(&self) -> Vec<(String, String)> {
        let line = |(name, value): &Metric| {
            let more = match (*name, self.nsp_accuracy_interval) {
                ("mlm_loss", _) => format!(" nats (unigram entropy {:.4})", self.unigram_entropy),
                ("mlm_accuracy", _) => format!(" ({} masked tokens)", self.masked_tokens),
                ("nsp_accuracy", Some((low, high))) => {
                    format!(" (95 % interval {low:.4} to {high:.4}, {} pairs)", self.pairs)
                }
                _ => String::new(),
            };
            (name.replace('_', " "), format!("{value:.4}{more}"))
        };
        self.metrics.iter().map(line).collect()
    }
}

impl Display for PretrainingScores {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|(name, value)| fact(f, name, value))
    }
}
