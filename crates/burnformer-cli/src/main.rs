//! The `burnformer` program: parse the command line, run the command, say what went wrong.
//!
//! A command has its flags in [`args`] and its work in [`commands`]. It is given a [`context::Context`], reports through
//! [`terminal::Terminal`], and returns an [`Outcome`] or an error; the exit status is decided here.

mod args;
mod commands;
mod context;
mod errors;
mod input;
mod signals;
mod terminal;

use std::process::ExitCode;

use anyhow::{Error, Result};
use burnformer::core::Local;
use burnformer::core::progress::{Interrupt, is_interrupted};
use burnformer::ops::{Allocator, start_threads};
use burnformer::recipes::causes;

use args::Cli;
use commands::Outcome;
use context::Context;
use signals::Signals;
use terminal::{ClosedPipe, Terminal};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The work is done, and what was asked for holds.
const DONE: u8 = 0;
/// The work is done, but what was asked for does not hold.
const NOT_MET: u8 = 1;
/// The work could not be done: the command line, the settings, a file. Clap ends with it too.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::read();
    let context =
        Context { terminal: Terminal::new(&cli.verbosity), interrupt: Interrupt::new(), collective: Box::new(Local) };
    let status = match Signals::watch(&context.interrupt, &context.terminal) {
        Ok(signals) => {
            let result = start_threads().map_err(Error::from).and_then(|()| commands::run(&cli.command, &context));
            status(result, &signals, &context.terminal)
        }
        Err(error) => failed(&Error::from(error).context("cannot watch for signals"), &context.terminal),
    };
    ExitCode::from(status)
}

/// The exit status of a command that ended with `result`, after saying what went wrong.
fn status(result: Result<Outcome>, signals: &Signals, terminal: &Terminal) -> u8 {
    match result {
        Ok(Outcome::Done) => DONE,
        Ok(Outcome::NotMet) => NOT_MET,
        Err(error) if error.is::<ClosedPipe>() => DONE,
        Err(error) if is_interrupted(error.as_ref()) => {
            terminal.note("interrupted");
            signals.status()
        }
        Err(error) => failed(&error, terminal),
    }
}

fn failed(error: &Error, terminal: &Terminal) -> u8 {
    terminal.error(&causes(error.as_ref()), errors::hint(error).as_deref());
    FAILED
}
