//! The texts that a command answers: from the command line, from files, or line by line from the standard input.

use std::io::{self, IsTerminal};

use anyhow::{Error, Result};
use burnformer::data::readers::{Files, FormatKind};
use burnformer::data::source::Records;
use burnformer::tasks::TaskError;
use serde::Serialize;

use super::lines;
use crate::args::TextsArgs;
use crate::context::Context;
use crate::input;
use crate::terminal::Terminal;

/// How many texts are answered together: enough to put those of similar length together, few enough to answer soon.
const TOGETHER: usize = 256;

/// Bytes of texts that are answered together: long ones wait for no others.
const FULL: usize = 1 << 20;

/// A text to be answered.
#[derive(Clone, Serialize)]
pub(super) struct Row {
    /// Its number among all rows of the input, from 1.
    pub(super) row: u64,
    /// What the input calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) text: String,
    /// A second text that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pair: Option<String>,
}

impl TextsArgs {
    /// Whether there are no files, or the lines of the standard input in their place, which are answered as they come.
    fn is_stdin(&self) -> bool {
        let is_text = matches!(self.format.input_format, None | Some(FormatKind::Text))
            && self.format.layout.is_none()
            && self.id_column.is_none();
        self.input.is_empty() || (self.input == ["-"] && is_text)
    }

    /// The column of a row's identifier, with the tab behind it; nothing if none is asked for. It is there without an identifier
    /// too, so that all lines have the same columns.
    pub(super) fn id_field(&self, row: &Row) -> String {
        let id = row.id.as_deref().map(one_line).unwrap_or_default();
        if self.id_column.is_some() { id + "\t" } else { id }
    }

    /// Hands all texts to `answer`, in order, some at a time. Reading files is the stage `stage`.
    pub(super) fn in_groups(
        &self,
        stage: &str,
        context: &Context,
        answer: impl FnMut(&[Row]) -> Result<()>,
    ) -> Result<()> {
        self.in_groups_of(stage, input::open_rows, context, answer)
    }

    /// The same, of files that `open` opens.
    pub(super) fn in_groups_of(
        &self,
        stage: &str,
        open: fn(&Self) -> Result<Files>,
        context: &Context,
        mut answer: impl FnMut(&[Row]) -> Result<()>,
    ) -> Result<()> {
        // Who types texts wants each one answered at once.
        let is_stdin = self.is_stdin();
        let is_typed = self.texts.is_empty() && is_stdin && io::stdin().is_terminal();
        let together = if is_typed { 1 } else { TOGETHER };
        let mut waiting: Vec<Row> = Vec::new();
        let mut n_bytes = 0;
        let mut take = |row: Row| -> Result<()> {
            n_bytes += row.text.len() + row.pair.as_ref().map_or(0, String::len);
            waiting.push(row);
            if waiting.len() == together || n_bytes >= FULL {
                answer(&waiting).map_err(|error| in_rows(error, |index| waiting[index].row))?;
                waiting.clear();
                n_bytes = 0;
            }
            Ok(())
        };
        if is_stdin {
            for (row, text) in (1..).zip(lines::texts(&self.texts, self.format.encoding)) {
                context.interrupt.check()?;
                take(Row { row, id: None, text: text?, pair: None })?;
            }
        } else {
            let source = open(self)?;
            let Context { terminal, interrupt, .. } = context;
            let mut records = Records::new(&source, self.format.on_bad_row, stage, terminal, interrupt);
            let mut n_read = 0;
            while let Some(record) = records.next() {
                let record = record?;
                // Long documents come in pieces, of which the first is more than a model takes.
                if record.continues {
                    continue;
                }
                n_read += 1;
                let row = n_read + records.skipped().rows;
                take(Row { row, id: record.group, text: record.text, pair: record.pair })?;
            }
            terminal.skipped(&records.into_skipped());
        }
        if waiting.is_empty() {
            Ok(())
        } else {
            answer(&waiting).map_err(|error| in_rows(error, |index| waiting[index].row))
        }
    }
}

/// `error` with the number of the row in the place of that of a text; `row` is told its index among the texts.
pub(super) fn in_rows(error: Error, row: impl Fn(usize) -> u64) -> Error {
    match error.downcast::<TaskError>() {
        Ok(TaskError::Text { number, source }) => {
            Error::new(source).context(format!("row {} cannot be used", row(number - 1)))
        }
        Ok(error) => error.into(),
        Err(error) => error,
    }
}

/// `text` without breaks and tabs.
pub(super) fn one_line(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ")
}

impl Terminal {
    /// Warns of texts that a model has not seen to their end.
    pub(super) fn cut(&self, n_cut: u64, max_length: usize) {
        if n_cut > 0 {
            let texts = if n_cut == 1 { "text is" } else { "texts are" };
            self.warn(format_args!(
                "{n_cut} {texts} longer than {max_length} tokens, which is all the model takes: cut off behind"
            ));
        }
    }
}
