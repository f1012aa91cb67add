//! Sources of records, part by part, and the handling of bad rows.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burnformer_core::progress::{Interrupt, Interrupted, Progress, Stage, Unit};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::{DataError, Record};

/// Text that is read part by part.
pub trait Source: Send + Sync {
    /// The parts, in the order in which they are read.
    fn parts(&self) -> &[Part];

    /// The records of part number `part`, read lazily. Bytes of the part that were read may be added to
    /// `bytes`, for progress; the rest counts as read at the end.
    ///
    /// After an error that is a bad row ([`DataError::is_bad_row`]) the iterator continues after it, or ends if there
    /// is nothing left; after any other error it ends.
    ///
    /// # Panics
    /// If there is no such part.
    fn read(&self, part: usize, bytes: &BytesRead) -> RecordReader;

    /// Fingerprint of the content of part number `part`, whatever its name, place and time of modification. The number of
    /// bytes is handed to `tick` as they are read; its error ends the reading.
    ///
    /// # Errors
    /// If the part cannot be read; the error of `tick`.
    ///
    /// # Panics
    /// If there is no such part.
    fn fingerprint(&self, part: usize, tick: &mut dyn FnMut(u64) -> Result<(), Interrupted>) -> Result<u64, DataError>;

    /// What the records depend on beside the content of the parts: format, columns.
    fn layout(&self) -> String {
        String::new()
    }
}

/// One fingerprint of the content of all parts of `source`, in order. Reads every byte, under the stage `check data`.
///
/// # Errors
/// As [`Source::fingerprint`]; an interruption.
pub fn fingerprint(source: &dyn Source, progress: &dyn Progress, interrupt: &Interrupt) -> Result<u64, DataError> {
    let parts = source.parts();
    let stage = progress.stage("check data", Some(parts.iter().map(|part| part.bytes).sum()), Unit::Bytes);
    let mut tick = |bytes| {
        stage.advance(bytes);
        interrupt.check()
    };
    let mut hash = XxHash3_64::new();
    for part in 0..parts.len() {
        hash.write_u64(source.fingerprint(part, &mut tick)?);
    }
    Ok(hash.finish())
}

/// Records as they are read.
pub type RecordReader = Box<dyn Iterator<Item = Result<Record, DataError>> + Send>;

/// Number of bytes read. Clones share the counter.
#[derive(Clone, Debug, Default)]
pub struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    /// Adds to the counter.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Number of bytes so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One part of a source: a file, or a crate with its documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name for messages: the path of a file, the name and version of a crate.
    pub name: String,
    /// Size on disk in bytes, for progress.
    pub bytes: u64,
}

/// Handling of rows that cannot be used: invalid UTF-8, a missing value, a quote that is never closed. A file that cannot be
/// read to its end is an error with either: nothing tells how many of its rows are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnBadRow {
    /// End with the error.
    #[default]
    Error,
    /// Skip the row and count it, with all rows that are lost with it.
    Skip,
}

/// Skipped rows, with examples.
#[derive(Debug, Default)]
pub struct Skipped {
    /// Number of skipped rows.
    pub rows: u64,
    /// Their numbers by what is wrong with them, in a few words.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Errors of the first skipped rows.
    pub examples: Vec<DataError>,
}

/// Largest number of examples in [`Skipped`].
const EXAMPLES: usize = 5;

impl Skipped {
    /// Returns the record in `item`; `None` for a bad row that `policy` skips, which is counted.
    ///
    /// # Errors
    /// The error in `item`, unless it is skipped.
    pub fn filter<T>(&mut self, policy: OnBadRow, item: Result<T, DataError>) -> Result<Option<T>, DataError> {
        let error = match item {
            Ok(record) => return Ok(Some(record)),
            Err(error) => error,
        };
        let Some(lost) = error.rows_lost().filter(|_| policy == OnBadRow::Skip) else { return Err(error) };
        self.rows = self.rows.saturating_add(lost);
        let of_reason = self.reasons.entry(error.reason()).or_default();
        *of_reason = of_reason.saturating_add(lost);
        if self.examples.len() < EXAMPLES {
            self.examples.push(error);
        }
        Ok(None)
    }

