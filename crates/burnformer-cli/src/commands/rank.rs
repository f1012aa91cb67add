//! `burnformer rank`: texts by how well they go with a query.

use anyhow::Result;
use burnformer::tasks::{RankedText, TextRanking};
use serde::Serialize;

use super::Outcome;
use super::texts::{Row, in_rows, one_line};
use crate::args::{RankArgs, ReportFormat};
use crate::context::Context;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    row: &'a Row,
    index: usize,
    score: f64,
}

pub(super) fn run(args: &RankArgs, context: &Context) -> Result<Outcome> {
    let mut model = TextRanking::load(&args.folder, &args.device.device.open()?)?;
    if args.special_tokens.split_special_tokens {
        model = model.with_split_special_tokens(true);
    }
    let mut rows = Vec::new();
    args.texts.in_groups("rank", context, |some| {
        rows.extend_from_slice(some);
        Ok(())
    })?;
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let ranked = model.rank(&args.query, &texts).map_err(|error| in_rows(error.into(), |index| rows[index].row))?;
    for &RankedText { index, score, text } in ranked.iter().take(args.top_k.map_or(usize::MAX, |n| n as usize)) {
        let row = &rows[index];
        let line = match args.report.format {
            ReportFormat::Text => {
                let id = row.id.as_ref().map(|id| one_line(id) + "\t").unwrap_or_default();
                format!("{id}{score:.4}\t{}", one_line(text))
            }
            ReportFormat::Json => serde_json::to_string(&Line { row, index, score })?,
        };
        context.terminal.print(&line)?;
    }
    context.terminal.cut(model.n_cut(), model.max_length());
    Ok(Outcome::Done)
}
