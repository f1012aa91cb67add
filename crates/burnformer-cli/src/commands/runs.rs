//! `burnformer runs`: which runs there are, and how they compare.

use anyhow::Result;
use burnformer::core::files::atomic_write_bytes;
use burnformer::recipes::Runs;

use super::Outcome;
use crate::args::RunsArgs;
use crate::context::Context;

pub(super) fn run(args: &RunsArgs, context: &Context) -> Result<Outcome> {
    let runs = Runs::find(&args.folders, &context.interrupt)?;
    let report = runs.report(args.compare, &args.metric)?;
    if let Some(plot) = &args.plot {
        atomic_write_bytes(plot, runs.picture()?)?;
    }
    context.terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}
