//! `burnformer devices`: what tensors can live on.

use anyhow::Result;
use burnformer::recipes::DevicesReport;

use super::Outcome;
use crate::args::DevicesArgs;
use crate::context::Context;

pub(super) fn run(args: &DevicesArgs, context: &Context) -> Result<Outcome> {
    let choice = args.device.device;
    context.terminal.report(&DevicesReport::new(choice), args.report.format)?;
    match choice.open() {
        Ok(_) => Ok(Outcome::Done),
        Err(error) => {
            context.terminal.warn(error);
            Ok(Outcome::NotMet)
        }
    }
}
