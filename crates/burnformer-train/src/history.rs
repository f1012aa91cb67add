//! `metrics.jsonl`: what a run measured, one flat JSON object per line, written so that a killed run can go on.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burnformer_core::files::{FileError, atomic_write_bytes, read_limited};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A history that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The system refused.
    #[error("cannot {attempt} the history `{}`", path.display())]
    Io {
        /// What was attempted, as a verb.
        attempt: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Later entries cannot be taken out.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is no entry.
    #[error(
        "line {line} of `{}` is not an entry of a history such as `{{\"step\":1,\"split\":\"train\",\"loss\":0.5}}`, \
         repair or remove it",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl HistoryError {
    fn io(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { attempt, path: path.to_owned(), source }
    }
}

/// Longest file, in bytes: that of some ten million measurements.
const MOST_BYTES: u64 = 1 << 30;

/// What was measured at one step: `{"step":40,"split":"train","loss":6.1}`, keys in this order.
///
/// A value that is not finite is written as `null` and read as NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// Updates done so far.
    pub step: u64,
    /// What was measured on: `train`, `validation` or `test`.
    pub split: String,
    /// Names and values; no name is `step` or `split`.
    pub values: Vec<(String, f64)>,
}

impl HistoryEntry {
    /// The value called `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(found, _)| found == name).map(|&(_, value)| value)
    }
}

impl Serialize for HistoryEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2 + self.values.len()))?;
        map.serialize_entry("step", &self.step)?;
        map.serialize_entry("split", &self.split)?;
        for (name, value) in &self.values {
            map.serialize_entry(name, &value.is_finite().then_some(value))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for HistoryEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = HistoryEntry;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a flat object with `step` and `split`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HistoryEntry, A::Error> {
                let (mut step, mut split, mut values) = (None, None, Vec::new());
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "step" => step = Some(map.next_value()?),
                        "split" => split = Some(map.next_value()?),
                        _ => values.push((name, map.next_value::<Option<f64>>()?.unwrap_or(f64::NAN))),
                    }
                }
                let step = step.ok_or_else(|| de::Error::missing_field("step"))?;
                let split = split.ok_or_else(|| de::Error::missing_field("split"))?;
                Ok(HistoryEntry { step, split, values })
            }
        }
        deserializer.deserialize_map(Entry)
    }
}

/// The file of a run's metrics, open to append to.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    file: File,
    /// Length of the lines that are whole, in bytes.
    length: u64,
}

impl History {
    /// Creates a history, replacing an older one of that name.
    ///
    /// # Errors
    /// [`HistoryError::Io`] if the file cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, HistoryError> {
        let path = path.as_ref();
        File::create(path).map_err(HistoryError::io("create", path))?;
        Self::open(path, 0)
    }

    /// Continues after `step`: removes entries of later steps and an unfinished last line, atomically. Creates the file if it
    /// does not exist.
    ///
    /// # Errors
    /// As [`History::read`], and [`HistoryError::File`] if the file cannot be replaced.
    pub fn open_at(path: impl AsRef<Path>, step: u64) -> Result<Self, HistoryError> {
        let path = path.as_ref();
        let found = match read_limited(path, MOST_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::create(path),
            Err(error) => return Err(HistoryError::io("read", path)(error)),
        };
        // Lines are kept as they are, so that nothing changes in the digits of an old entry.
        let mut kept = Vec::with_capacity(found.len() + 1);
        for (line, entry) in parse(path, &found)? {
            if entry.step <= step {
                kept.extend_from_slice(line);
                kept.push(b'\n');
            }
        }
        if kept != found {
            atomic_write_bytes(path, &kept)?;
        }
        Self::open(path, kept.len() as u64)
    }

    /// Opens a file of `length` bytes, to write behind whatever is its end.
    fn open(path: &Path, length: u64) -> Result<Self, HistoryError> {
        let file = OpenOptions::new().append(true).open(path).map_err(HistoryError::io("open", path))?;
        Ok(Self { path: path.to_owned(), file, length })
    }

    /// Writes one line at once, or nothing of it.
    ///
    /// # Errors
    /// [`HistoryError::Io`] if the disk is full, for example.
    pub fn append(&mut self, entry: &HistoryEntry) -> Result<(), HistoryError> {
        let written = serde_json::to_vec(entry).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            append_line(&mut self.file, &mut self.length, &line)
        });
        written.map_err(HistoryError::io("write", &self.path))
    }

    /// Makes what was appended survive a loss of power.
    pub(crate) fn sync(&self) -> Result<(), HistoryError> {
        self.file.sync_data().map_err(HistoryError::io("write", &self.path))
    }

    /// All entries of a file, also while it is being written: an unfinished last line is ignored.
    ///
    /// # Errors
    /// [`HistoryError::Line`] names the first line that is no entry, [`HistoryError::Io`] a file that cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<HistoryEntry>, HistoryError> {
        let path = path.as_ref();
        let bytes = read_limited(path, MOST_BYTES).map_err(HistoryError::io("read", path))?;
        Ok(parse(path, &bytes)?.into_iter().map(|(_, entry)| entry).collect())
    }
}

