//! `burnformer finetune`: a pretrained model learns to tell classes of texts.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use burn::tensor::Device;
use burnformer::core::settings;
use burnformer::data::batches::{BatchConfig, Batches, ClassificationBatch};
use burnformer::data::datasets::{ClassificationDataset, Dataset};
use burnformer::data::labelled::LabelledTexts;
use burnformer::data::readers::Input;
use burnformer::data::source::Source;
use burnformer::data::tokenizer::Tokenizer;
use burnformer::models::{
    BertConfig, BertForSequenceClassification, Loaded, MicroBatchSize, ModelConfig, Pretrained, stats,
};
use burnformer::tasks::metrics::ConfusionMatrix;
use burnformer::tasks::{ClassificationTask, evaluate};
use burnformer::train::{Data, Event, MemoryEstimate, ModelCard, RunFolder, TrainConfig, Trainer};
use serde::Serialize;

use super::classification_scores::ClassificationScores;
use super::training::{self, Course, Plan};
use super::{Context, Outcome};
use crate::args::FinetuneArgs;
use crate::baseline;
use crate::errors::Advised;
use crate::settings::FinetuneSettings;
use crate::{input, records};

/// A finished run.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    course: Course,
    training_texts: usize,
    /// Of the best model, on the texts it was chosen by.
    validation: ClassificationScores,
    /// Of the best model, on texts that nothing was chosen by.
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<ClassificationScores>,
    /// Of simple methods on the same texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    baselines: Vec<Baseline>,
}

/// A simple method.
#[derive(Serialize)]
struct Baseline {
    name: &'static str,
    #[serde(flatten)]
    scores: ClassificationScores,
}

/// Texts to learn from, to choose by, and to measure on.
struct Texts {
    train: LabelledTexts,
    validation: LabelledTexts,
    test: Option<LabelledTexts>,
    /// Names the texts to learn from.
    fingerprint: String,
}

pub(super) fn run(args: &FinetuneArgs, context: &Context) -> Result<Outcome> {
    let terminal = &context.terminal;
    let out = &args.run.out;
    let (settings, texts) = if args.run.resume { reload(args, context)? } else { begin(args, context)? };
    let device = args.run.device.device.open()?;
    let pretrained = Path::new(&settings.model);
    let config = BertConfig::load(pretrained)?;
    let seq_length = settings.max_seq_length.min(config.max_seq_length);
    let tokenizer = Tokenizer::load(pretrained)?.with_max_length(seq_length);
    let labels = texts.train.labels.clone();
    let task = ClassificationTask::new(config.clone(), tokenizer.clone(), labels.clone())?;

    let samples =
        |texts: &LabelledTexts| ClassificationDataset::new(texts, &tokenizer, seq_length, settings.seed).map(Arc::new);
    let data = Data {
        train: samples(&texts.train)?,
        validation: Some(samples(&texts.validation)?),
        pad_id: tokenizer.specials().pad_id.unwrap_or(config.pad_id),
        fingerprint: texts.fingerprint.clone(),
    };

    let n_parameters = stats::n_parameters(&BertForSequenceClassification::new(&config, &labels, &device)) as u64;
    let batch =
        MicroBatchSize { n_tokens: settings.train.tokens_per_micro_batch(seq_length), seq_length, n_predicted: 0 };
    let memory = MemoryEstimate::new(n_parameters, &settings.train.optimizer, config.activation_floats(&batch));
    let text = settings::to_toml(&settings)?;
    let n_samples = texts.train.examples.len() as u64;
    let plan = Plan::new(
        &settings.train,
        n_samples,
        seq_length as f64,
        n_parameters,
        memory,
        args.run.device.device,
        text.clone(),
    )?;
    if training::show_plan(&plan, &args.run, terminal)? {
        return Ok(Outcome::Done);
    }

    let trainer = Trainer::new(&task, &settings.train, settings.seed, device.clone())
        .with_progress(terminal)
        .with_interrupt(&context.interrupt);
    let mut on_event = |event: Event<'_>| training::tell(terminal, &event);
    let (folder, outcome) = if args.run.resume {
        training::go_on(out, &text, |folder| trainer.resume(&data, folder, &mut on_event))?
    } else {
        let model = fresh(&settings, &config, &labels, &device, context)?;
        let folder = RunFolder::create(out, &text)?;
        let outcome = trainer.start(model, &data, &folder, &mut on_event);
        (folder, outcome?)
    };
    let course = Course::of(out, &outcome, "finetune", context)?;

    let best = BertForSequenceClassification::load(out, &device)?;
    let measured = Measured { task: &task, pad_id: data.pad_id, train: &settings.train, seed: settings.seed };
    let score = |samples: &Arc<ClassificationDataset>| measured.score(&best, samples, &device, context);
    let validation = score(data.validation.as_ref().unwrap_or(&data.train))?;
    let (test, baselines) = match &texts.test {
        Some(test) => {
            let baselines = if args.baseline { baselines(&texts.train, test, settings.seed)? } else { Vec::new() };
            (Some(score(&samples(test)?)?), baselines)
        }
        None => (None, Vec::new()),
    };
    let training_texts = texts.train.examples.len();
    let report = Report { course, training_texts, validation, test, baselines };
    folder.write_card(&card(out, &settings, &config, &labels, &report).to_string())?;
    terminal.report(&report, args.run.report.format)?;
    Ok(Outcome::Done)
}

