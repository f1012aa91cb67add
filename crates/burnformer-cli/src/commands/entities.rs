//! `burnformer predict` with a model for token classification: the entities of each text.

use anyhow::Result;
use burnformer::tasks::{MarkedText, TextEntity, TokenClassification};
use serde::Serialize;

use super::Outcome;
use super::texts::Text;
use crate::args::{PredictArgs, ReportFormat};
use crate::context::Context;
use crate::errors::Advised;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    #[serde(flatten)]
    marked: &'a MarkedText,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    let pairs = args.texts.format.pair_column.as_ref().map(|_| "--pair-column");
    if let Some(flag) = pairs.or((args.top_k > 1).then_some("--top-k")) {
        let message = format!("`{flag}` cannot be used with a model for token classification");
        return Err(Advised::new(message, format!("leave out `{flag}`")).into());
    }
    let model = TokenClassification::load(&args.folder, &args.device.device.open()?)?;
    let mut first = 1;
    args.texts.in_groups("predict", context, |texts| {
        let lines = answer(&model, texts, first, args.report.format, context)?;
        first += texts.len();
        if lines.is_empty() { Ok(()) } else { context.terminal.print(&lines.join("\n")) }
    })?;
    Ok(Outcome::Done)
}

/// The lines for `texts`, of which the first has the number `first`.
fn answer(
    model: &TokenClassification,
    texts: &[Text],
    first: usize,
    format: ReportFormat,
    context: &Context,
) -> Result<Vec<String>> {
    let asked: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
    let mut lines = Vec::new();
    for ((number, text), marked) in (first..).zip(&asked).zip(model.mark(&asked)?) {
        if marked.words_cut_off > 0 {
            let n = marked.words_cut_off;
            context
                .terminal
                .warn(format_args!("text {number} is too long for the model: its last {n} words are not tagged"));
        }
        match format {
            ReportFormat::Text => lines.extend(marked.entities.iter().map(|entity| {
                let TextEntity { label, score, start, end, text } = entity;
                format!("{number}\t{start}\t{end}\t{label}\t{score:.4}\t{}", text.replace(['\n', '\t'], " "))
            })),
            ReportFormat::Json => lines.push(serde_json::to_string(&Line { text, marked: &marked })?),
        }
    }
    Ok(lines)
}
