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

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Error, Result};
use burnformer::core::Local;
use burnformer::core::collective::is_failed_elsewhere;
use burnformer::core::progress::{Interrupt, is_interrupted};
use burnformer::ops::{Allocator, start_threads};
use burnformer::recipes::causes;
use burnformer_mpi::{Ending, Launch, Ranks, StartError};

use args::{Cli, VerbosityArgs};
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
/// Below the statuses that tell a signal.
const SIGNAL: u8 = 127;

/// How long other processes leave the first one the time to say why all refuse to work: a launcher ends all with the first.
const REFUSING: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = Cli::read();
    // Before anything is said: of several processes one speaks.
    let ranks = match Ranks::start(cli.as_ref().map_or(REFUSING, |cli| cli.ranks.timeout())) {
        Ok(ranks) => ranks,
        Err(error) => return refuse(error),
    };
    ExitCode::from(match cli {
        Ok(cli) => work(&cli, ranks),
        Err(message) => {
            // Nobody is left to tell that nobody reads it.
            let is_alone = ranks.rank().is_none();
            let print = |rank: Option<usize>| {
                let _ = match rank {
                    None if is_alone => message.print(),
                    None if message.use_stderr() => write!(io::stderr(), "{}", message.render()),
                    None => write!(io::stdout(), "{}", message.render()),
                    Some(rank) => write!(io::stderr(), "rank {rank}: {}", message.render()),
                };
            };
            if message.use_stderr() {
                ranks.end(Ending::Failed(u8::try_from(message.exit_code()).unwrap_or(FAILED)), print)
            } else {
                if ranks.rank().unwrap_or(0) == 0 {
                    print(None);
                }
                ranks.end(Ending::Status(DONE), |_| {})
            }
        }
    })
}

/// Says why several processes cannot work together.
fn refuse(error: StartError) -> ExitCode {
    match Launch::find() {
        Some(launch) if launch.rank > 0 => thread::sleep(REFUSING),
        _ => fail(&error.into(), &Terminal::new(&VerbosityArgs::default(), None), None),
    }
    ExitCode::from(FAILED)
}

/// Runs the command, and returns the exit status.
fn work(cli: &Cli, ranks: Ranks) -> u8 {
    let (is_first, is_common) = (ranks.rank().unwrap_or(0) == 0, commands::is_common(&cli.command));
    let context = Context {
        terminal: Terminal::new(&cli.verbosity, ranks.rank()),
        interrupt: Interrupt::new(),
        collective: if is_common { ranks.collective() } else { Box::new(Local) },
        host_rank: ranks.host_rank(),
    };
    let terminal = &context.terminal;
    let (ending, error) = match Signals::watch(&context.interrupt, terminal) {
        Ok(_) if !is_first && !is_common => (Ending::Status(DONE), None),
        Ok(signals) => {
            let shared = if env::var_os("RAYON_NUM_THREADS").is_none() { ranks.threads() } else { None };
            let result = start_threads(cli.ranks.threads.or(shared)).map_err(Error::from);
            let checked = result.and_then(|()| context.check_same_line(env::args_os().skip(1)));
            ending(checked.and_then(|()| commands::run(&cli.command, &context)), &signals)
        }
        Err(error) => (Ending::Failed(FAILED), Some(Error::from(error).context("cannot watch for signals"))),
    };
    let status = ranks.end(ending, |rank| {
        if let Some(error) = &error {
            fail(error, terminal, rank);
        }
    });
    if status > SIGNAL {
        terminal.note("interrupted");
    }
    status
}

/// How a command ended with `result`, and the error that is to be told.
fn ending(result: Result<Outcome>, signals: &Signals) -> (Ending, Option<Error>) {
    match result {
        Ok(Outcome::Done) => (Ending::Status(DONE), None),
        Ok(Outcome::NotMet) => (Ending::Status(NOT_MET), None),
        Err(error) if error.is::<ClosedPipe>() => (Ending::Status(DONE), None),
        Err(error) if is_interrupted(error.as_ref()) => (Ending::Status(signals.status()), None),
        Err(error) if is_failed_elsewhere(error.as_ref()) => (Ending::FailedElsewhere, None),
        Err(error) => (Ending::Failed(FAILED), Some(error)),
    }
}

/// Says why the command failed, on the process of this number, if others have not.
fn fail(error: &Error, terminal: &Terminal, rank: Option<usize>) {
    let mut causes = causes(error.as_ref());
    if let (Some(rank), Some(first)) = (rank, causes.first_mut()) {
        *first = format!("rank {rank}: {first}");
    }
    terminal.error(&causes, errors::hint(error).as_deref());
}
