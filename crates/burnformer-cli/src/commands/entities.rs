//! `burnformer predict` with a model for token classification: the entities of each text.

use anyhow::Result;
use burnformer::tasks::{MarkedText, TextEntity, TokenClassification};
use serde::Serialize;

use super::Outcome;
use super::texts::{Row, TOGETHER, one_line};
use crate::args::{PredictArgs, ReportFormat};
use crate::context::Context;
use crate::errors::Advised;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    row: &'a Row,
    #[serde(flatten)]
    marked: &'a MarkedText,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    let pairs = args.texts.format.pair_column.as_ref().map(|_| "--pair-column");
    if let Some(flag) = pairs.or((args.top_k > 1).then_some("--top-k")) {
        let message = format!("`{flag}` cannot be used with a model for token classification");
        return Err(Advised::new(message, format!("leave out `{flag}`")).into());
    }
    let mut model = TokenClassification::load(&args.folder, &context.open(&args.device)?)?
        .prepared(context.weights(&args.weights))?;
    if args.special_tokens.split_special_tokens {
        model = model.with_split_special_tokens(true);
    }
    let answer = |rows: &[Row]| answer(&model, rows, args.report.format);
    args.texts.in_groups("predict", TOGETHER, context, answer, |_, lines| {
        if lines.is_empty() { Ok(()) } else { context.terminal.print(&lines.join("\n")) }
    })?;
    context.tell_cut(model.n_cut(), model.max_length())?;
    Ok(Outcome::Done)
}

/// The lines for `rows`.
fn answer(model: &TokenClassification, rows: &[Row], format: ReportFormat) -> Result<Vec<String>> {
    let asked: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let mut lines = Vec::new();
    for (row, marked) in rows.iter().zip(model.mark(&asked)?) {
        match format {
            ReportFormat::Text => {
                let name = row.id.as_ref().map_or_else(|| row.row.to_string(), |id| one_line(id));
                lines.extend(marked.entities.iter().map(|entity| {
                    let TextEntity { label, score, start, end, text } = entity;
                    format!("{name}\t{start}\t{end}\t{label}\t{score:.4}\t{}", one_line(text))
                }));
            }
            ReportFormat::Json => lines.push(serde_json::to_string(&Line { row, marked: &marked })?),
        }
    }
    Ok(lines)
}
