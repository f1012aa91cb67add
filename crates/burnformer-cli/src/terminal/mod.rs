//! What a command says: results on the standard output; notes, warnings, errors and progress on the standard error.
//!
//! Nothing that others wrote (labels, tokens, names, messages) commands the terminal: whatever is printed passes through
//! [`printable`]. Only texts that are the result themselves go into a file or a pipe as they are.

mod style;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use burnformer::core::printable;
use burnformer::core::progress::{Progress, Silent, Stage, Unit};
use burnformer::data::source::Skipped;
use burnformer::recipes::{AnyReport, Note};
use burnformer_progress::{Bars, Lines};

use crate::args::{ReportFormat, VerbosityArgs};
use style::Style;

/// Where a command speaks. A clone speaks in the same place.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    /// The number of this process, if there are others: the first speaks for all.
    rank: Option<usize>,
    verbosity: Verbosity,
    style: Style,
    /// The bars under way, if the standard error can show any.
    bars: Option<Bars>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// Nobody reads the standard output any more, as behind `| head`.
#[derive(Debug)]
pub(crate) struct ClosedPipe;

impl Display for ClosedPipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the standard output is closed")
    }
}

impl std::error::Error for ClosedPipe {}

impl Terminal {
    /// A terminal that says as much as `args` allow; for the process of number `rank`, if there are others, of which the first
    /// says all but errors.
    pub(crate) fn new(args: &VerbosityArgs, rank: Option<usize>) -> Self {
        let verbosity = match (args.quiet || rank.is_some_and(|rank| rank > 0), args.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        };
        let is_terminal = io::stderr().is_terminal();
        let can_move = is_terminal && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb");
        let bars = (can_move && verbosity > Verbosity::Quiet).then(Bars::default);
        Self { rank, verbosity, style: Style::new(is_terminal), bars }
    }

    /// Writes a result for people, or JSON, to the standard output, in lines of its own.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        self.print_each(&[text.trim_end_matches('\n')])
    }

    /// Writes each of these results for people, or of JSON, as a line to the standard output.
    pub(crate) fn print_each(&self, lines: &[impl AsRef<str>]) -> Result<()> {
        self.write(&lines.iter().map(|line| printable(line.as_ref())).collect::<Vec<_>>())
    }

    /// Writes each of these as a line to the standard output, empty ones too: texts that other programs read, so that only a
    /// terminal gets them in another form.
    pub(crate) fn print_lines(&self, lines: &[impl AsRef<str>]) -> Result<()> {
        // Open MPI has every process write to what looks like a terminal, and passes on what it writes there.
        if io::stdout().is_terminal() && self.rank.is_none() { self.print_each(lines) } else { self.write(lines) }
    }

    fn write(&self, lines: &[impl AsRef<str>]) -> Result<()> {
        if self.rank.is_some_and(|rank| rank > 0) {
            return Ok(());
        }
        let write = || {
            let mut out = io::BufWriter::new(io::stdout().lock());
            lines.iter().try_for_each(|line| writeln!(out, "{}", line.as_ref()))?;
            out.flush()
        };
        match self.aside(write) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
            written => written.context("cannot write to standard output"),
        }
    }

    /// Prints the result of a command.
    pub(crate) fn report(&self, report: &dyn AnyReport, format: ReportFormat) -> Result<()> {
        match format {
            ReportFormat::Text => self.print(&report.to_text()),
            ReportFormat::Json => self.print(&report.to_json()?),
        }
    }

    /// Warns of rows that were left out, and says why the first of them were.
    pub(crate) fn skipped(&self, skipped: &Skipped) {
        self.warn_of(&Note::SkippedRows(skipped));
    }

    /// Warns of what the note says, if it says anything.
    pub(crate) fn warn_of(&self, note: &Note<'_>) {
        let text = note.to_string();
        if !text.is_empty() {
            self.warn(text);
        }
    }

    /// Says what only some want to know: with `--verbose`.
    pub(crate) fn detail(&self, text: impl Display) {
        self.say(Verbosity::Verbose, None, text);
    }

    /// Says what is good to know, but with `--quiet`.
    pub(crate) fn note(&self, text: impl Display) {
        self.say(Verbosity::Normal, None, text);
    }

    /// Says what may be wrong, but with `--quiet`.
    pub(crate) fn warn(&self, text: impl Display) {
        self.say(Verbosity::Normal, Some(self.style.warning("warning:")), text);
    }

    /// Says why a command failed: the error, what caused it, and advice.
    pub(crate) fn error(&self, causes: &[String], hint: Option<&str>) {
        let (error, causes) = causes.split_first().map_or(("unknown", causes), |(error, rest)| (error.as_str(), rest));
        self.say(Verbosity::Quiet, Some(self.style.error("error:")), error);
        for cause in causes {
            self.say(Verbosity::Quiet, None, format_args!("  caused by: {cause}"));
        }
        if let Some(hint) = hint {
            self.say(Verbosity::Quiet, Some(self.style.hint("hint:")), hint);
        }
    }

    /// A line on the standard error, from `least` on, behind a word of our own. If nobody takes it, there is nobody to tell.
    fn say(&self, least: Verbosity, word: Option<String>, text: impl Display) {
        if self.verbosity >= least {
            let (word, text) = (word.map_or_else(String::new, |word| word + " "), text.to_string());
            self.aside(|| {
                let _ = writeln!(io::stderr(), "{word}{}", printable(&text));
            });
        }
    }

    /// Writes while no bar is in the way.
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

impl Progress for Terminal {
    fn stage(&self, name: &str, total: Option<u64>, unit: Unit) -> Box<dyn Stage> {
        match &self.bars {
            _ if self.verbosity == Verbosity::Quiet => Silent.stage(name, total, unit),
            Some(bars) => bars.stage(name, total, unit),
            None => {
                let terminal = self.clone();
                Lines(move |line| terminal.note(line)).stage(name, total, unit)
            }
        }
    }
}
