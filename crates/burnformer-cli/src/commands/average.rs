//! `burnformer average`: a model of the last checkpoints of a run.

use anyhow::Result;
use burnformer::core::files::NewFolder;
use burnformer::train::average_checkpoints;

use super::Outcome;
use crate::args::AverageArgs;
use crate::context::Context;

pub(super) fn run(args: &AverageArgs, context: &Context) -> Result<Outcome> {
    let out = NewFolder::create(&args.out)?;
    let steps = average_checkpoints(&args.run, args.last as usize, out.path())?;
    out.commit()?;
    let steps = steps.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    context.terminal.note(format_args!("written              `{}`, the mean of steps {steps}", args.out.display()));
    Ok(Outcome::Done)
}
