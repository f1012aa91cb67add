//! `burnformer completions`: scripts for shells.

use anyhow::Result;

use super::Outcome;
use crate::args::{Cli, CompletionsArgs};
use crate::context::Context;

pub(super) fn run(args: &CompletionsArgs, context: &Context) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::definition(), "burnformer", &mut script);
    context.terminal.print(&String::from_utf8(script)?)?;
    Ok(Outcome::Done)
}
