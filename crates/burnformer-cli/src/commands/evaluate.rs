//! `burnformer evaluate`: how good a model is.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use burn::tensor::Device;
use burnformer::core::settings;
use burnformer::data::corpus::Corpus;
use burnformer::data::datasets::{ClassificationDataset, PretrainingConfig, PretrainingDataset};
use burnformer::data::labelled::LabelledTexts;
use burnformer::data::split::{Split, SplitConfig};
use burnformer::data::tokenizer::Tokenizer;
use burnformer::models::{BertConfig, BertForPreTraining, BertForSequenceClassification, Head, ModelClass, Pretrained};
use burnformer::tasks::{ClassificationTask, PretrainingTask};
use burnformer::train::{RunFolder, TrainConfig};
use clap::ValueEnum;
use serde::Serialize;

use super::classification_scores::ClassificationScores;
use super::finetune::Measured;
use super::pretraining_scores::{PretrainingScores, Sampled};
use super::training::SEED;
use super::{Context, Outcome, evaluate_translation};
use crate::args::{EvaluateArgs, Part};
use crate::errors::Advised;
use crate::output::fact;
use crate::settings::{FinetuneSettings, PretrainSettings};
use crate::{input, records};

/// How good a model is.
#[derive(Serialize)]
struct Report<S> {
    folder: PathBuf,
    data: String,
    #[serde(flatten)]
    scores: S,
}

pub(super) fn run(args: &EvaluateArgs, context: &Context) -> Result<Outcome> {
    let device = args.device.device.open()?;
    let format = args.report.format;
    let other = |kind: &str, hint: &str| {
        Advised::new(format!("`{}` holds a {kind}", args.folder.display()), hint.to_owned()).into()
    };
    let head = ModelClass::of(&args.folder)?.head();
    if head != Head::Seq2Seq
        && let Some(flag) = args.translation.flags.first()
    {
        return Err(other("model that is not a translation model", &format!("leave out `{flag}`")));
    }
    if head == Head::Seq2Seq && args.format.label_column.is_some() {
        return Err(other("translation model, which cannot be evaluated on labels", "leave out `--label-column`"));
    }
    match (head, &args.corpus) {
        (Head::SequenceClassification, None) => {
            context.terminal.report(&on_texts(args, &device, context)?, format)?;
        }
        (Head::SequenceClassification, Some(_)) => {
            return Err(other(
                "classifier, which cannot be evaluated on a corpus",
                "name labelled texts with `--input`",
            ));
        }
        (Head::Seq2Seq, None) => {
            context.terminal.report(&evaluate_translation::run(args, &device, context)?, format)?;
        }
        (Head::Seq2Seq, Some(_)) => {
            let hint = "name texts with `--input`, and their references with `--pair-input` or `--pair-column`";
            return Err(other("translation model, which cannot be evaluated on a corpus", hint));
        }
        (_, Some(_)) => context.terminal.report(&on_corpus(args, &device, context)?, format)?,
        (_, None) => {
            return Err(other(
                "pretrained model, which cannot be evaluated on labels",
                "name a corpus with `--corpus`",
            ));
        }
    }
    Ok(Outcome::Done)
}

fn on_texts(args: &EvaluateArgs, device: &Device, context: &Context) -> Result<Report<ClassificationScores>> {
    let model = BertForSequenceClassification::load(&args.folder, device)?;
    let (config, labels) = (model.config().clone(), model.labels().to_vec());
    let tokenizer = Tokenizer::load(&args.folder)?;
    let source = input::open(&args.input, &args.format)?;
    let policy = args.format.on_bad_row;
    let (texts, skipped) =
        LabelledTexts::read_with_labels(&source, labels.clone(), policy, &context.terminal, &context.interrupt)?;
    records::warn_of_skipped(&context.terminal, &skipped);
    let (seed, max_seq_length) = of_finetuning(args, &config)?;
    let samples = Arc::new(ClassificationDataset::new(&texts, &tokenizer, max_seq_length, seed)?);
    let pad_id = tokenizer.specials().pad_id.unwrap_or(config.pad_id);
    let task = ClassificationTask::new(config, tokenizer, labels)?;
    let train = batches_of(args);
    let measured = Measured { task: &task, pad_id, train: &train, seed };
    let scores = measured.score(&model, &samples, device, context)?;
    Ok(Report { folder: args.folder.clone(), data: args.input.join(", "), scores })
}

