//! `burnformer fill-mask`: what a model would put in the place of `[MASK]`.

use anyhow::Result;
use burnformer::recipes::Report;
use burnformer::tasks::{FillMask, FilledMask, FilledText};
use serde::Serialize;

use super::Outcome;
use super::texts::{Row, TOGETHER};
use crate::args::{FillMaskArgs, ReportFormat};
use crate::context::Context;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    row: &'a Row,
    masks: Vec<FilledMask>,
}

pub(super) fn run(args: &FillMaskArgs, context: &Context) -> Result<Outcome> {
    let model = FillMask::load(&args.folder, &context.open(&args.device)?)?.prepared(context.weights(&args.weights))?;
    let answer = |rows: &[Row]| {
        let asked: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let filled = model.fill(&asked, args.top_k as usize)?;
        let line = |(row, masks): (&Row, _)| match args.report.format {
            ReportFormat::Text => Ok(FilledText { text: &row.text, masks }.text()),
            ReportFormat::Json => serde_json::to_string(&Line { row, masks }),
        };
        Ok(rows.iter().zip(filled).map(line).collect::<Result<Vec<String>, _>>()?)
    };
    args.texts
        .in_groups("fill-mask", TOGETHER, context, answer, |_, lines| context.terminal.print(&lines.join("\n")))?;
    context.tell_cut(model.n_cut(), model.max_length())?;
    Ok(Outcome::Done)
}
