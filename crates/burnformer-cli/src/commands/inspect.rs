//! `burnformer inspect`: what a model is, how it came about, and where it looks.

use anyhow::Result;
use burnformer::recipes::Inspection;

use super::Outcome;
use crate::args::InspectArgs;
use crate::context::Context;

pub(super) fn run(args: &InspectArgs, context: &Context) -> Result<Outcome> {
    let head = args.head.map(|head| head as usize);
    let report = Inspection::of(&args.folder, args.text.as_deref(), head, args.device.device)?;
    context.terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}
