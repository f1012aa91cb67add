//! `burnformer pretrain`: BERT from a corpus.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Error, Result};
use burn::tensor::Device;
use burnformer::core::settings;
use burnformer::data::corpus::Corpus;
use burnformer::data::datasets::{Dataset, PretrainingDataset};
use burnformer::data::split::Split;
use burnformer::data::tokenizer::Tokenizer;
use burnformer::models::{BertConfig, BertForPreTraining, MicroBatchSize, ModelConfig, Pretrained, stats};
use burnformer::ops::DeviceChoice;
use burnformer::tasks::PretrainingTask;
use burnformer::train::{Data, Event, MemoryEstimate, ModelCard, RunFolder, Trainer};
use serde::Serialize;

use super::pretraining_scores::{PretrainingScores, Sampled};
use super::training::{self, Course, Plan};
use super::{Context, Outcome};
use crate::args::PretrainArgs;
use crate::errors::Advised;
use crate::settings::PretrainSettings;

/// A finished run.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    course: Course,
    /// Of the best model on the validation samples.
    validation: Option<PretrainingScores>,
}

/// What a run needs, from its settings.
pub(super) struct Job {
    pub(super) corpus: Arc<Corpus>,
    /// Those to train on.
    documents: Vec<u32>,
    pub(super) task: PretrainingTask,
    pub(super) train: Arc<PretrainingDataset>,
    pub(super) validation: Option<Arc<PretrainingDataset>>,
    pub(super) pad_id: u32,
}

pub(super) fn run(args: &PretrainArgs, context: &Context) -> Result<Outcome> {
    let terminal = &context.terminal;
    let out = &args.run.out;
    let settings = if args.run.resume { reload(args)? } else { begin(args)? };
    let device = args.run.device.device.open()?;
    let job = Job::new(&settings)?;
    if let (Some(init), false) = (&settings.init, args.run.resume) {
        check_fit(Path::new(init), &settings, &job)?;
    }
    let text = settings::to_toml(&settings)?;
    let plan = plan(&settings, &job, args.run.device.device, text.clone())?;
    if training::show_plan(&plan, &args.run, terminal)? {
        return Ok(Outcome::Done);
    }
    let sampled = job.validation.clone().map(|it| Sampled::new(it, settings.train.clone(), job.pad_id, settings.seed));
    let sampled = sampled.transpose()?;
    if let Some(Sampled { unigram_entropy, .. }) = &sampled {
        let name = "unigram entropy";
        terminal.note(format_args!("{name:<20} {unigram_entropy:.4} nats per masked token of the validation samples"));
    }

    let trainer = Trainer::new(&job.task, &settings.train, settings.seed, device.clone())
        .with_progress(terminal)
        .with_interrupt(&context.interrupt);
    let data = Data {
        train: Arc::clone(&job.train),
        validation: job.validation.clone(),
        pad_id: job.pad_id,
        fingerprint: job.corpus.manifest().build.to_string(),
    };
    let mut on_event = |event: Event<'_>| training::tell(terminal, &event);
    let (folder, outcome) = if args.run.resume {
        training::go_on(out, &text, |folder| trainer.resume(&data, folder, &mut on_event))?
    } else {
        let model = match &settings.init {
            Some(init) => BertForPreTraining::load(Path::new(init), &device.clone().autodiff())?,
            None => job.fresh(&settings, &device)?,
        };
        let folder = RunFolder::create(out, &text)?;
        let outcome = trainer.start(model, &data, &folder, &mut on_event);
        (folder, outcome?)
    };
    let course = Course::of(out, &outcome, "pretrain", context)?;
    let validation = match &sampled {
        Some(sampled) => {
            let best = BertForPreTraining::load(out, &device)?;
            Some(sampled.score(&job.task, &best, &device, context)?)
        }
        None => None,
    };
    folder.write_card(&card(out, &settings, &course, validation.as_ref()).to_string())?;
    terminal.report(&Report { course, validation }, args.run.report.format)?;
    Ok(Outcome::Done)
}

/// Settings of a new run.
fn begin(args: &PretrainArgs) -> Result<PretrainSettings> {
    RunFolder::check_free(&args.run.out)?;
    let path = args.corpus.as_deref().unwrap_or(Path::new(""));
    let corpus = Corpus::open(path)?;
    let tokenizer = corpus.tokenizer()?;
    let model = match &args.init {
        Some(init) => BertConfig::load(init)?,
        None => {
            let preset = args.preset.as_deref().unwrap_or("bert-tiny");
            let pad_id = tokenizer.specials().pad_id.unwrap_or_default();
            BertConfig::preset(preset, tokenizer.vocab_size(), pad_id)
                .ok_or_else(|| Advised::new(format!("there is no preset `{preset}`"), BertConfig::PRESETS.join(", ")))?
        }
    };
    let file = args.run.settings.config.as_deref();
    let seed = args.run.seed.unwrap_or(training::SEED);
    PretrainSettings::load(seed, path, args.init.as_deref(), &model, file, &training::sets(&args.run))
}

