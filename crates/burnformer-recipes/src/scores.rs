//! Scores of models for reports.

use std::collections::BTreeMap;

use burn::tensor::Device;
use burnformer_data::DataError;
use burnformer_data::batches::{ClassificationBatch, PretrainingBatch, TextPairBatch};
use burnformer_models::{BertForPreTraining, BertForSequenceClassification, Seq2Seq};
use burnformer_reports::{ClassificationScores, PairScores, PretrainingScores};
use burnformer_tasks::metrics::{ConfusionMatrix, entropy, wilson_interval};
use burnformer_tasks::{ClassificationTask, MetricState, PretrainingTask, TranslationTask, evaluate};

use crate::{Context, RecipeError};

/// Measures a model on batches of texts with labels. It is on `device`, without gradients.
pub(crate) fn classification(
    task: &ClassificationTask,
    model: &BertForSequenceClassification,
    (batches, n_texts): (impl Iterator<Item = Result<ClassificationBatch, DataError>>, u64),
    seed: u64,
    device: &Device,
    context: &Context<'_>,
) -> Result<ClassificationScores, RecipeError> {
    let metric_state = evaluate(task, model, batches, n_texts, device, context.observer, &context.interrupt())?;
    let loss = metric_state.loss_sum / metric_state.confusion.total().max(1) as f64;
    Ok(of_confusion(&metric_state.confusion, Some(loss), task.labels(), seed))
}

/// The scores that follow from a confusion matrix, and the mean loss where there is one.
pub(crate) fn of_confusion(
    confusion: &ConfusionMatrix,
    loss: Option<f64>,
    labels: &[String],
    seed: u64,
) -> ClassificationScores {
    ClassificationScores {
        texts: confusion.total(),
        loss,
        accuracy: confusion.accuracy(),
        accuracy_standard_error: confusion.accuracy_standard_error(),
        macro_f1: confusion.macro_f1(),
        macro_f1_standard_error: confusion.macro_f1_standard_error(seed),
        labels: labels.to_vec(),
        confusion: confusion.counts().to_vec(),
    }
}

/// Entropy of the hidden tokens of `batches`, in nats: the loss of a model that knows no more than how frequent each token
/// is.
pub(crate) fn unigram_entropy(
    batches: impl Iterator<Item = Result<PretrainingBatch, DataError>>,
) -> Result<f64, DataError> {
    let mut counts = BTreeMap::new();
    for batch in batches {
        for label in batch?.masked_labels {
            *counts.entry(label).or_insert(0) += 1;
        }
    }
    Ok(entropy(counts.into_values()))
}

/// Measures a model on batches with hidden tokens. It is on `device`, without gradients.
pub(crate) fn pretraining(
    task: &PretrainingTask,
    model: &BertForPreTraining,
    (batches, n_samples): (impl Iterator<Item = Result<PretrainingBatch, DataError>>, u64),
    unigram_entropy: f64,
    device: &Device,
    context: &Context<'_>,
) -> Result<PretrainingScores, RecipeError> {
    let metric_state = evaluate(task, model, batches, n_samples, device, context.observer, &context.interrupt())?;
    Ok(PretrainingScores {
        samples: n_samples,
        masked_tokens: metric_state.masked,
        pairs: metric_state.pairs,
        metrics: metric_state.metrics().into_iter().collect(),
        unigram_entropy,
        nsp_accuracy_interval: (metric_state.pairs > 0)
            .then(|| wilson_interval(metric_state.pairs_correct, metric_state.pairs, 1.96)),
    })
}

/// Measures a model on batches of pairs of texts. It is on `device`, without gradients.
pub(crate) fn pairs(
    task: &TranslationTask,
    model: &Seq2Seq,
    (batches, n_pairs): (impl Iterator<Item = Result<TextPairBatch, DataError>>, u64),
    device: &Device,
    context: &Context<'_>,
) -> Result<PairScores, RecipeError> {
    let metric_state = evaluate(task, model, batches, n_pairs, device, context.observer, &context.interrupt())?;
    Ok(PairScores {
        pairs: n_pairs,
        target_tokens: metric_state.tokens,
        metrics: metric_state.metrics().into_iter().collect(),
    })
}
