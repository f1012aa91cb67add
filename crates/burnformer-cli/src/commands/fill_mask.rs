//! `burnformer fill-mask`: what a model would put in the place of `[MASK]`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use burnformer::data::DataError;
use burnformer::tasks::{FillMask, FilledMask};
use serde::Serialize;

use super::{Context, Outcome, lines};
use crate::args::{FillMaskArgs, ReportFormat};

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    masks: Vec<FilledMask>,
}

pub(super) fn run(args: &FillMaskArgs, context: &Context) -> Result<Outcome> {
    let device = args.device.device.open()?;
    let model = FillMask::load(&args.folder, &device)?;
    for text in lines::texts(&args.texts) {
        if context.interrupt.requested() {
            return Err(DataError::Interrupted.into());
        }
        let text = text?;
        let masks = model.fill(&text, args.top_k as usize).with_context(|| format!("cannot fill in `{text}`"))?;
        let line = match args.report.format {
            ReportFormat::Text => shown(&text, &masks),
            ReportFormat::Json => serde_json::to_string(&Line { text: &text, masks })?,
        };
        context.terminal.print(&line)?;
    }
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