/// A file of lines.
trait Lines: Write {
    /// Removes all behind the first `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl Lines for File {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Appends `line` behind the whole lines, which have `length` bytes.
fn append_line(file: &mut impl Lines, length: &mut u64, line: &[u8]) -> io::Result<()> {
    // One call, so that a reader and a process that is killed find whole lines; a full disk takes a part of it.
    if let Err(error) = file.write_all(line).and_then(|()| file.flush()) {
        // If this fails too, readers leave a torn last line out, and resuming removes it.
        let _ = file.truncate(*length);
        return Err(error);
    }
    *length += line.len() as u64;
    Ok(())
}

/// The lines of `bytes` without their ends, and what they say. A last line that is torn is left out; one that lacks nothing but
/// its end is not.
fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<(&'a [u8], HistoryEntry)>, HistoryError> {
    let mut entries = Vec::new();
    let mut lines = bytes.split(|&byte| byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        match serde_json::from_slice(line) {
            Ok(entry) => entries.push((line, entry)),
            // Behind the last end of a line: nothing, or what is torn.
            Err(_) if lines.peek().is_none() => {}
            Err(source) => return Err(HistoryError::Line { path: path.to_owned(), line: index + 1, source }),
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entry(step: u64, split: &str, values: &[(&str, f64)]) -> HistoryEntry {
        let values = values.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        HistoryEntry { step, split: split.to_owned(), values }
    }

    /// A folder with a history of three steps, two entries at the second.
    fn written() -> (tempfile::TempDir, PathBuf, Vec<HistoryEntry>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let entries = vec![
            entry(10, "train", &[("loss", 6.125), ("learning_rate", 1e-4)]),
            entry(20, "train", &[("loss", 5.5), ("learning_rate", 2e-4)]),
            entry(20, "validation", &[("loss", 5.75), ("accuracy", 0.1)]),
            entry(30, "train", &[("loss", 0.1 + 0.2)]),
        ];
        let mut history = History::create(&path).unwrap();
        entries.iter().for_each(|entry| history.append(entry).unwrap());
        (folder, path, entries)
    }

    #[test]
    fn what_is_appended_is_read() {
        let (_folder, path, entries) = written();
        assert_eq!(History::read(&path).unwrap(), entries);
        assert_eq!(entries[2].value("accuracy"), Some(0.1));
        assert_eq!(entries[2].value("learning_rate"), None);
    }

    #[test]
    fn a_line_has_its_keys_in_the_order_they_were_given() {
        let (_folder, path, _) = written();
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().next(), Some(r#"{"step":10,"split":"train","loss":6.125,"learning_rate":0.0001}"#));
    }

    #[test]
    fn what_is_not_finite_is_null_and_read_as_nan() {
        let (_folder, path, _) = written();
        let mut history = History::create(&path).unwrap();
        history.append(&entry(1, "train", &[("loss", f64::NAN), ("norm", f64::INFINITY), ("rate", 0.5)])).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"step\":1,\"split\":\"train\",\"loss\":null,\"norm\":null,\"rate\":0.5}\n");
        let values = &History::read(&path).unwrap()[0].values;
        assert!(values[0].1.is_nan() && values[1].1.is_nan() && values[2].1 == 0.5, "{values:?}");
    }

    #[test]
    fn going_on_behind_a_step_drops_what_came_later() {
        let (_folder, path, entries) = written();
        let before = fs::read(&path).unwrap();
        let mut history = History::open_at(&path, 20).unwrap();
        assert_eq!(History::read(&path).unwrap(), entries[..3]);
        history.append(&entries[3]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    /// Cut anywhere in its last line, as by a full disk or a loss of power.
    #[test]
    fn a_torn_last_line_is_left_out_and_taken_out() {
        let (_folder, path, entries) = written();
        let whole = fs::read(&path).unwrap();
        let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
        for length in last..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            // Only the end of the line is missing in the end.
            let n_entries = if length == whole.len() - 1 { 4 } else { 3 };
            assert_eq!(History::read(&path).unwrap(), entries[..n_entries], "{length} bytes");
            History::open_at(&path, 30).unwrap().append(&entries[3]).unwrap();
            assert_eq!(History::read(&path).unwrap().len(), n_entries + 1, "{length} bytes");
        }
    }

    /// A file on a disk that has room for so many bytes more.
    struct Full {
        file: File,
        room: usize,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let written = self.file.write(&bytes[..self.room.min(bytes.len())])?;
            self.room -= written;
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.file.flush()
        }
    }

    impl Lines for Full {
        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.file.set_len(length)
        }
    }

    #[test]
    fn a_line_that_does_not_fit_on_the_disk_leaves_nothing() {
        let (_folder, path, _) = written();
        let whole = fs::read(&path).unwrap();
        let line = b"{\"step\":40,\"split\":\"train\",\"loss\":1.5}\n";
        for room in 0..line.len() {
            let file = OpenOptions::new().append(true).open(&path).unwrap();
            let (mut disk, mut length) = (Full { file, room }, whole.len() as u64);
            let error = append_line(&mut disk, &mut length, line).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(fs::read(&path).unwrap(), whole, "room for {room} bytes");
            // Once there is room again, the next line follows the last whole one.
            disk.room = line.len();
            append_line(&mut disk, &mut length, line).unwrap();
            assert_eq!(fs::read(&path).unwrap(), [whole.as_slice(), line].concat());
            fs::write(&path, &whole).unwrap();
        }
    }

    #[test]
    fn a_history_that_is_not_there_is_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let first = entry(1, "train", &[]);
        History::open_at(&path, 7).unwrap().append(&first).unwrap();
        assert_eq!(History::read(&path).unwrap(), [first]);
    }

    #[test]
    fn a_line_that_is_no_entry_is_named_and_nothing_is_changed() {
        let (_folder, path, _) = written();
        let good = r#"{"step":1,"split":"train"}"#;
        for bad in [
            "",
            "loss",
            "[1]",
            r#"{"step":1}"#,
            r#"{"split":"train"}"#,
            r#"{"step":-1,"split":"train"}"#,
            r#"{"step":1,"split":"train","loss":"low"}"#,
            r#"{"step":1,"split":"train"}}"#,
        ] {
            let text = format!("{good}\n{bad}\n{good}\n");
            fs::write(&path, &text).unwrap();
            let error = History::read(&path).unwrap_err();
            assert!(matches!(error, HistoryError::Line { line: 2, .. }), "{bad}: {error:?}");
            History::open_at(&path, 0).unwrap_err();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let message = History::read(&path).unwrap_err().to_string();
        assert!(message.starts_with("line 2 of `") && message.ends_with("repair or remove it"), "{message}");
    }

    #[test]
    fn a_folder_that_is_missing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/metrics.jsonl");
        let error = History::create(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot create the history `{}`", path.display()));
        assert!(matches!(History::read(&path), Err(HistoryError::Io { attempt: "read", .. })));
    }
}
