//! Event files for TensorBoard: what `metrics.jsonl` holds, as scalars.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use burnformer_core::files::{FileError, atomic_write_bytes};

use crate::HistoryEntry;

/// What the name of an event file begins with; the time of its first event follows.
const PREFIX: &str = "events.out.tfevents.";
/// Version of the format, which the first event of a file names.
const VERSION: &str = "brain.Event:2";

/// An event file that is open to append to.
///
/// Every start of a run writes a new file with all metrics so far and removes the older ones. Its second event says that what
/// was read before is void, so TensorBoard shows each step once, also while it looks on and after a crash between the two.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Begins an event file in `folder` with the metrics so far. Their times are the training times before now.
    pub(crate) fn create(folder: &Path, history: &[HistoryEntry]) -> Result<Self, FileError> {
        let failed = |attempt| move |source| FileError::Io { attempt, path: folder.to_owned(), source };
        let mut old = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed("list"))? {
            let entry = entry.map_err(failed("list"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(time) = name.strip_prefix(PREFIX).and_then(|time| time.parse::<u64>().ok()) {
                old.push((time, entry.path()));
            }
        }
        let now = now();
        // Files are read in the order of their names, also when the clock was put back.
        let after = old.iter().map(|(time, _)| time.saturating_add(1)).max().unwrap_or(0);
        let path = folder.join(format!("{PREFIX}{:010}", after.max(now as u64)));
        atomic_write_bytes(&path, replay(history, now))?;
        let opened = OpenOptions::new().append(true).open(&path);
        let file = opened.map_err(|source| FileError::Io { attempt: "open", path: path.clone(), source })?;
        for (_, path) in old {
            fs::remove_file(&path).map_err(|source| FileError::Io { attempt: "remove", path, source })?;
        }
        Ok(Self { path, file })
    }

    /// Appends metrics.
    pub(crate) fn append(&mut self, entry: &HistoryEntry) -> Result<(), FileError> {
        // One call, so that a process that is killed leaves whole records.
        let written = self.file.write_all(&record(&scalars(entry, now())));
        written.map_err(|source| FileError::Io { attempt: "write", path: self.path.clone(), source })
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The file of these metrics.
fn replay(history: &[HistoryEntry], now: f64) -> Vec<u8> {
    let seconds = |entry: &HistoryEntry| entry.value("seconds").filter(|seconds| seconds.is_finite());
    let total = history.iter().rev().find_map(seconds).unwrap_or(0.0);
    let mut file = record(&event(now - total, 0, 3, VERSION.as_bytes()));
    // A session log with the status START.
    file.extend(record(&event(now - total, 0, 7, &[1 << 3, 1])));
    let mut passed = 0.0;
    for entry in history {
        passed = seconds(entry).unwrap_or(passed);
        file.extend(record(&scalars(entry, now - total + passed)));
    }
    file
}

/// The event with the values of an entry, each called `SPLIT/NAME`.
fn scalars(entry: &HistoryEntry, time: f64) -> Vec<u8> {
    let mut summary = Vec::new();
    for (name, value) in &entry.values {
        let mut scalar = Vec::new();
        put_bytes(&mut scalar, 1, format!("{}/{name}", entry.split).as_bytes());
        scalar.push(2 << 3 | 5);
        scalar.extend((*value as f32).to_le_bytes());
        put_bytes(&mut summary, 1, &scalar);
    }
    event(time, entry.step, 5, &summary)
}

/// The message `Event` with a time, a step, and `content` as field `number`.
fn event(time: f64, step: u64, number: u64, content: &[u8]) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(time.to_le_bytes());
    // A field of value 0 is left out.
    if step > 0 {
        event.push(2 << 3);
        put_varint(&mut event, step);
    }
    put_bytes(&mut event, number, content);
    event
}

/// Adds a field of bytes to a protobuf message.
fn put_bytes(message: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(message, number << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// The record of TFRecord with these data: their length and the data, each followed by its masked CRC-32C.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length), data, &masked_crc(data)].concat()
}

fn masked_crc(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> Vec<HistoryEntry> {
        let entry = |step, split: &str, values: &[(&str, f64)]| HistoryEntry {
            step,
            split: split.to_owned(),
            values: values.iter().map(|&(name, value)| (name.to_owned(), value)).collect(),
        };
        vec![
            entry(1, "train", &[("loss", 6.125), ("seconds", 0.5)]),
            entry(300, "train", &[("loss", 0.0), ("learning_rate", 1e-4), ("seconds", 2.5)]),
            entry(300, "validation", &[("loss", f64::INFINITY), ("accuracy", 0.1)]),
            entry(1 << 40, "train", &[("loss", -5.5), ("seconds", 10.0)]),
        ]
    }

    /// The bytes are those of TensorBoard 2.21.0: see `tests/fixtures/events.py`.
    #[test]
    fn a_file_has_the_bytes_of_tensorboard() {
        let expected = include_bytes!("../tests/fixtures/events.out.tfevents.1000000000");
        assert!(replay(&history(), 1_000_000_010.0) == expected);
    }

    /// The check value of CRC-32C, and the vectors of RFC 3720, section B.4.
    #[test]
    fn checksums_have_the_known_answers() {
        let masked = |crc: u32| crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
        assert_eq!(masked_crc(b"123456789"), masked(0xe306_9283));
        assert_eq!(masked_crc(&[0; 32]), masked(0x8a91_36aa));
        assert_eq!(masked_crc(&[0xff; 32]), masked(0x62a8_ab43));
    }

    #[test]
    fn a_new_start_has_all_metrics_in_one_file_with_a_later_name() {
        let folder = tempfile::tempdir().unwrap();
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        let later = format!("{PREFIX}9999999999");
        fs::write(folder.path().join(&later), "left over").unwrap();
        let history = history();
        let mut file = EventFile::create(folder.path(), &history[..2]).unwrap();
        assert_eq!(names(), [format!("{PREFIX}10000000000")]);
        file.append(&history[2]).unwrap();
        let size = |file: &EventFile| fs::metadata(&file.path).unwrap().len() as usize;
        assert_eq!(size(&file), replay(&history[..3], 0.0).len());
        let file = EventFile::create(folder.path(), &history).unwrap();
        assert_eq!((names().len(), size(&file)), (1, replay(&history, 0.0).len()));
    }
}