fn on_corpus(args: &EvaluateArgs, device: &Device, context: &Context) -> Result<Report<PretrainingScores>> {
    let path = args.corpus.clone().unwrap_or_default();
    let model = BertForPreTraining::load(&args.folder, device)?;
    let config = model.config().clone();
    let corpus = Arc::new(Corpus::open(&path)?);
    let tokenizer = Tokenizer::load(&args.folder)?;
    corpus.check_tokenizer(&tokenizer)?;
    let (seed, split, samples) = of_pretraining(args, &config)?;
    let documents = match args.part {
        Part::All => (0..corpus.n_documents()).collect(),
        part => {
            let split = Split::of(&corpus, &split, seed)?;
            match part {
                Part::Train => split.train,
                Part::Validation => split.validation,
                _ => split.test,
            }
        }
    };
    let samples = PretrainingDataset::new(Arc::clone(&corpus), &documents, &tokenizer, &samples, seed)?;
    let pad_id = tokenizer.specials().pad_id.unwrap_or(config.pad_id);
    let sampled = Sampled::new(Arc::new(samples), batches_of(args), pad_id, seed)?;
    let task = PretrainingTask::new(config, tokenizer)?;
    let scores = sampled.score(&task, &model, device, context)?;
    let part = args.part.to_possible_value().map_or_else(String::new, |part| part.get_name().to_owned());
    Ok(Report { folder: args.folder.clone(), data: format!("{} ({part})", path.display()), scores })
}

/// Seed and longest text as in the run of the model, or the defaults if the folder is not that of a run.
fn of_finetuning(args: &EvaluateArgs, config: &BertConfig) -> Result<(u64, usize)> {
    let file = RunFolder::settings_file(&args.folder);
    if file.is_file() {
        let settings: FinetuneSettings = settings::reload(&file, &[])?;
        return Ok((settings.seed, settings.max_seq_length.min(config.max_seq_length)));
    }
    Ok((SEED, config.max_seq_length))
}

/// Seed, split and samples as in the run of the model, or the defaults if the folder is not that of a run.
fn of_pretraining(args: &EvaluateArgs, config: &BertConfig) -> Result<(u64, SplitConfig, PretrainingConfig)> {
    let file = RunFolder::settings_file(&args.folder);
    if file.is_file() {
        let settings: PretrainSettings = settings::reload(&file, &[])?;
        return Ok((settings.seed, settings.data.split, settings.data.samples));
    }
    let default = PretrainingConfig::default();
    let max_seq_length = default.max_seq_length.min(config.max_seq_length);
    Ok((SEED, SplitConfig::default(), PretrainingConfig { max_seq_length, ..default }))
}

/// All samples, as many at once as was asked for.
fn batches_of(args: &EvaluateArgs) -> TrainConfig {
    let micro_batch_size = args.batch_size as usize;
    let window = micro_batch_size.max(1024);
    TrainConfig { micro_batch_size, window, validation_samples: None, ..TrainConfig::default() }
}

impl Display for Report<PretrainingScores> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fact(f, "model", self.folder.display())?;
        fact(f, "data", &self.data)?;
        write!(f, "{}", self.scores)
    }
}

impl Display for Report<ClassificationScores> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fact(f, "model", self.folder.display())?;
        fact(f, "data", &self.data)?;
        writeln!(f, "{}\n{}", self.scores, self.scores.table())
    }
}
