//! `burnformer fill-mask`: what a model would put in the place of `[MASK]`.

use std::fmt::Write as _;

use anyhow::Result;
use burnformer::tasks::{FillMask, FilledMask};
use serde::Serialize;

use super::Outcome;
use crate::args::{FillMaskArgs, ReportFormat};
use crate::context::Context;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    masks: Vec<FilledMask>,
}

pub(super) fn run(args: &FillMaskArgs, context: &Context) -> Result<Outcome> {
    let device = args.device.device.open()?;
    let model = FillMask::load(&args.folder, &device)?;
    args.texts.in_groups("fill-mask", context, |texts| {
        let asked: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
        let filled = model.fill(&asked, args.top_k as usize)?;
        let line = |(text, masks): (&str, Vec<FilledMask>)| match args.report.format {
            ReportFormat::Text => Ok(shown(text, &masks)),
            ReportFormat::Json => serde_json::to_string(&Line { text, masks }),
        };
        let lines = asked.into_iter().zip(filled).map(line).collect::<Result<Vec<_>, _>>()?;
        context.terminal.print(&lines.join("\n"))
    })?;
    Ok(Outcome::Done)
}

fn shown(text: &str, masks: &[FilledMask]) -> String {
    let mut shown = format!("{text}\n");
    for (number, mask) in masks.iter().enumerate() {
        if masks.len() > 1 {
            let _ = writeln!(shown, "  mask {}", number + 1);
        }
        for fill in &mask.fills {
            let _ = writeln!(shown, "  {:>7.4}  {:<16} {}", fill.probability, fill.token, fill.text);
        }
    }
    shown
}
