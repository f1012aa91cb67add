//! Evaluation of model folders on data.

use std::path::Path;
use std::sync::Arc;

use burnformer_core::settings;
use burnformer_data::batches::{
    BatchConfig, BatchSize, Batches, ClassificationCollator, Padding, PretrainingCollator, TokenClassificationCollator,
};
use burnformer_data::corpus::Corpus;
use burnformer_data::datasets::{
    ClassificationDataset, Dataset, PretrainingConfig, PretrainingDataset, TokenClassificationDataset,
};
use burnformer_data::labelled::LabelledTexts;
use burnformer_data::source::{OnBadRow, Source};
use burnformer_data::split::{Split, SplitConfig, Subset};
use burnformer_data::tagged::TaggedTexts;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{
    BertConfig, BertForPreTraining, BertForSequenceClassification, BertForTokenClassification, Head, ModelClass,
    Outputs, Pretrained,
};
use burnformer_reports::{CausalLmScores, ClassificationScores, PretrainingScores, TokenClassificationScores};
use burnformer_tasks::{ClassificationTask, PretrainingTask, TokenClassificationTask};
use burnformer_train::{RunFolder, TrainConfig};
use serde::Serialize;

use crate::{Context, FinetuneSettings, Note, PretrainSettings, RecipeError, SEED, evaluate_causal_lm, scores};

/// Scores of a model on labelled texts, as its head is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum LabelledScores {
    /// Of a classifier of texts.
    Classes(ClassificationScores),
    /// Of a classifier of tokens.
    Tags(TokenClassificationScores),
}

/// Scores of a model on a corpus, as its head is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum CorpusScores {
    /// Of a model with a head for masked tokens.
    Pretraining(PretrainingScores),
    /// Of a causal language model.
    CausalLm(CausalLmScores),
}

/// Evaluates the classifier of texts or tokens in `folder` on labelled texts, `batch_size` at a time.
///
/// # Errors
/// If there is no such model, texts cannot be read, or have labels that it does not know; an interruption.
pub fn evaluate_labelled(
    folder: &Path,
    source: &dyn Source,
    on_bad_row: OnBadRow,
    batch_size: usize,
    context: &Context<'_>,
) -> Result<LabelledScores, RecipeError> {
    Ok(match ModelClass::of(folder)?.head() {
        Head::TokenClassification => {
            LabelledScores::Tags(evaluate_token_classifier(folder, source, on_bad_row, batch_size, context)?)
        }
        // Refuses models that are no classifiers.
        _ => LabelledScores::Classes(evaluate_classifier(folder, source, on_bad_row, batch_size, context)?),
    })
}

/// Evaluates the language model in `folder` on a corpus or a part of it, `batch_size` samples at a time.
///
/// # Errors
/// If there is no such model or corpus, or they do not go together; an interruption.
pub fn evaluate_on_corpus(
    folder: &Path,
    corpus: &Path,
    part: Option<Subset>,
    batch_size: usize,
    context: &Context<'_>,
) -> Result<CorpusScores, RecipeError> {
    Ok(match ModelClass::of(folder)?.head() {
        Head::CausalLm => CorpusScores::CausalLm(evaluate_causal_lm(folder, corpus, part, batch_size, context)?),
        // Refuses models without a head for masked tokens.
        _ => CorpusScores::Pretraining(evaluate_pretraining(folder, corpus, part, batch_size, context)?),
    })
}