    /// The error of a source of which no row is left: `none` if it has no rows.
    pub(crate) fn none_left(self, none: impl Into<DataError>) -> DataError {
        let rows = self.rows;
        match self.examples.into_iter().next() {
            Some(first) => DataError::AllSkipped { rows, source: Box::new(first) },
            None => none.into(),
        }
    }

    /// Adds the rows of `other`.
    pub(crate) fn join(&mut self, other: Self) {
        self.rows += other.rows;
        for (reason, rows) in other.reasons {
            *self.reasons.entry(reason).or_default() += rows;
        }
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES);
    }
}

/// The records of a source, part by part. A bad row is skipped and counted, or ends the iterator, as does
/// an interruption. Reports progress.
pub struct Records<'a> {
    source: &'a dyn Source,
    policy: OnBadRow,
    interrupt: Interrupt,
    part: usize,
    open: Option<(RecordReader, BytesRead, u64)>,
    skipped: Skipped,
    stage: Box<dyn Stage>,
}

impl<'a> Records<'a> {
    /// The records of `source`, from the first, under the stage `name`.
    pub fn new(
        source: &'a dyn Source,
        policy: OnBadRow,
        name: &str,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Self {
        let total = source.parts().iter().map(|part| part.bytes).sum();
        let stage = progress.stage(name, Some(total), Unit::Bytes);
        let interrupt = interrupt.clone();
        Self { source, policy, interrupt, part: 0, open: None, skipped: Skipped::default(), stage }
    }

    /// What a record was turned into; `None` if that was an error of a row that is skipped, which is counted.
    ///
    /// # Errors
    /// As [`Skipped::filter`].
    pub(crate) fn keep<T>(&mut self, item: Result<T, DataError>) -> Result<Option<T>, DataError> {
        self.skipped.filter(self.policy, item)
    }

    /// The rows skipped so far.
    #[must_use]
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// The skipped rows.
    #[must_use]
    pub fn into_skipped(self) -> Skipped {
        self.skipped
    }

    /// The next row of the open part; opens the next part at its end. `None` after the last part.
    fn row(&mut self) -> Option<Result<Record, DataError>> {
        loop {
            let part = self.source.parts().get(self.part)?;
            let (reader, bytes, shown) = self.open.get_or_insert_with(|| {
                let bytes = BytesRead::default();
                (self.source.read(self.part, &bytes), bytes, 0)
            });
            let row = reader.next();
            let done = if row.is_some() { bytes.get().min(part.bytes) } else { part.bytes };
            self.stage.advance(done.saturating_sub(*shown));
            *shown = done.max(*shown);
            if row.is_some() {
                return row;
            }
            self.open = None;
            self.part += 1;
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let row = self.row()?;
            let row = self.interrupt.check().map_err(DataError::from).and(row);
            match self.skipped.filter(self.policy, row) {
                Ok(Some(record)) => return Some(Ok(record)),
                Ok(None) => {}
                Err(error) => {
                    (self.part, self.open) = (self.source.parts().len(), None);
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The texts of all records of a source, second texts of pairs too, for training a tokenizer. Shows its progress.
pub struct Texts<'a> {
    records: Records<'a>,
    sides: Sides,
    pair: Option<String>,
}

/// Choice of texts of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sides {
    /// Both, one after the other.
    #[default]
    Both,
    /// First texts.
    First,
    /// Second texts.
    Second,
}

impl<'a> Texts<'a> {
    /// The texts of `source`, from the first.
    pub fn new(source: &'a dyn Source, sides: Sides, policy: OnBadRow, progress: &dyn Progress) -> Self {
        Self { records: Records::new(source, policy, "read text", progress, &Interrupt::new()), sides, pair: None }
    }

    /// The rows skipped so far.
    #[must_use]
    pub fn skipped(&self) -> &Skipped {
        self.records.skipped()
    }
}

impl Iterator for Texts<'_> {
    type Item = Result<String, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(pair) = self.pair.take() {
            return Some(Ok(pair));
        }
        loop {
            let Record { text, pair, .. } = match self.records.next()? {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            };
            match (self.sides, pair) {
                (Sides::Second, None) => {}
                (Sides::Second, Some(pair)) => return Some(Ok(pair)),
                (Sides::First, _) => return Some(Ok(text)),
                (Sides::Both, pair) => {
                    self.pair = pair;
                    return Some(Ok(text));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burnformer_core::progress::{Interrupted, Silent};

    use super::*;
    use crate::testing::{Memory, record};

    fn source() -> Memory {
        let pair = Record { pair: Some("zwei".to_owned()), ..record(&["two"]) };
        Memory::new(vec![vec![Some(record(&["one"])), None], vec![], vec![Some(pair), None, None]])
    }

    fn texts(sides: Sides) -> Vec<String> {
        Texts::new(&source(), sides, OnBadRow::Skip, &Silent).map(Result::unwrap).collect()
    }

    #[test]
    fn texts_come_in_order_with_the_sides_asked_for() {
        assert_eq!(texts(Sides::Both), ["one", "two", "zwei"]);
        assert_eq!(texts(Sides::First), ["one", "two"]);
        assert_eq!(texts(Sides::Second), ["zwei"]);
    }

    #[test]
    fn bad_rows_are_an_end_or_are_counted() {
        let source = source();
        let mut texts = Texts::new(&source, Sides::Both, OnBadRow::Skip, &Silent);
        assert_eq!(texts.by_ref().count(), 3);
        assert_eq!((texts.skipped().rows, texts.skipped().examples.len()), (3, 3));
        assert_eq!(texts.skipped().reasons, [("unreadable rows", 3)].into());
        let strict: Vec<bool> =
            Texts::new(&source, Sides::Both, OnBadRow::Error, &Silent).map(|text| text.is_ok()).collect();
        assert_eq!(strict, [true, false]);
    }

    #[test]
    fn an_interruption_is_the_last_thing_that_comes_whatever_the_rows_are() {
        let bad = Memory::new(vec![vec![None, None]]);
        let interrupt = Interrupt::new();
        for source in [source(), bad] {
            let mut records = Records::new(&source, OnBadRow::Skip, "read", &Silent, &interrupt);
            interrupt.request();
            assert!(matches!(records.next(), Some(Err(DataError::Interrupted(_)))));
            assert!(records.next().is_none());
        }
    }

    #[test]
    fn all_rows_that_an_error_loses_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let options = crate::readers::FormatOptions::default();
            let source = options.input(&[path.display().to_string()]).unwrap().open().unwrap();
            let mut records = Records::new(&source, OnBadRow::Skip, "read", &Silent, &Interrupt::new());
            let error = records.by_ref().find_map(Result::err).map(|error| error.to_string());
            (records.skipped().rows, error)
        };
        let table: String = (0..40).map(|n| format!("{}row {n}\n", if n == 10 { "\"" } else { "" })).collect();
        assert_eq!(read("a.csv", format!("text\n{table}").as_bytes()), (30, None));
        // Of a file that ends too early nobody knows.
        let whole = crate::readers::testing::gzip(table);
        let (skipped, error) = read("a.txt.gz", &whole[..whole.len() / 2]);
        assert_eq!(skipped, 0);
        assert!(error.unwrap().contains("nothing tells how many rows are missing"));
    }

    #[test]
    fn only_bad_rows_are_skipped() {
        let mut skipped = Skipped::default();
        let fatal = || Err::<(), _>(Interrupted.into());
        assert!(skipped.filter(OnBadRow::Skip, fatal()).is_err());
        let format = crate::readers::Format::Text { layout: crate::readers::TextLayout::Lines };
        let missing = crate::readers::Input::new(vec![Path::new("missing").display().to_string()], format);
        assert!(skipped.filter(OnBadRow::Skip, missing.open().map(|_| ())).is_err());
        assert_eq!(skipped.rows, 0);
    }
}
