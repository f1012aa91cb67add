//! The texts that a command answers: from the command line, from files, or line by line from the standard input.

use std::io::{self, IsTerminal};
use std::iter;

use anyhow::{Error, Result};
use burnformer::core::collective::Json;
use burnformer::data::readers::{Files, FormatKind};
use burnformer::data::source::Records;
use burnformer::tasks::TaskError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lines;
use crate::args::TextsArgs;
use crate::context::Context;
use crate::input;
use crate::terminal::Terminal;

/// How many texts are answered together: enough to put those of similar length together, few enough to answer soon.
pub(super) const TOGETHER: usize = 256;

/// Bytes of texts that are answered together: long ones wait for no others.
const FULL: usize = 1 << 20;

/// A text to be answered.
#[derive(Clone, Serialize, Deserialize)]
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

    /// Has all texts answered by `answer`, at most `most` at a time, and hands the answers to `take` in the order of texts. The
    /// processes share the work; the first reads and takes. Reading files is the stage `stage`.
    pub(super) fn in_groups<V: Serialize + DeserializeOwned>(
        &self,
        stage: &str,
        most: usize,
        context: &Context,
        answer: impl FnMut(&[Row]) -> Result<V>,
        take: impl FnMut(&[Row], V) -> Result<()>,
    ) -> Result<()> {
        self.in_groups_of(stage, most, input::open_rows, context, answer, take)
    }

    /// The same, of files that `open` opens.
    pub(super) fn in_groups_of<V: Serialize + DeserializeOwned>(
        &self,
        stage: &str,
        most: usize,
        open: fn(&Self) -> Result<Files>,
        context: &Context,
        mut answer: impl FnMut(&[Row]) -> Result<V>,
        mut take: impl FnMut(&[Row], V) -> Result<()>,
    ) -> Result<()> {
        // Who types texts wants each one answered at once.
        let is_stdin = self.is_stdin();
        let is_typed = self.texts.is_empty() && is_stdin && io::stdin().is_terminal();
        let together = if is_typed { 1 } else { most.clamp(1, TOGETHER) };
        let mut share = |rows: &mut dyn Iterator<Item = Result<Row>>| {
            let items = groups(rows, together).map(|group| group.map(|rows| (rows.clone(), Json(rows))));
            let answer = |Json(rows): Json<Vec<Row>>| {
                answer(&rows).map(Json).map_err(|error| in_rows(error, |index| rows[index].row))
            };
            context.deal(items, answer, |rows, Json(answers)| take(&rows, answers))
        };
        if !context.is_first() {
            return share(&mut iter::empty());
        }
        if is_stdin {
            let texts = (1..).zip(lines::texts(&self.texts, self.format.encoding));
            return share(&mut texts.map(|(row, text)| {
                context.interrupt.check()?;
                Ok(Row { row, id: None, text: text?, pair: None })
            }));
        }
        let source = match open(self) {
            Ok(source) => source,
            Err(error) => return share(&mut iter::once(Err(error))),
        };
        let Context { terminal, interrupt, .. } = context;
        let mut records = Records::new(&source, self.format.on_bad_row, stage, terminal, interrupt);
        let mut n_read = 0;
        share(&mut iter::from_fn(|| {
            // Long documents come in pieces, of which the first is more than a model takes.
            let record = records.by_ref().find(|record| !record.as_ref().is_ok_and(|record| record.continues))?;
            Some(record.map_err(Error::from).map(|record| {
                n_read += 1;
                let row = n_read + records.skipped().rows;
                Row { row, id: record.group, text: record.text, pair: record.pair }
            }))
        }))?;
        terminal.skipped(&records.into_skipped());
        Ok(())
    }
}

/// `rows`, `together` at a time, or fewer if they are long.
fn groups(rows: &mut dyn Iterator<Item = Result<Row>>, together: usize) -> impl Iterator<Item = Result<Vec<Row>>> {
    iter::from_fn(move || {
        let (mut group, mut n_bytes) = (Vec::new(), 0);
        while group.len() < together && n_bytes < FULL {
            match rows.next() {
                Some(Ok(row)) => {
                    n_bytes += row.text.len() + row.pair.as_ref().map_or(0, String::len);
                    group.push(row);
                }
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        (!group.is_empty()).then_some(Ok(group))
    })
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
    pub(crate) fn cut(&self, n_cut: u64, max_length: usize) {
        if n_cut > 0 {
            let texts = if n_cut == 1 { "text is" } else { "texts are" };
            self.warn(format_args!(
                "{n_cut} {texts} longer than {max_length} tokens, which is all the model takes: cut off behind"
            ));
        }
    }
}
