//! `burnformer generate`: prompts that go on.

use std::iter;

use anyhow::Result;
use burnformer::core::collective::Json;
use burnformer::models::GenerationConfig;
use burnformer::tasks::{Continuation, TextGeneration, TextGenerationOptions};
use serde::Serialize;

use super::{Outcome, lines};
use crate::args::{GenerateArgs, ReportFormat};
use crate::context::Context;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    prompt: &'a str,
    continuations: &'a [Continuation],
}

pub(super) fn run(args: &GenerateArgs, context: &Context) -> Result<Outcome> {
    let device = context.open(&args.device)?;
    let batch_size = args.batch_size as usize;
    let model = TextGeneration::load(&args.folder, &device)?.with_batch_size(batch_size);
    // Beams of a language model repeat themselves: it is greedy unless asked.
    let file = model.generation_file();
    let generation = args.generation.settings(file, GenerationConfig::greedy(), args.n_best, context)?;
    let is_given = !args.prompts.is_empty();
    let is_asked = |line: &Result<String>| is_given || line.as_ref().map_or(true, |line| !line.trim().is_empty());
    let mut prompts = lines::texts(&args.prompts, args.encoding.encoding).filter(is_asked);
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
        let asked: Vec<&str> = group.iter().map(String::as_str).collect();
        let answers = model.generate(&asked, &options)?;
        let mut out = Vec::new();
        for (prompt, continuations) in asked.into_iter().zip(&answers) {
            match args.report.format {
                ReportFormat::Json => out.push(serde_json::to_string(&Line { prompt, continuations })?),
                ReportFormat::Text => out.extend(continuations.iter().map(|it| format!("{prompt}{}", it.text))),
            }
        }
        Ok(Json(out))
    };
    context.deal(groups, answer, |(), Json(lines)| context.terminal.print_lines(&lines))?;
    Ok(Outcome::Done)
}