/// Evaluates the classifier in `folder` on labelled texts, `batch_size` at a time.
///
/// # Errors
/// If there is no such model, texts cannot be read, or have labels that it does not know; an interruption.
pub fn evaluate_classifier(
    folder: &Path,
    source: &dyn Source,
    on_bad_row: OnBadRow,
    batch_size: usize,
    context: &Context<'_>,
) -> Result<ClassificationScores, RecipeError> {
    let device = context.device.open()?;
    let model = BertForSequenceClassification::load(folder, &device)?;
    if model.outputs() != Outputs::Classes {
        return Err(RecipeError::NotClasses { folder: folder.to_owned(), found: model.outputs().noun() });
    }
    let (config, labels) = (model.config().clone(), model.labels().to_vec());
    let tokenizer = Tokenizer::load(folder)?;
    let (observer, interrupt) = (context.observer, context.interrupt());
    let (texts, skipped) = LabelledTexts::read_with_labels(source, labels.clone(), on_bad_row, observer, &interrupt)?;
    observer.note(&Note::SkippedRows(&skipped));
    let (seed, max_seq_length) = of_finetuning(folder, &config)?;
    let samples = Arc::new(ClassificationDataset::new(&texts, &tokenizer, max_seq_length, seed)?);
    let (pad_id, n_samples) = (tokenizer.specials().pad_id.unwrap_or(config.pad_id), samples.per_epoch());
    let cut = samples.n_cut();
    observer.note(&Note::TextsCut { cut, texts: n_samples, max_length: max_seq_length, part: "evaluated" });
    let collator = ClassificationCollator { padding: padding(pad_id, config.max_seq_length) };
    let batches = Batches::epoch(samples, &collator, &batches_of(batch_size), seed)?;
    let task = ClassificationTask::new(config, tokenizer, labels)?;
    let found = scores::classification(&task, &model, (batches, n_samples), seed, &device, context)?;
    check_loss(folder, found.loss)?;
    Ok(found)
}

/// Evaluates the token classifier in `folder` on tagged sentences, `batch_size` at a time.
///
/// # Errors
/// If there is no such model, sentences cannot be read, or have tags that it does not know; an interruption.
pub fn evaluate_token_classifier(
    folder: &Path,
    source: &dyn Source,
    on_bad_row: OnBadRow,
    batch_size: usize,
    context: &Context<'_>,
) -> Result<TokenClassificationScores, RecipeError> {
    let device = context.device.open()?;
    let model = BertForTokenClassification::load(folder, &device)?;
    let (config, labels) = (model.config().clone(), model.labels().to_vec());
    let tokenizer = Tokenizer::load(folder)?;
    let (observer, interrupt) = (context.observer, context.interrupt());
    let (texts, skipped) = TaggedTexts::read_with_labels(source, labels.clone(), on_bad_row, observer, &interrupt)?;
    observer.note(&Note::SkippedRows(&skipped));
    let (seed, max_seq_length) = of_finetuning(folder, &config)?;
    let samples = Arc::new(TokenClassificationDataset::new(&texts, &tokenizer, max_seq_length, seed)?);
    let (pad_id, n_samples) = (tokenizer.specials().pad_id.unwrap_or(config.pad_id), samples.per_epoch());
    let collator = TokenClassificationCollator { padding: padding(pad_id, config.max_seq_length) };
    let batches = Batches::epoch(Arc::clone(&samples), &collator, &batches_of(batch_size), seed)?;
    let task = TokenClassificationTask::new(config, tokenizer, labels)?;
    let found = scores::tokens(&task, &model, (batches, n_samples), &device, context)?;
    check_loss(folder, Some(found.loss))?;
    Ok(scores::with_lost_words(found, &texts, samples.lost_words()))
}

