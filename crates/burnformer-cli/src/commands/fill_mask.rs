//! `burnformer fill-mask`: what a model would put in the place of `[MASK]`.

use anyhow::Result;
use burnformer::recipes::Report;
use burnformer::tasks::{FillMask, FilledText};

use super::Outcome;
use crate::args::{FillMaskArgs, ReportFormat};
use crate::context::Context;

pub(super) fn run(args: &FillMaskArgs, context: &Context) -> Result<Outcome> {
    let device = args.device.device.open()?;
    let model = FillMask::load(&args.folder, &device)?;
    args.texts.in_groups("fill-mask", context, |texts| {
        let asked: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
        let filled = model.fill(&asked, args.top_k as usize)?;
        let line = |(text, masks)| match args.report.format {
            ReportFormat::Text => Ok(FilledText { text, masks }.text()),
            ReportFormat::Json => serde_json::to_string(&FilledText { text, masks }),
        };
        let lines = asked.into_iter().zip(filled).map(line).collect::<Result<Vec<_>, _>>()?;
        context.terminal.print(&lines.join("\n"))
    })?;
    Ok(Outcome::Done)
}
