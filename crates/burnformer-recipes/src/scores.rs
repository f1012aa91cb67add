//! Scores of models for reports.

use std::collections::BTreeMap;

use burn::tensor::Device;
use burnformer_core::collective::{Collective, agree};
use burnformer_data::DataError;
use burnformer_data::batches::{Dealt, PretrainingBatch, TextPairBatch};
use burnformer_data::datasets::LostWords;
use burnformer_data::tagged::{TaggedExample, TaggedTexts};
use burnformer_models::{BertForPreTraining, Seq2Seq};
use burnformer_reports::{EntityTypeScores, PairScores, PretrainingScores, StrictScores, TokenClassificationScores};
use burnformer_tasks::metrics::{EntityScores, entropy, n_stray_tags, wilson_interval};
use burnformer_tasks::{MetricState, PretrainingTask, TokenClassificationMetricState, TranslationTask};

use crate::{Context, RecipeError};

/// The scores of a token classifier with these tags.
pub(crate) fn of_tags(state: &TokenClassificationMetricState, labels: &[String]) -> TokenClassificationScores {
    let (all, mean, weighted) =
        (state.entities.micro(), state.entities.macro_average(), state.entities.weighted_average());
    let by_type = state.entities.by_type().map(|(label, scores)| EntityTypeScores {
        label: label.to_owned(),
        precision: scores.precision,
        recall: scores.recall,
        f1: scores.f1,
        support: scores.support,
    });
    TokenClassificationScores {
        sentences: state.sentences,
        words: state.words,
        words_cut_off: 0,
        words_without_tokens: 0,
        invalid_tags: 0,
        invalid_predicted_tags: if marks_beginnings(labels) { state.stray_tags } else { 0 },
        loss: state.loss(),
        accuracy: state.accuracy(),
        precision: all.precision,
        recall: all.recall,
        f1: all.f1,
        macro_f1: mean.f1,
        weighted_f1: weighted.f1,
        strict: (!state.strict.is_empty()).then(|| of_entities(state.strict.micro())),
        by_word: state.by_word,
        entities: by_type.collect(),
    }
}

fn of_entities(scores: EntityScores) -> StrictScores {
    let EntityScores { precision, recall, f1, .. } = scores;
    StrictScores { precision, recall, f1 }
}

/// `scores`, with what of `texts` is not in any sample or not tagged as it should be.
pub(crate) fn with_lost_words(
    scores: TokenClassificationScores,
    texts: &TaggedTexts,
    lost: LostWords,
) -> TokenClassificationScores {
    TokenClassificationScores {
        words_cut_off: lost.cut_off as u64,
        words_without_tokens: lost.empty as u64,
        invalid_tags: invalid_tags(texts),
        ..scores
    }
}

/// Number of tags that should continue an entity and do not; 0 in schemes that do not mark beginnings.
pub(crate) fn invalid_tags(texts: &TaggedTexts) -> u64 {
    if !marks_beginnings(&texts.labels) {
        return 0;
    }
    let tags = |example: &TaggedExample| -> u64 {
        let tags: Vec<&str> = example.tags.iter().map(|&tag| texts.labels[tag as usize].as_str()).collect();
        n_stray_tags(&tags)
    };
    texts.examples.iter().map(tags).sum()
}

fn marks_beginnings(labels: &[String]) -> bool {
    labels.iter().any(|label| label.starts_with("B-"))
}

/// Entropy of the hidden tokens of `batches`, in nats: the loss of a model that knows no more than how frequent each token
/// is. Each process counts its own batches.
pub(crate) fn unigram_entropy(
    batches: impl Iterator<Item = Result<Dealt<PretrainingBatch>, DataError>>,
    collective: &dyn Collective,
) -> Result<f64, RecipeError> {
    let mut own = BTreeMap::<u32, u64>::new();
    let counted = batches.into_iter().try_for_each(|dealt| {
        for label in dealt?.batch.into_iter().flat_map(|batch| batch.masked_labels) {
            *own.entry(label).or_default() += 1;
        }
        Ok::<_, RecipeError>(())
    });
    let mut counts = BTreeMap::<u32, u64>::new();
    for (label, n) in agree(collective, counted.map(|()| own))?.into_iter().flatten() {
        *counts.entry(label).or_default() += n;
    }
    Ok(entropy(counts.into_values()))
}

/// Evaluates a model on masked batches. It is on `device`, without gradients.
pub(crate) fn pretraining(
    task: &PretrainingTask,
    model: &BertForPreTraining,
    (batches, n_samples): (impl Iterator<Item = Result<Dealt<PretrainingBatch>, DataError>>, u64),
    unigram_entropy: f64,
    device: &Device,
    context: &Context<'_>,
) -> Result<PretrainingScores, RecipeError> {
    let metric_state = context.evaluation(device).run(task, model, batches, n_samples)?;
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
    (batches, n_pairs): (impl Iterator<Item = Result<Dealt<TextPairBatch>, DataError>>, u64),
    device: &Device,
    context: &Context<'_>,
) -> Result<PairScores, RecipeError> {
    let metric_state = context.evaluation(device).run(task, model, batches, n_pairs)?;
    Ok(PairScores {
        pairs: n_pairs,
        target_tokens: metric_state.tokens,
        metrics: metric_state.metrics().into_iter().collect(),
    })
}