/// Evaluates the pretrained model in `folder` on a corpus or a part of it, `batch_size` samples at a time. Seed, split and
/// samples are those of the training run, if the folder is a run folder.
///
/// # Errors
/// If there is no such model or corpus, or they do not go together; an interruption.
pub fn evaluate_pretraining(
    folder: &Path,
    corpus: &Path,
    part: Option<Subset>,
    batch_size: usize,
    context: &Context<'_>,
) -> Result<PretrainingScores, RecipeError> {
    let device = context.device.open()?;
    let model = BertForPreTraining::load(folder, &device)?;
    let config = model.config().clone();
    let corpus = Arc::new(Corpus::open(corpus)?);
    let tokenizer = Tokenizer::load(folder)?;
    corpus.check_tokenizer(&tokenizer).map_err(burnformer_data::DataError::from)?;
    let (seed, split, samples) = of_pretraining(folder, &config)?;
    // A model that was not trained for it has no head for it.
    let next_sentence = samples.next_sentence && model.has_next_sentence();
    let samples = PretrainingConfig { next_sentence, ..samples };
    let documents = documents_of(&corpus, part, &split, seed)?;
    let samples = Arc::new(PretrainingDataset::new(corpus, &documents, &tokenizer, &samples, seed)?);
    let (pad_id, n_samples) = (tokenizer.specials().pad_id.unwrap_or(config.pad_id), samples.per_epoch());
    let collator = PretrainingCollator { padding: padding(pad_id, config.max_seq_length) };
    let batches = || Batches::epoch(Arc::clone(&samples), &collator, &batches_of(batch_size), seed);
    let unigram_entropy = scores::unigram_entropy(batches()?)?;
    let task = PretrainingTask::new(config, tokenizer)?;
    let found = scores::pretraining(&task, &model, (batches()?, n_samples), unigram_entropy, &device, context)?;
    check_loss(folder, found.metrics.get("loss"))?;
    Ok(found)
}

/// Refuses scores of a model that computes with numbers that are not finite.
pub(crate) fn check_loss(folder: &Path, loss: Option<f64>) -> Result<(), RecipeError> {
    match loss.filter(|loss| !loss.is_finite()) {
        Some(_) => Err(RecipeError::NotFiniteLoss { folder: folder.to_owned() }),
        None => Ok(()),
    }
}

/// Seed and longest text as in the run of the model, or the defaults if the folder is not that of a run.
fn of_finetuning(folder: &Path, config: &BertConfig) -> Result<(u64, usize), RecipeError> {
    let file = RunFolder::settings_file(folder);
    if file.is_file() {
        let settings: FinetuneSettings = settings::reload(&file, &[])?;
        return Ok((settings.seed, settings.max_seq_length.min(config.max_seq_length)));
    }
    Ok((SEED, config.max_seq_length))
}

/// Seed, split and samples as in the run of the model, or the defaults if the folder is not that of a run.
fn of_pretraining(folder: &Path, config: &BertConfig) -> Result<(u64, SplitConfig, PretrainingConfig), RecipeError> {
    let file = RunFolder::settings_file(folder);
    if file.is_file() {
        let settings: PretrainSettings = settings::reload(&file, &[])?;
        return Ok((settings.seed, settings.data.split, settings.data.samples));
    }
    let default = PretrainingConfig::default();
    let max_seq_length = default.max_seq_length.min(config.max_seq_length);
    Ok((SEED, SplitConfig::default(), PretrainingConfig { max_seq_length, ..default }))
}

/// The documents of a part of the corpus, or all of them.
pub(crate) fn documents_of(
    corpus: &Corpus,
    part: Option<Subset>,
    split: &SplitConfig,
    seed: u64,
) -> Result<Vec<u32>, RecipeError> {
    let Some(part) = part else { return Ok((0..corpus.n_documents()).collect()) };
    let split = Split::of(corpus, split, seed)?;
    Ok(match part {
        Subset::Train => split.train,
        Subset::Validation => split.validation,
        Subset::Test => split.test,
    })
}

/// Padding of a run with default settings, for a model that takes at most `max_length` tokens.
pub(crate) fn padding(pad_id: u32, max_length: usize) -> Padding {
    TrainConfig::default().padding(pad_id, max_length)
}

/// Batches of `batch_size` samples, at least one.
pub(crate) fn batches_of(batch_size: usize) -> BatchConfig {
    let batch_size = batch_size.max(1);
    BatchConfig { size: BatchSize::Sequences(batch_size), window: batch_size.max(1024), ..BatchConfig::default() }
}
