//! The records of a source, one after the other.

use anyhow::Result;
use burnformer::data::Record;
use burnformer::data::source::{OnBadRow, Records, Skipped, Source};

use crate::commands::Context;
use crate::errors;
use crate::terminal::Terminal;

/// Hands every record of `source` to `each`, in order, under the stage `name`. Tells which rows were left out.
///
/// # Errors
/// The first error of `source` that `policy` does not skip, or of `each`; an interruption.
pub(crate) fn read(
    source: &dyn Source,
    policy: OnBadRow,
    name: &str,
    context: &Context,
    mut each: impl FnMut(Record) -> Result<()>,
) -> Result<Skipped> {
    let mut records = Records::new(source, policy, name, &context.terminal, &context.interrupt);
    for record in records.by_ref() {
        each(record?)?;
    }
    Ok(records.into_skipped())
}

/// Says how many rows were left out, and why the first of them.
pub(crate) fn warn_of_skipped(terminal: &Terminal, skipped: &Skipped) {
    if skipped.rows == 0 {
        return;
    }
    terminal.warn(format_args!("skipped rows: {}; the first errors:", skipped.rows));
    for example in &skipped.examples {
        terminal.note(format_args!("  {}", errors::causes(example).join(": ")));
    }
}
