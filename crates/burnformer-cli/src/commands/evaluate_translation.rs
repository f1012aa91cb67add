//! `burnformer evaluate` of a model that translates.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::Device;
use burnformer::core::config::Validate;
use burnformer::core::files::atomic_write_bytes;
use burnformer::core::progress::{Progress, Unit};
use burnformer::tasks::{MetricState, TranslationOptions, Translator};
use indicatif::HumanCount;
use serde::Serialize;

use super::Context;
use super::score::{Metrics, TranslationScores};
use crate::args::EvaluateArgs;
use crate::errors::Advised;
use crate::output::fact;
use crate::{input, records};

/// How many texts are translated between two reports of progress.
const TOGETHER: usize = 1024;

/// How good a model is at translation.
#[derive(Serialize)]
pub(super) struct Report {
    folder: PathBuf,
    data: String,
    pairs: usize,
    /// Pairs that are too long for the model, and not in the perplexity.
    left_out: usize,
    target_tokens: u64,
    /// Of the references, by token, that at the end included; none if all pairs are left out.
    perplexity: Option<f64>,
    /// The share of tokens of the references that are the most probable ones.
    accuracy: Option<f64>,
    /// Seconds that translating took.
    seconds: f64,
    #[serde(flatten)]
    scores: TranslationScores,
}

pub(super) fn run(args: &EvaluateArgs, device: &Device, context: &Context) -> Result<Report> {
    let (terminal, interrupt) = (&context.terminal, &context.interrupt);
    let flags = &args.translation.values;
    let generation = flags.generation.config(1)?;
    generation.validate()?;
    let translator = Translator::load(&args.folder, device)?.with_batch_size(args.batch_size as usize);
    let no_pairs = || {
        let hint = "name the references with `--pair-input` (line-aligned files) or `--pair-column`";
        Advised::new("a translation model is evaluated on texts with references, found no references", hint)
    };
    if !input::names_pairs(&flags.pair_input, &args.format) {
        return Err(no_pairs().into());
    }
    if let Some(folder) =
        flags.out.as_deref().and_then(Path::parent).filter(|it| !it.as_os_str().is_empty() && !it.is_dir())
    {
        let message = format!("the folder `{}` of `--out` does not exist", folder.display());
        return Err(Advised::new(message, "create the folder, or choose another file").into());
    }
    let source = input::open_pairs(&args.input, &flags.pair_input, &args.format)?;
    let (mut texts, mut references) = (Vec::new(), Vec::new());
    let skipped = records::read(&source, args.format.on_bad_row, "read pairs", context, |record| {
        texts.push(record.text);
        references.push(record.pair.ok_or_else(no_pairs)?);
        Ok(())
    })?;
    records::warn_of_skipped(terminal, &skipped);
    if texts.is_empty() {
        return Err(Advised::new("the input has no pairs", "name files that are not empty").into());
    }
    let pairs: Vec<(&str, &str)> =
        texts.iter().map(String::as_str).zip(references.iter().map(String::as_str)).collect();
    let (metric_state, left_out) = translator.score(&pairs, Some(interrupt))?;

    let start = std::time::Instant::now();
    let stage = terminal.stage("translate", Some(texts.len() as u64), Unit::Items("texts"));
    let mut hypotheses = Vec::with_capacity(texts.len());
    for part in texts.chunks(TOGETHER.max(args.batch_size as usize)) {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        let options = TranslationOptions {
            first_number: hypotheses.len() as u64,
            interrupt: Some(interrupt),
            ..TranslationOptions::new(generation.clone())
        };
        let best = translator.translate(&part, &options)?.into_iter();
        hypotheses.extend(best.map(|mut it| it.swap_remove(0).text.replace(['\n', '\r'], " ")));
        stage.advance(part.len() as u64);
    }
    drop(stage);
    let seconds = start.elapsed().as_secs_f64();
    if let Some(out) = &flags.out {
        atomic_write_bytes(out, hypotheses.join("\n") + "\n")?;
    }
    let metrics = if metric_state.tokens > 0 { metric_state.metrics() } else { Vec::new() };
    let metric = |wanted: &str| metrics.iter().find(|(name, _)| *name == wanted).map(|it| it.1);
    Ok(Report {
        folder: args.folder.clone(),
        data: args.input.iter().chain(&flags.pair_input).cloned().collect::<Vec<_>>().join(", "),
        pairs: texts.len(),
        left_out,
        target_tokens: metric_state.tokens,
        perplexity: metric("perplexity"),
        accuracy: metric("accuracy"),
        seconds,
        scores: Metrics::new(&flags.metrics).score(&hypotheses, &[&references])?,
    })
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fact(f, "model", self.folder.display())?;
        fact(f, "data", &self.data)?;
        fact(f, "pairs", HumanCount(self.pairs as u64))?;
        if self.left_out > 0 {
            let left_out = HumanCount(self.left_out as u64);
            fact(f, "skipped", format_args!("{left_out} pairs too long for the model (in the perplexity only)"))?;
        }
        if let (Some(perplexity), Some(accuracy)) = (self.perplexity, self.accuracy) {
            let tokens = HumanCount(self.target_tokens);
            fact(f, "perplexity", format_args!("{perplexity:.3} ({tokens} target tokens)"))?;
            fact(f, "accuracy", format_args!("{accuracy:.4}"))?;
        }
        fact(f, "translation time", format_args!("{:.1} s", self.seconds))?;
        write!(f, "{}", self.scores)
    }
}
