//! The records of a source, one after the other.

use anyhow::Result;
use burnformer::core::progress::{Progress, Unit};
use burnformer::data::source::{BytesRead, OnBadRow, Skipped, Source};
use burnformer::data::{DataError, Record};

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
    let total = source.parts().iter().map(|part| part.bytes).sum();
    let stage = context.terminal.stage(name, Some(total), Unit::Bytes);
    let mut skipped = Skipped::default();
    for (number, part) in source.parts().iter().enumerate() {
        let (bytes, mut shown) = (BytesRead::default(), 0);
        for row in source.read(number, &bytes) {
            if context.interrupt.requested() {
                return Err(DataError::Interrupted.into());
            }
            if let Some(record) = skipped.filter(policy, row)? {
                each(record)?;
            }
            let done = bytes.get().min(part.bytes);
            stage.advance(done.saturating_sub(shown));
            shown = done;
        }
        stage.advance(part.bytes.saturating_sub(shown));
    }
    Ok(skipped)
}

/// Says how many rows were left out, and why the first of them.
pub(crate) fn warn_of_skipped(terminal: &Terminal, skipped: &Skipped) {
    if skipped.rows == 0 {
        return;
    }
    terminal.warn(format_args!("rows left out: {}, the first of them because", skipped.rows));
    for example in &skipped.examples {
        terminal.note(format_args!("  {}", errors::causes(example).join(": ")));
    }
}