/// Settings of a run that goes on.
fn reload(args: &PretrainArgs) -> Result<PretrainSettings> {
    training::check_resume(&args.run)?;
    let file = training::settings_file(&args.run.out)?;
    Ok(settings::reload(&file, &training::sets(&args.run))?)
}

impl Job {
    /// Opens the corpus and splits it.
    pub(super) fn new(settings: &PretrainSettings) -> Result<Self> {
        let corpus = Arc::new(Corpus::open(Path::new(&settings.corpus))?);
        let tokenizer = corpus.tokenizer()?;
        let split = Split::of(&corpus, &settings.data.split, settings.seed).map_err(|error| {
            let hint = "set the shares `data.split.validation` and `data.split.test`; 0 means no such part";
            Error::from(error).context(Advised::new(format!("cannot split the corpus `{}`", settings.corpus), hint))
        })?;
        let samples = |part: &str, documents: &[u32]| {
            PretrainingDataset::new(Arc::clone(&corpus), documents, &tokenizer, &settings.data.samples, settings.seed)
                .with_context(|| format!("the {part} part of the corpus `{}` gives no samples", settings.corpus))
        };
        let train = Arc::new(samples("training", &split.train)?);
        let validation = match split.validation.as_slice() {
            [] => None,
            documents => Some(Arc::new(samples("validation", documents)?)),
        };
        let pad_id = tokenizer.specials().pad_id.unwrap_or(settings.model.pad_id);
        let task = PretrainingTask::new(settings.model.clone(), tokenizer)?;
        Ok(Self { corpus, documents: split.train, task, train, validation, pad_id })
    }

    /// The model before its first step.
    fn fresh(&self, settings: &PretrainSettings, device: &Device) -> Result<BertForPreTraining> {
        let mut model = BertForPreTraining::init(&settings.model, settings.seed, &device.clone().autodiff());
        if settings.sinusoidal_positions {
            model = model.with_sinusoidal_positions();
        }
        if settings.frequency_bias {
            let mut counts = self.corpus.token_counts(&self.documents)?;
            counts.resize(settings.model.vocab_size, 0);
            model = model.with_token_counts(&counts);
        }
        Ok(model)
    }
}

/// Makes sure that the model to go on with knows the tokens of the corpus, and stays what it is.
fn check_fit(init: &Path, settings: &PretrainSettings, job: &Job) -> Result<()> {
    if settings.model != BertConfig::load(init)? {
        let message = format!("the settings below `model` are not those of the model in `{}`", init.display());
        return Err(
            Advised::new(message, "remove these settings, or remove `--init` to train from fresh weights").into()
        );
    }
    let tokenizer = Tokenizer::load(init)?;
    job.corpus.check_tokenizer(&tokenizer).map_err(|error| {
        let hint = format!("build the corpus with `--tokenizer {}`", init.display());
        Error::from(error).context(Advised::new("the corpus does not fit the model", hint))
    })
}

fn plan(settings: &PretrainSettings, job: &Job, device: DeviceChoice, text: String) -> Result<Plan> {
    let (model, train) = (&settings.model, &settings.train);
    let n_parameters = stats::n_parameters(&BertForPreTraining::new(model, &device.open()?)) as u64;
    let seq_length = settings.data.samples.max_seq_length;
    let n_tokens = train.tokens_per_micro_batch(seq_length);
    let hidden = settings.data.samples.masking.mlm_probability * n_tokens as f64;
    let batch = MicroBatchSize { n_tokens, seq_length, n_predicted: hidden as usize };
    let memory = MemoryEstimate::new(n_parameters, &train.optimizer, model.activation_floats(&batch));
    Ok(Plan::new(train, job.train.per_epoch(), seq_length as f64, n_parameters, memory, device, text)?)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.course)?;
        self.validation.as_ref().map_or(Ok(()), |scores| write!(f, "{scores}"))
    }
}

fn card(out: &Path, settings: &PretrainSettings, course: &Course, scores: Option<&PretrainingScores>) -> ModelCard {
    let model = &settings.model;
    ModelCard {
        name: out.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        pipeline_tag: "fill-mask",
        description: "A BERT encoder, pretrained with masked language modelling and next-sentence prediction."
            .to_owned(),
        facts: vec![
            ("size", format!("{} layers, width {}, {} heads", model.n_layers, model.d_model, model.n_heads)),
            ("vocabulary", format!("{} tokens", model.vocab_size)),
            ("corpus", settings.corpus.clone()),
            (
                "steps",
                format!(
                    "{} of {} sequences",
                    course.steps,
                    settings.train.samples_per_step(settings.data.samples.max_seq_length as f64)
                ),
            ),
            ("tokens seen", course.tokens.to_string()),
            ("seed", settings.seed.to_string()),
        ],
        metrics: scores.map_or_else(Vec::new, PretrainingScores::lines),
        usage: format!("burnformer fill-mask {} 'A sentence with a [MASK] in it.'", out.display()),
    }
}
