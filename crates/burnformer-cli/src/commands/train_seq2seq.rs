//! `burnformer train-seq2seq`: an encoder–decoder from pairs of texts.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Error, Result};
use burnformer::core::config::ConfigError;
use burnformer::core::settings;
use burnformer::data::batches::{Batches, TextPairBatch};
use burnformer::data::corpus::Corpus;
use burnformer::data::datasets::{Dataset, TextPairDataset};
use burnformer::data::split::Split;
use burnformer::models::{GenerationConfig, MicroBatchSize, ModelConfig, Pretrained, Seq2Seq, Seq2SeqConfig, stats};
use burnformer::ops::DeviceChoice;
use burnformer::tasks::metrics::Bleu;
use burnformer::tasks::{Metric, MetricState, TranslationTask, TranslationTokenizers, evaluate};
use burnformer::train::{Data, Event, MemoryEstimate, ModelCard, RunFolder, Trainer};
use indicatif::HumanCount;
use serde::Serialize;

use super::pretraining_scores::as_object;
use super::training::{self, Course, Plan};
use super::{Context, Outcome};
use crate::args::TrainSeq2SeqArgs;
use crate::errors::Advised;
use crate::output::fact;
use crate::settings::{Begin, ChooseBy, TrainSeq2SeqSettings};

/// A finished run.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    course: Course,
    /// Of the best model on the validation pairs.
    validation: Option<Scores>,
}

/// How good a model is on pairs of texts.
#[derive(Serialize)]
struct Scores {
    pairs: u64,
    target_tokens: u64,
    #[serde(serialize_with = "as_object")]
    metrics: Vec<Metric>,
}

/// What a run needs, from its settings.
struct Job {
    task: TranslationTask,
    train: Arc<TextPairDataset>,
    validation: Option<Arc<TextPairDataset>>,
    /// Steps in which every pair comes once.
    steps_per_epoch: f64,
    /// Names the data.
    fingerprint: String,
}

pub(super) fn run(args: &TrainSeq2SeqArgs, context: &Context) -> Result<Outcome> {
    let terminal = &context.terminal;
    let out = &args.run.out;
    let (settings, job) = if args.run.resume { reload(args)? } else { begin(args)? };
    let device = args.run.device.device.open()?;
    let text = settings::to_toml(&settings)?;
    let plan = plan(&settings, &job, args.run.device.device, text.clone())?;
    if training::show_plan(&plan, &args.run, terminal)? {
        return Ok(Outcome::Done);
    }
    let left_out = job.train.n_left_out();
    if left_out > 0 {
        let left_out = HumanCount(left_out as u64);
        terminal.note(format_args!("skipped pairs        {left_out}, outside the lengths of `data.samples`"));
    }

    let trainer = Trainer::new(&job.task, &settings.train, settings.seed, device.clone())
        .with_progress(terminal)
        .with_interrupt(&context.interrupt);
    let data = Data {
        train: Arc::clone(&job.train),
        validation: job.validation.clone(),
        pad_id: settings.model.pad_id,
        fingerprint: job.fingerprint.clone(),
    };
    let mut on_event = |event: Event<'_>| training::tell(terminal, &event);
    let (folder, outcome) = if args.run.resume {
        training::go_on(out, &text, |folder| trainer.resume(&data, folder, &mut on_event))?
    } else {
        let init = if settings.xavier_embeddings { Seq2Seq::init_xavier } else { Seq2Seq::init };
        let model = init(&settings.model, settings.seed, &device.clone().autodiff());
        let folder = RunFolder::create(out, &text)?;
        let outcome = trainer.start(model, &data, &folder, &mut on_event);
        (folder, outcome?)
    };
    let course = Course::of(out, &outcome, "train-seq2seq", context)?;
    let validation = match &job.validation {
        Some(samples) => {
            let best = Seq2Seq::load(out, &device)?;
            let (batches, pairs) = settings.train.validation(samples, settings.model.pad_id, settings.seed)?;
            let metric_state = evaluate(&job.task, &best, batches, pairs, &device, terminal, &context.interrupt)?;
            Some(Scores { pairs, target_tokens: metric_state.tokens, metrics: metric_state.metrics() })
        }
        None => None,
    };
    let report = Report { course, validation };
    folder.write_card(&card(out, &settings, &report).to_string())?;
    terminal.report(&report, args.run.report.format)?;
    Ok(Outcome::Done)
}

