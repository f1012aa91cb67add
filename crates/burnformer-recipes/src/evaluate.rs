//! Evaluation of model folders on data.

use std::path::Path;
use std::sync::Arc;

use burnformer_core::settings;
use burnformer_data::batches::{BatchConfig, BatchSize, Batches, Padding, PretrainingCollator};
use burnformer_data::corpus::Corpus;
use burnformer_data::datasets::{Dataset, PretrainingConfig, PretrainingDataset};
use burnformer_data::readers::{Format, Input, TextLayout};
use burnformer_data::source::{OnBadRow, Source};
use burnformer_data::split::{Split, SplitConfig, Subset};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForPreTraining, Head, ModelClass, Pretrained};
use burnformer_reports::{CausalLmScores, Evaluation, PretrainingScores};
use burnformer_tasks::PretrainingTask;
use burnformer_train::{RunFolder, TrainConfig};
use serde::Serialize;

use crate::finetune::{Base, Examples, Supervised, Visitor, visit, with_task};
use crate::{
    AnyReport, Context, FinetuneSettings, FinetuneTask, Note, PretrainSettings, RecipeError, SEED, evaluate_causal_lm,
    scores,
};

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

/// Evaluates the model in `folder` on rows with labels, as its head is, `batch_size` at a time. `data` names them in the report.
///
/// # Errors
/// If there is no such model, rows cannot be read, or have labels that it does not know; an interruption.
pub fn evaluate_labelled(
    folder: &Path,
    (source, data): (&dyn Source, &str),
    on_bad_row: OnBadRow,
    batch_size: usize,
    context: &Context<'_>,
) -> Result<Box<dyn AnyReport>, RecipeError> {
    struct Work<'a>(&'a Path, (&'a dyn Source, &'a str), OnBadRow, usize, &'a Context<'a>);
    impl Visitor for Work<'_> {
        type Output = Result<Box<dyn AnyReport>, RecipeError>;
        fn visit<S: Supervised>(self) -> Self::Output {
            let Self(folder, (source, data), on_bad_row, batch_size, context) = self;
            let scores = evaluate_supervised::<S>(folder, source, on_bad_row, batch_size, context)?;
            Ok(Box::new(Evaluation { folder: folder.to_owned(), data: data.to_owned(), scores }))
        }
    }
    visit(FinetuneTask::of_model(folder)?, Work(folder, (source, data), on_bad_row, batch_size, context))
}

/// Evaluates the model in `folder`, which was trained for the task `S`, on rows with labels, `batch_size` at a time. Seed and
/// longest text are those of its run, if the folder is a run folder.
///
/// # Errors
/// As [`evaluate_labelled`].
pub fn evaluate_supervised<S: Supervised>(
    folder: &Path,
    source: &dyn Source,
    on_bad_row: OnBadRow,
    batch_size: usize,
    context: &Context<'_>,
) -> Result<S::Scores, RecipeError> {
    let device = context.device.open()?;
    let model = context.prepared(S::Model::load(folder, &device)?)?;
    let base = Base::load(folder)?;
    let settings = FinetuneSettings { on_bad_row, ..of_finetuning(folder, &base)? };
    let base = base.with_settings(&settings);
    let supervised = S::of_model(&model, &base, &settings, folder)?;
    let (observer, interrupt, seed) = (context.observer, context.interrupt(), settings.seed);
    let known = Some(supervised.labels().to_vec());
    let texts = S::Texts::read(source, known, &settings, observer, &interrupt);
    let (texts, skipped) = texts.map_err(|error| with_task(error, S::TASK))?;
    observer.note(&Note::SkippedRows(&skipped));
    S::check_texts(&[&texts], None)?;
    let samples = Arc::new(supervised.samples(&texts, &base, seed)?);
    supervised.announce(&texts, &samples, "evaluated", &base, context);
    let collator = supervised.collator(padding(base.pad_id(), base.config.max_seq_length));
    let batches = Batches::dealt(Arc::clone(&samples), &collator, &batches_of(batch_size), seed, context.place())?;
    let scores = supervised.measure(&model, (&texts, &samples), batches, seed, &device, context)?;
    check_loss(folder, S::loss(&scores))?;
    Ok(scores)
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
    let model = context.prepared(BertForPreTraining::load(folder, &device)?)?;
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
    let batches = || Batches::dealt(Arc::clone(&samples), &collator, &batches_of(batch_size), seed, context.place());
    let unigram_entropy = scores::unigram_entropy(batches()?, context.collective)?;
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

/// The settings of the run of the model, or the defaults if the folder is not that of a run, for texts as long as its
/// tokenizer and the model allow.
fn of_finetuning(folder: &Path, base: &Base) -> Result<FinetuneSettings, RecipeError> {
    let file = RunFolder::settings_file(folder);
    if file.is_file() {
        return Ok(settings::reload(&file, &[])?);
    }
    // Rows come from the caller.
    let data = Input::new(Vec::new(), Format::Text { layout: TextLayout::Lines });
    let of_model = base.max_seq_length;
    let max_seq_length = base.tokenizer.max_length().map_or(of_model, |of_tokenizer| of_tokenizer.min(of_model));
    Ok(FinetuneSettings { max_seq_length, ..FinetuneSettings::new(folder, data) })
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
