//! A source cut into pieces of work.

use std::sync::Arc;

use super::{CorpusError, Position};
use crate::source::{BytesRead, OnBadRow, RecordReader, Skipped, Source};
use crate::{DataError, Record, Target};

/// Text of a piece of work, in bytes, once it is full.
const FULL: usize = 256 * 1024;

/// Some consecutive records of one part.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) records: Vec<Record>,
    pub(super) skipped: Skipped,
    /// Start of the next chunk.
    pub(super) next: Position,
    /// Bytes of the part read for this chunk.
    pub(super) bytes: u64,
}

/// The chunks of a source from a position on. Ends with the first error.
pub(super) struct Chunks {
    source: Arc<dyn Source>,
    policy: OnBadRow,
    next: Position,
    reader: Option<RecordReader>,
    /// Bytes read of the open part, and how many of them earlier chunks have reported.
    bytes: BytesRead,
    told: u64,
    failed: bool,
}

impl Chunks {
    pub(super) fn new(source: Arc<dyn Source>, policy: OnBadRow, start: Position) -> Self {
        Self { source, policy, next: start, reader: None, bytes: BytesRead::default(), told: 0, failed: false }
    }

    fn chunk(&mut self) -> Result<Chunk, DataError> {
        let mut chunk = Chunk { records: Vec::new(), skipped: Skipped::default(), next: self.next, bytes: 0 };
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                (self.bytes, self.told) = (BytesRead::default(), 0);
                let mut reader = self.source.read(self.next.part, &self.bytes);
                // Rows that an interrupted build has dealt with, good or bad.
                for row in reader.by_ref().take(usize::try_from(self.next.record).unwrap_or(usize::MAX)) {
                    Skipped::default().filter(self.policy, row)?;
                }
                self.reader.insert(reader)
            }
        };
        let part_bytes = self.source.parts()[self.next.part].bytes;
        let (mut full, mut done) = (0, None);
        while full < FULL {
            let Some(row) = reader.next() else {
                done = Some(part_bytes);
                self.next = Position { part: self.next.part + 1, record: 0 };
                self.reader = None;
                break;
            };
            self.next.record += 1;
            if let Some(record) = chunk.skipped.filter(self.policy, row)? {
                if let Some(Target::Labels { .. }) = record.target {
                    let (path, line) = (record.path.to_path_buf(), record.line);
                    return Err(CorpusError::SeveralLabels { path, line }.into());
                }
                full += record.text.len() + record.pair.as_ref().map_or(0, String::len);
                chunk.records.push(record);
            }
        }
        let done = done.unwrap_or_else(|| self.bytes.get().min(part_bytes));
        chunk.bytes = done.saturating_sub(self.told);
        self.told += chunk.bytes;
        chunk.next = self.next;
        Ok(chunk)
    }
}

impl Iterator for Chunks {
    type Item = Result<Chunk, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next.part >= self.source.parts().len() {
            return None;
        }
        let chunk = self.chunk();
        self.failed = chunk.is_err();
        Some(chunk)
    }
}