/// Settings and texts of a new run.
fn begin(args: &FinetuneArgs, context: &Context) -> Result<(FinetuneSettings, Texts)> {
    RunFolder::check_free(&args.run.out)?;
    let model = args.model.as_deref().unwrap_or(Path::new(""));
    let config = BertConfig::load(model)?;
    let resolve = |paths: &[String]| (!paths.is_empty()).then(|| input::resolve(paths, &args.format)).transpose();
    let base = FinetuneSettings {
        seed: args.run.seed.unwrap_or(training::SEED),
        model: model.display().to_string(),
        from_scratch: args.from_scratch,
        max_seq_length: args.max_seq_length.min(config.max_seq_length),
        data: input::resolve(&args.train, &args.format)?,
        on_bad_row: args.format.on_bad_row,
        max_per_class: args.max_per_class,
        validation: resolve(&args.validation)?,
        validation_share: 0.1,
        train: TrainConfig::default(),
    };
    let test = resolve(&args.test)?;
    let (file, sets) = (args.run.settings.config.as_deref(), training::sets(&args.run));
    // What the texts depend on must be known before they are read, and their number before the steps are.
    let asked = base.clone().load(args.epochs, 1, config.d_model, file, &sets)?;
    let texts = Texts::read(&asked, test.as_ref(), context)?;
    let settings = base.load(args.epochs, texts.train.examples.len(), config.d_model, file, &sets)?;
    Ok((settings, texts))
}

/// Settings and texts of a run that goes on.
fn reload(args: &FinetuneArgs, context: &Context) -> Result<(FinetuneSettings, Texts)> {
    training::check_resume(&args.run)?;
    let file = training::settings_file(&args.run.out)?;
    let settings: FinetuneSettings = settings::reload(&file, &training::sets(&args.run))?;
    let test =
        (!args.test.is_empty()).then(|| Input { paths: args.test.clone(), format: settings.data.format.clone() });
    let texts = Texts::read(&settings, test.as_ref(), context)?;
    Ok((settings, texts))
}

impl Texts {
    fn read(settings: &FinetuneSettings, test: Option<&Input>, context: &Context) -> Result<Self> {
        let (terminal, interrupt) = (&context.terminal, &context.interrupt);
        let source = settings.data.open()?;
        let parts = source.parts().iter().map(|part| format!("{:016x}", part.fingerprint));
        let fingerprint = parts.collect::<Vec<_>>().join("-");
        let (train, skipped) = LabelledTexts::read(&source, settings.on_bad_row, terminal, interrupt)?;
        records::warn_of_skipped(terminal, &skipped);
        let others = |input: &Input| -> Result<LabelledTexts> {
            let source = input.open()?;
            let labels = train.labels.clone();
            let (texts, skipped) =
                LabelledTexts::read_with_labels(&source, labels, settings.on_bad_row, terminal, interrupt)?;
            records::warn_of_skipped(terminal, &skipped);
            Ok(texts)
        };
        let test = test.map(others).transpose()?;
        let given = settings.validation.as_ref().map(others).transpose()?;
        let (train, validation) = match given {
            Some(validation) => (train, validation),
            None => train.split(settings.validation_share, settings.seed),
        };
        if validation.examples.is_empty() {
            let message = "no text is left for validation, because no class has two texts";
            return Err(Advised::new(message, "name validation texts with `--validation`, or add texts").into());
        }
        let train = match settings.max_per_class {
            Some(n) => train.at_most_per_class(n, settings.seed),
            None => train,
        };
        let fingerprint = format!("{fingerprint}, {} texts", train.examples.len());
        Ok(Self { train, validation, test, fingerprint })
    }
}

/// The model before its first step.
fn fresh(
    settings: &FinetuneSettings,
    config: &BertConfig,
    labels: &[String],
    device: &Device,
    context: &Context,
) -> Result<BertForSequenceClassification> {
    let device = device.clone().autodiff();
    if settings.from_scratch {
        return Ok(BertForSequenceClassification::init(config, labels, settings.seed, &device));
    }
    let Loaded { model, fresh, left_over } =
        BertForSequenceClassification::from_pretrained(Path::new(&settings.model), labels, settings.seed, &device)?;
    context.terminal.note(format_args!("fresh weights        {}", fresh.join(", ")));
    if !left_over.is_empty() {
        context.terminal.note(format_args!("unused weights       {}", left_over.join(", ")));
    }
    Ok(model)
}

