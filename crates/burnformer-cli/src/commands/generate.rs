//! `burnformer generate`: prompts that go on.

use std::iter;

use anyhow::{Error, Result, bail};
use burnformer::core::collective::Json;
use burnformer::models::GenerationConfig;
use burnformer::recipes::{self, in_stages};
use burnformer::tasks::{Continuation, TextGeneration, TextGenerationOptions};
use serde::Serialize;

use super::{Outcome, lines};
use crate::args::{GenerateArgs, ReportFormat};
use crate::context::Context;
use crate::errors::Advised;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    prompt: &'a str,
    continuations: &'a [Continuation],
}

pub(super) fn run(args: &GenerateArgs, context: &Context) -> Result<Outcome> {
    if args.stages.pipeline_stages > 1 {
        args.stages.check_weights(args.weights.dtype)?;
        return run_in_stages(args, context);
    }
    let device = context.open(&args.device)?;
    let batch_size = args.batch_size as usize;
    let model = TextGeneration::load(&args.folder, &device)?
        .prepared(context.weights(&args.weights))?
        .with_batch_size(batch_size);
    // Beams of a language model repeat themselves: it is greedy unless asked.
    let file = model.generation_file();
    let generation = args.generation.settings(file, GenerationConfig::greedy(), args.n_best, context)?;
    let mut prompts = asked(args);
    // The first process reads prompts, and each answers some.
    let mut n_read = 0;
    let groups = iter::from_fn(|| {
        let group = prompts.by_ref().take(batch_size).collect::<Result<Vec<_>>>();
        let first_number = n_read;
        n_read += group.as_ref().map_or(0, |group| group.len() as u64);
        let is_end = group.as_ref().is_ok_and(Vec::is_empty);
        (!is_end).then_some(group.map(|group| ((), Json((first_number, group)))))
    });
    let answer = |Json((first_number, group)): Json<(u64, Vec<String>)>| {
        let options = TextGenerationOptions {
            seed: args.seed.seed,
            interrupt: Some(&context.interrupt),
            first_number,
            ..TextGenerationOptions::new(generation.clone())
        };
        Ok(Json(answers(args, &model, &group, &options)?))
    };
    context.deal(groups, answer, |(), Json(lines)| context.terminal.print_lines(&lines))?;
    Ok(Outcome::Done)
}

/// The answers to prompts, as they are printed.
fn answers(
    args: &GenerateArgs,
    model: &TextGeneration,
    prompts: &[String],
    options: &TextGenerationOptions<'_>,
) -> Result<Vec<String>> {
    let asked: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let answers = model.generate(&asked, options)?;
    let mut out = Vec::new();
    for (prompt, continuations) in asked.into_iter().zip(&answers) {
        match args.report.format {
            ReportFormat::Json => out.push(serde_json::to_string(&Line { prompt, continuations })?),
            ReportFormat::Text => out.extend(continuations.iter().map(|it| format!("{prompt}{}", it.text))),
        }
    }
    Ok(out)
}

/// All processes answer all prompts together, each with some layers of the model.
fn run_in_stages(args: &GenerateArgs, context: &Context) -> Result<Outcome> {
    let n_stages = args.stages.pipeline_stages;
    if context.collective.size() > n_stages {
        let message =
            format!("{n_stages} stages of a model are at {n_stages} processes, found {}", context.collective.size());
        return Err(Advised::new(message, "start as many processes as `--pipeline-stages`").into());
    }
    let watched = recipes::Context { pipeline_stages: n_stages, ..context.watched(&args.device) };
    in_stages(&args.folder, &watched, |watched| {
        let Some(stages) = watched.in_stages else { bail!("the model is not in stages") };
        let batch_size = args.batch_size as usize;
        let model = context.agreed(TextGeneration::load(&args.folder, &watched.device.open()?).map_err(Error::from))?;
        let model = model.with_batch_size(batch_size);
        let generation =
            args.generation.settings(model.generation_file(), GenerationConfig::greedy(), args.n_best, context)?;
        let mut options = TextGenerationOptions { seed: args.seed.seed, ..TextGenerationOptions::new(generation) };
        let mut prompts = asked(args);
        loop {
            let group: Vec<String> = context.first(|| {
                context.interrupt.check()?;
                prompts.by_ref().take(batch_size).collect()
            })?;
            if group.is_empty() {
                return Ok(Outcome::Done);
            }
            let lines = stages.within(|| answers(args, &model, &group, &options))?;
            context.terminal.print_lines(&context.agreed(lines)?)?;
            options.first_number += group.len() as u64;
        }
    })
}

/// The prompts; of standard input without blank lines.
fn asked(args: &GenerateArgs) -> impl Iterator<Item = Result<String>> {
    let is_given = !args.prompts.is_empty();
    let is_asked = move |line: &Result<String>| is_given || line.as_ref().map_or(true, |line| !line.trim().is_empty());
    lines::texts(&args.prompts, args.encoding.encoding).filter(is_asked)
}