/// Settings and data of a new run.
fn begin(args: &TrainSeq2SeqArgs) -> Result<(TrainSeq2SeqSettings, Job)> {
    RunFolder::check_free(&args.run.out)?;
    ConfigError::check_finite_positive("epochs", args.epochs)?;
    let path = args.corpus.as_deref().unwrap_or(Path::new(""));
    let vocabularies = tokenizers(&Corpus::open(path)?)?.vocabularies()?;
    let preset = args.preset.as_deref().unwrap_or("transformer-small");
    let model = Seq2SeqConfig::preset(preset, vocabularies)
        .ok_or_else(|| Advised::new(format!("there is no preset `{preset}`"), Seq2SeqConfig::PRESETS.join(", ")))?;
    let begin = Begin {
        seed: args.run.seed.unwrap_or(training::SEED),
        corpus: path,
        validation: args.validation.as_deref(),
        model: &model,
        file: args.run.settings.config.as_deref(),
        sets: &training::sets(&args.run),
    };
    let asked = TrainSeq2SeqSettings::load(&begin, 1000)?;
    let job = Job::new(&asked)?;
    // What a step holds does not depend on how many there are.
    let steps = (args.epochs * job.steps_per_epoch).ceil().max(1.0) as u64;
    let settings = TrainSeq2SeqSettings::load(&begin, steps)?;
    Ok((settings, job))
}

/// Settings and data of a run that goes on.
fn reload(args: &TrainSeq2SeqArgs) -> Result<(TrainSeq2SeqSettings, Job)> {
    training::check_resume(&args.run)?;
    let file = training::settings_file(&args.run.out)?;
    let settings: TrainSeq2SeqSettings = settings::reload(&file, &training::sets(&args.run))?;
    let job = Job::new(&settings)?;
    Ok((settings, job))
}

/// Steps in which every pair comes once.
fn steps_per_epoch(settings: &TrainSeq2SeqSettings, samples: &Arc<TextPairDataset>) -> Result<f64> {
    let train = &settings.train;
    if train.micro_batch_tokens.is_none() {
        return Ok(samples.per_epoch() as f64 / train.samples_per_step(1.0));
    }
    let samples = Arc::clone(samples);
    let batches = Batches::<TextPairBatch>::epoch(samples, settings.model.pad_id, &train.batches(), settings.seed)?;
    let mut n_batches = 0;
    for batch in batches {
        batch?;
        n_batches += 1;
    }
    Ok(f64::from(n_batches))
}

/// The tokenizers of both sides of a corpus.
fn tokenizers(corpus: &Corpus) -> Result<TranslationTokenizers> {
    Ok(TranslationTokenizers::new(corpus.tokenizer()?, corpus.pair_tokenizer()?))
}

impl Job {
    /// Opens what the settings name.
    fn new(settings: &TrainSeq2SeqSettings) -> Result<Self> {
        let corpus = Arc::new(Corpus::open(Path::new(&settings.corpus))?);
        let mut fingerprint = corpus.manifest().build.to_string();
        let samples = |corpus: &Arc<Corpus>, part: &str, documents: &[u32]| {
            TextPairDataset::new(
                Arc::clone(corpus),
                documents,
                settings.model.eos_id,
                &settings.data.samples,
                settings.seed,
            )
            .map(Arc::new)
            .with_context(|| format!("the {part} part of the corpus `{}` gives no samples", settings.corpus))
        };
        let all = |corpus: &Corpus| (0..corpus.n_documents()).collect::<Vec<_>>();
        let (train, validation) = match &settings.validation {
            Some(path) => {
                let other = Arc::new(Corpus::open(Path::new(path))?);
                check_tokenizers(&corpus, &other)?;
                fingerprint = format!("{fingerprint} and {}", other.manifest().build);
                let train = samples(&corpus, "training", &all(&corpus))?;
                (train, Some(samples(&other, "validation", &all(&other))?))
            }
            None => {
                let split = Split::of(&corpus, &settings.data.split, settings.seed).map_err(|error| {
                    let hint = "set the shares `data.split.validation` and `data.split.test`; 0 means no such part";
                    let message = format!("cannot split the corpus `{}`", settings.corpus);
                    Error::from(error).context(Advised::new(message, hint))
                })?;
                let validation = match split.validation.as_slice() {
                    [] => None,
                    documents => Some(samples(&corpus, "validation", documents)?),
                };
                (samples(&corpus, "training", &split.train)?, validation)
            }
        };
        if validation.is_none() && (settings.choose_by == ChooseBy::Bleu || settings.train.patience.is_some()) {
            let message = "`choose_by = \"bleu\"` and `train.patience` need validation pairs, found none";
            return Err(Advised::new(
                message,
                "name validation pairs with `--validation`, or raise `data.split.validation`",
            )
            .into());
        }
        let task = TranslationTask::new(settings.model.clone(), tokenizers(&corpus)?, settings.label_smoothing)?;
        let task = match settings.choose_by {
            ChooseBy::Loss => task,
            ChooseBy::Bleu => {
                let bleu = Bleu { tokenizer: settings.bleu_tokenizer, lowercase: false };
                task.with_bleu(GenerationConfig::greedy(), bleu)
            }
        };
        let steps_per_epoch = steps_per_epoch(settings, &train)?;
        Ok(Self { task, train, validation, steps_per_epoch, fingerprint })
    }
}