/// What measuring needs beside model and samples.
pub(super) struct Measured<'a> {
    pub(super) task: &'a ClassificationTask,
    pub(super) pad_id: u32,
    pub(super) train: &'a TrainConfig,
    pub(super) seed: u64,
}

impl Measured<'_> {
    /// Measures `model`, which tracks no gradients and is on `device`.
    pub(super) fn score(
        &self,
        model: &BertForSequenceClassification,
        samples: &Arc<ClassificationDataset>,
        device: &Device,
        context: &Context,
    ) -> Result<ClassificationScores> {
        let config: BatchConfig = self.train.validation_batches();
        let batches = Batches::<ClassificationBatch>::epoch(Arc::clone(samples), self.pad_id, &config, self.seed)?;
        let (progress, interrupt) = (&context.terminal, &context.interrupt);
        let metric_state = evaluate(self.task, model, batches, samples.per_epoch(), device, progress, interrupt)?;
        let loss = metric_state.loss_sum / metric_state.confusion.total().max(1) as f64;
        Ok(ClassificationScores::new(metric_state.confusion, Some(loss), self.task.labels(), self.seed))
    }
}

/// Always the most frequent class, and a bag of words; both learn from the same texts.
fn baselines(train: &LabelledTexts, test: &LabelledTexts, seed: u64) -> Result<Vec<Baseline>> {
    let n_classes = train.labels.len();
    let words = |texts: &LabelledTexts| -> (Vec<String>, Vec<usize>) {
        let whole = |text: &str, pair: Option<&str>| pair.map_or(text.to_owned(), |pair| format!("{text} {pair}"));
        texts.examples.iter().map(|it| (whole(&it.text, it.pair.as_deref()), it.label as usize)).unzip()
    };
    let ((texts, truths), (test_texts, test_truths)) = (words(train), words(test));
    let mut counts = vec![0_u64; n_classes];
    truths.iter().for_each(|&truth| counts[truth] += 1);
    let most_frequent = (0..n_classes).max_by_key(|&class| (counts[class], std::cmp::Reverse(class))).unwrap_or(0);
    let tallied = |answers: &[usize]| {
        let mut confusion = ConfusionMatrix::new(n_classes);
        test_truths.iter().zip(answers).for_each(|(&truth, &answer)| confusion.add(truth, answer));
        ClassificationScores::new(confusion, None, &train.labels, seed)
    };
    let bag = baseline::train(&texts, &truths, n_classes)?;
    Ok(vec![
        Baseline { name: "majority class", scores: tallied(&vec![most_frequent; test_truths.len()]) },
        Baseline { name: "bag of words", scores: tallied(&bag.predict(&test_texts)) },
    ])
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\nvalidation\n{}", self.course, self.validation)?;
        if let Some(test) = &self.test {
            writeln!(f, "test\n{test}")?;
        }
        for baseline in &self.baselines {
            writeln!(f, "test, {}\n{}", baseline.name, baseline.scores)?;
        }
        write!(f, "{}", self.test.as_ref().unwrap_or(&self.validation).table())
    }
}

fn card(out: &Path, settings: &FinetuneSettings, config: &BertConfig, labels: &[String], report: &Report) -> ModelCard {
    let named = |part: &str, scores: &ClassificationScores| {
        scores.lines().into_iter().map(|(name, value)| (format!("{part} {name}"), value)).collect::<Vec<_>>()
    };
    let mut metrics = named("validation", &report.validation);
    metrics.extend(report.test.iter().flat_map(|test| named("test", test)));
    ModelCard {
        name: out.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        pipeline_tag: "text-classification",
        description: "An encoder of the BERT family, fine-tuned for text classification.".to_owned(),
        facts: vec![
            (
                "initialised from",
                if settings.from_scratch { "fresh weights".to_owned() } else { settings.model.clone() },
            ),
            ("size", format!("{} layers, width {}, {} heads", config.n_layers, config.d_model, config.n_heads)),
            ("classes", labels.join(", ")),
            ("training texts", format!("{} from {}", report.training_texts, settings.data.paths.join(", "))),
            (
                "steps",
                format!(
                    "{} of {} texts",
                    report.course.steps,
                    settings.train.samples_per_step(settings.max_seq_length as f64)
                ),
            ),
            ("seed", settings.seed.to_string()),
        ],
        metrics,
        usage: format!("burnformer predict {} 'A text.'", out.display()),
    }
}