/// Makes sure that two corpora have the same tokens.
fn check_tokenizers(corpus: &Corpus, validation: &Corpus) -> Result<()> {
    let of = |corpus: &Corpus| (corpus.manifest().tokenizer, corpus.manifest().pair_tokenizer);
    if of(corpus) == of(validation) {
        return Ok(());
    }
    let hint = "build it with the same `--tokenizer` and `--pair-tokenizer`";
    Err(Advised::new("the validation corpus was built with other tokenizers than the training corpus", hint).into())
}

fn plan(settings: &TrainSeq2SeqSettings, job: &Job, device: DeviceChoice, text: String) -> Result<Plan> {
    let (model, train) = (&settings.model, &settings.train);
    let n_parameters = stats::n_parameters(&Seq2Seq::new(model, &device.open()?)) as u64;
    let n_pairs = job.train.per_epoch();
    let longest = settings.data.samples.max_seq_length;
    let tokens = match train.micro_batch_tokens {
        Some(tokens) => (tokens * train.grad_accum_steps) as f64 * job.steps_per_epoch / n_pairs as f64,
        None => longest as f64,
    };
    let n_tokens = train.tokens_per_micro_batch(longest);
    let batch = MicroBatchSize { n_tokens, seq_length: longest, n_predicted: n_tokens };
    let memory = MemoryEstimate::new(n_parameters, &train.optimizer, model.activation_floats(&batch));
    Ok(Plan::new(train, n_pairs, tokens, n_parameters, memory, device, text)?)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.course)?;
        self.validation.as_ref().map_or(Ok(()), |scores| write!(f, "{scores}"))
    }
}

impl Scores {
    /// Each number with its name.
    fn lines(&self) -> Vec<(String, String)> {
        let line = |(name, value): &Metric| (name.replace('_', " "), format!("{value:.4}"));
        self.metrics.iter().map(line).collect()
    }
}

impl Display for Scores {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (pairs, tokens) = (HumanCount(self.pairs), HumanCount(self.target_tokens));
        fact(f, "validation", format_args!("{pairs} pairs, {tokens} target tokens"))?;
        self.lines().iter().try_for_each(|(name, value)| fact(f, name, value))
    }
}

fn card(out: &Path, settings: &TrainSeq2SeqSettings, report: &Report) -> ModelCard {
    let model = &settings.model;
    let (encoder, decoder) = (model.n_encoder_layers, model.n_decoder_layers);
    let size = format!("{encoder} + {decoder} layers, width {}, {} heads", model.d_model, model.n_heads);
    let vocabulary = match model.shared_embeddings {
        true => format!("{} tokens for both sides", model.source_vocab_size),
        false => format!("{} source tokens, {} target tokens", model.source_vocab_size, model.target_vocab_size),
    };
    ModelCard {
        name: out.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        pipeline_tag: "translation",
        description: "An encoder–decoder Transformer that turns one text into another.".to_owned(),
        facts: vec![
            ("size", size),
            ("vocabulary", vocabulary),
            ("corpus", settings.corpus.clone()),
            ("steps", report.course.steps.to_string()),
            ("tokens seen", report.course.tokens.to_string()),
            ("seed", settings.seed.to_string()),
        ],
        metrics: report.validation.as_ref().map_or_else(Vec::new, Scores::lines),
        usage: format!("burnformer translate {} 'A text.'", out.display()),
    }
}
