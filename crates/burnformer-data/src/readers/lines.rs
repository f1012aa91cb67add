//! Lines of a file, one at a time, checked to be text.

use std::io::{self, BufRead, Cursor, Read};
use std::iter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::bytes::{self, Bytes, Text};
use super::encoding::{Encoding, likely_of_bytes};
use super::input_file::InputFile;
use super::{Place, ReadError};
use crate::source::BytesRead;

/// Largest number of bytes of a line, a paragraph, or a row of a table.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// Number of lines of a file whose encoding is guessed.
const GUESSES: usize = 5;

/// Length of a line whose memory is not kept for the next one, in bytes.
const LONG: usize = 1 << 20;

/// The lines of a stream such as the standard input, without line ends. The first that is not text, or longer than 64 MiB,
/// is the last. `name` stands for the stream in errors. Without `encoding` the stream is UTF-8, unless it begins with a byte
/// order mark.
pub fn lines_of(
    stream: impl BufRead + Send + 'static,
    name: &str,
    encoding: Option<Encoding>,
) -> impl Iterator<Item = Result<String, ReadError>> {
    let path: Arc<Path> = Path::new(name).into();
    let mut stream: Option<Bytes> = Some(Box::new(stream));
    let mut lines = None;
    let mut has_failed = false;
    iter::from_fn(move || {
        if let Some(stream) = stream.take() {
            match bytes::text_of_stream(stream, encoding) {
                Ok(text) => lines = Some(Lines::of_text(text, &path, MAX_BYTES)),
                Err(source) => return Some(Err(ReadError::Io { path: path.clone(), source })),
            }
        }
        let line = if has_failed { None } else { lines.as_mut()?.read()?.map(|(_, line)| line.to_owned()).into() };
        has_failed = line.as_ref().is_some_and(Result::is_err);
        line
    })
}

/// All lines of the text file `path`, or of the standard input if that is `-`, plain or compressed, including blank lines, without line ends. Without `encoding` the file
/// is UTF-8, unless it begins with a byte order mark.
///
/// # Errors
/// [`ReadError`] of the first line that is no text, or if the file cannot be read.
pub fn read_lines(path: &Path, encoding: Option<Encoding>) -> Result<Vec<String>, ReadError> {
    let mut lines = Lines::open(&InputFile::of(path)?, encoding, &BytesRead::default())?;
    let mut read = Vec::new();
    while let Some(line) = lines.read() {
        read.push(line?.1.to_owned());
    }
    Ok(read)
}

/// Lines of a file.
pub(super) struct Lines {
    bytes: Bytes,
    checks: Arc<Checks>,
    path: Arc<Path>,
    number: u64,
    line: Vec<u8>,
    max_bytes: usize,
    /// `true` if the rest of a line that is too long has not been read.
    skips_rest: bool,
    is_broken: bool,
}

impl Lines {
    /// Opens a file of this encoding, and counts what is read of it.
    pub(super) fn open(file: &InputFile, encoding: Option<Encoding>, counter: &BytesRead) -> Result<Self, ReadError> {
        Ok(Self::of_text(bytes::open(file, encoding, counter)?, file.path(), MAX_BYTES))
    }

    /// Lines of at most `max_bytes` each.
    pub(super) fn of_text(text: Text, path: &Arc<Path>, max_bytes: usize) -> Self {
        Self {
            bytes: text.bytes,
            checks: Arc::new(Checks {
                encoding: text.encoding,
                had_letters: AtomicBool::new(false),
                n_guessed: AtomicUsize::new(0),
            }),
            path: path.clone(),
            number: 0,
            line: Vec::new(),
            max_bytes,
            skips_rest: false,
            is_broken: false,
        }
    }

    /// The next line and its number, without `\n` or `\r\n` at its end.
    pub(super) fn read(&mut self) -> Option<Result<(u64, &str), ReadError>> {
        let (path, checks) = (self.path.clone(), self.checks.clone());
        let checked = |(number, line)| Ok((number, checks.check(line, || place(&path, number))?));
        Some(self.read_bytes()?.and_then(checked))
    }

    /// The next line and its number like [`Self::read`], but not checked to be text.
    pub(super) fn read_bytes(&mut self) -> Option<Result<(u64, &[u8]), ReadError>> {
        if self.is_broken {
            return None;
        }
        if std::mem::take(&mut self.skips_rest)
            && let Err(error) = self.bytes.skip_until(b'\n')
        {
            return Some(Err(self.broken(error)));
        }
        self.line.clear();
        self.release();
        let limit = self.max_bytes as u64 + 2; // with the end of the line
        let read = self.bytes.by_ref().take(limit).read_until(b'\n', &mut self.line);
        if !matches!(read, Ok(0)) {
            self.number += 1;
        }
        match read {
            Ok(0) => None,
            Ok(_) => Some(self.cut()),
            Err(error) => Some(Err(self.broken(error))),
        }
    }

    /// Gives the memory of a long line back, as soon as it is no longer needed.
    pub(super) fn release(&mut self) {
        if self.line.capacity() > LONG {
            self.line = Vec::new();
        }
    }

    /// Reads to the end and returns the number of lines of the file.
    pub(super) fn count(&mut self) -> Result<u64, ReadError> {
        self.number -= u64::from(std::mem::take(&mut self.skips_rest));
        loop {
            match self.bytes.skip_until(b'\n') {
                Ok(0) => return Ok(self.number),
                Ok(_) => self.number += 1,
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    /// The next byte that is no white space; lines before it are passed over.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            let bytes = match self.bytes.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.number += 1;
                    return Err(self.broken(error));
                }
            };
            let blank = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
            let next = bytes.get(blank).copied();
            self.number += bytes[..blank].iter().filter(|&&byte| byte == b'\n').count() as u64;
            self.bytes.consume(blank);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// The beginning of the next line, of at most `most` bytes and with its end, which stays to be read.
    pub(super) fn head(&mut self, most: usize) -> Result<Vec<u8>, ReadError> {
        let mut head = Vec::new();
        if let Err(error) = self.bytes.by_ref().take(most as u64).read_until(b'\n', &mut head) {
            self.number += 1;
            return Err(self.broken(error));
        }
        let rest = std::mem::replace(&mut self.bytes, Box::new(io::empty()));
        self.bytes = Box::new(Cursor::new(head.clone()).chain(rest));
        Ok(head)
    }

    /// Puts the line back that was read last.
    pub(super) fn unread(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.push(b'\n');
        let rest = std::mem::replace(&mut self.bytes, Box::new(io::empty()));
        self.bytes = Box::new(Cursor::new(line).chain(rest));
        self.number -= 1;
    }

    /// These lines, leaving none.
    pub(super) fn take(&mut self) -> Self {
        let none = Text { bytes: Box::new(io::empty()), encoding: self.checks.encoding };
        let none = Self::of_text(none, &self.path, self.max_bytes);
        std::mem::replace(self, none)
    }

    /// The bytes behind the lines that were read, what checks them, and the number of the next line.
    pub(super) fn into_bytes(self) -> (Bytes, Arc<Checks>, u64) {
        (self.bytes, self.checks, self.number + 1)
    }

    /// The file.
    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Position of line `number`.
    pub(super) fn place(&self, number: u64) -> Place {
        place(&self.path, number)
    }

    /// What checks the bytes of a line.
    pub(super) fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Largest number of bytes of a line.
    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// `true` if an error ended the file.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The line without its end, if it is not too long.
    fn cut(&mut self) -> Result<(u64, &[u8]), ReadError> {
        let has_ended = self.line.pop_if(|last| *last == b'\n').is_some();
        if has_ended {
            self.line.pop_if(|last| *last == b'\r');
        }
        if self.number == 1 && !has_ended && self.line.contains(&b'\r') && self.line.len() <= self.max_bytes {
            self.is_broken = true;
            return Err(ReadError::CarriageReturns { path: self.path.clone() });
        }
        if self.line.len() <= self.max_bytes {
            return Ok((self.number, &self.line));
        }
        self.line = Vec::new();
        // Skipped when the next line is asked for: an endless line is an error first.
        self.skips_rest = !has_ended;
        Err(ReadError::TooLong { at: self.place(self.number), limit: self.max_bytes })
    }

    /// Ends the file with `error`.
    fn broken(&mut self, source: io::Error) -> ReadError {
        self.is_broken = true;
        ReadError::of_stream(self.place(self.number), source)
    }
}

/// Checks that bytes are text.
pub(super) struct Checks {
    /// The encoding that they were converted from.
    encoding: Encoding,
    /// `true` once there was a character beyond ASCII, so that the encoding is known to be right.
    had_letters: AtomicBool,
    /// Number of lines whose encoding was guessed, which takes long.
    n_guessed: AtomicUsize,
}

impl Checks {
    /// `bytes` as text, or the error of the row `at`.
    pub(super) fn check<'a>(&self, bytes: &'a [u8], at: impl FnOnce() -> Place) -> Result<&'a str, ReadError> {
        let encoding = self.encoding;
        let error = match check(bytes, at) {
            Ok(text) => {
                if !self.had_letters.load(Ordering::Relaxed) && !text.is_ascii() {
                    self.had_letters.store(true, Ordering::Relaxed);
                }
                return Ok(text);
            }
            Err(error) => error,
        };
        Err(match error {
            ReadError::NotUtf8 { at, byte, .. } if encoding != Encoding::UTF_8 => {
                let before = String::from_utf8_lossy(&bytes[..byte - 1]);
                ReadError::NotEncoded { at, encoding, character: before.chars().count() + 1 }
            }
            // Another encoding would garble the lines before.
            ReadError::NotUtf8 { at, byte, .. }
                if !self.had_letters.load(Ordering::Relaxed)
                    && self.n_guessed.fetch_add(1, Ordering::Relaxed) < GUESSES =>
            {
                ReadError::NotUtf8 { at, byte, likely: likely_of_bytes(bytes) }
            }
            error => error,
        })
    }
}

/// `bytes` as text in UTF-8, or the error of the row `at`.
pub(super) fn check(bytes: &[u8], at: impl FnOnce() -> Place) -> Result<&str, ReadError> {
    match str::from_utf8(bytes) {
        Err(error) => Err(ReadError::NotUtf8 { at: at(), byte: error.valid_up_to() + 1, likely: None }),
        Ok(text) if bytes.contains(&0) => Err(ReadError::Nul { at: at(), byte: text.find('\0').unwrap_or(0) + 1 }),
        Ok(text) => Ok(text),
    }
}

fn place(path: &Arc<Path>, number: u64) -> Place {
    Place::new(path, "line", number)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::super::testing::{gzip, lines, utf_8, write, zstd};
    use super::*;

    /// Each line with its number, or the message of an error.
    fn all(mut lines: Lines) -> Vec<Result<(u64, String), String>> {
        let mut all = Vec::new();
        while let Some(line) = lines.read() {
            all.push(line.map(|(number, line)| (number, line.to_owned())).map_err(|error| error.to_string()));
        }
        all
    }

    fn line(number: u64, line: &str) -> Result<(u64, String), String> {
        Ok((number, line.to_owned()))
    }

    #[test]
    fn lines_end_in_either_way_and_the_last_one_need_not() {
        assert_eq!(all(lines("a\r\n\nb\rc\r\r\nd", 10)), [line(1, "a"), line(2, ""), line(3, "b\rc\r"), line(4, "d")]);
        assert_eq!(all(lines("a\n", 10)), [line(1, "a")]);
        assert_eq!(all(lines("", 10)), []);
    }

    #[test]
    fn all_lines_of_a_file_plain_or_compressed() {
        let folder = tempfile::tempdir().unwrap();
        for content in [b"a\r\n\nb".to_vec(), gzip("a\n\nb\n"), zstd("a\n\nb")] {
            let path = write(folder.path(), "a", content);
            assert_eq!(read_lines(&path, None).unwrap(), ["a", "", "b"]);
        }
        let path = write(folder.path(), "b", b"a\n\xff");
        assert!(read_lines(&path, None).unwrap_err().to_string().contains("is not UTF-8 from byte 1 on"));
        assert!(matches!(read_lines(&folder.path().join("none"), None), Err(ReadError::Io { .. })));
    }

    #[test]
    fn a_line_that_is_no_text_says_where_and_the_next_one_follows() {
        let read = all(lines(b"a\nna\xefve\nb\0c\nd", 10));
        let not_utf8 = "line 2 of `a` is not UTF-8 from byte 3 on, it looks like windows-1252, as which it reads `naïve`: set \
                        `encoding` to that if this is right";
        let nul = "line 3 of `a` holds the byte 0 (its byte 2), expected text";
        assert_eq!(read, [line(1, "a"), Err(not_utf8.to_owned()), Err(nul.to_owned()), line(4, "d")]);
    }

    #[test]
    fn a_file_without_line_feeds_is_not_one_line() {
        let read = all(lines("a\rb\rc", 10));
        let error = "`a` ends its lines with a carriage return alone, expected a line feed: convert it, for instance with \
                     `tr '\\r' '\\n'`";
        assert_eq!(read, [Err(error.to_owned())]);
        assert_eq!(all(lines("a\rb\n", 10)), [line(1, "a\rb")]);
        assert_eq!(all(lines("a\n\rb", 10)), [line(1, "a"), line(2, "\rb")]);
    }

    #[test]
    fn a_line_of_any_length_is_left_out_without_the_next_one() {
        for too_long in ["12345", "123456", "1234567", "12345678901234567890"] {
            for end in ["\n", "\r\n"] {
                let read = all(lines(format!("1234{end}{too_long}{end}4321"), 4));
                let message =
                    "line 2 of `a` begins a line, paragraph or row of more than 4 bytes, expected shorter ones";
                assert_eq!(read, [line(1, "1234"), Err(message.to_owned()), line(3, "4321")], "{too_long}{end:?}");
            }
        }
    }

    #[test]
    fn an_endless_line_is_an_error_before_it_ends() {
        let endless = BufReader::new(io::repeat(0));
        let mut lines = Lines::of_text(utf_8(endless), &Path::new("a").into(), 10_000);
        assert!(matches!(lines.read(), Some(Err(ReadError::TooLong { limit: 10_000, .. }))));
        assert!(lines.line.capacity() == 0);
        let mut endless = lines_of(BufReader::new(io::repeat(b'a')), "standard input", None);
        let error = endless.next().unwrap().unwrap_err().to_string();
        assert!(
            error.starts_with("line 1 of `standard input` begins a line, paragraph or row of more than"),
            "{error}"
        );
        assert!(endless.next().is_none());
    }

    #[test]
    fn lines_are_counted_behind_one_that_is_too_long() {
        let mut lines = lines("1\n12345678\n2\n3", 4);
        assert!(lines.read().unwrap().is_ok() && lines.read().unwrap().is_err());
        assert_eq!(lines.count().unwrap(), 4);
    }

    proptest! {
        #[test]
        fn lines_come_back(texts in prop::collection::vec("[^\n\r\0]{0,8}", 0..8), crlf: bool) {
            let end = if crlf { "\r\n" } else { "\n" };
            let content: String = texts.iter().map(|text| format!("{text}{end}")).collect();
            prop_assert_eq!(lines(&content, 40).count().unwrap(), texts.len() as u64);
            let read: Vec<String> = all(lines(&content, 40)).into_iter().map(|line| line.unwrap().1).collect();
            prop_assert_eq!(read, texts);
        }
    }

    /// Lines that do not compress well, so that a tear leaves many of them whole.
    fn rng() -> String {
        (0..50_000u64).map(|n| format!("{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
    }

    #[test]
    fn a_torn_file_gives_the_lines_before_the_tear() {
        let folder = tempfile::tempdir().unwrap();
        for whole in [gzip(rng()), zstd(rng())] {
            let path = write(folder.path(), "a.txt", &whole[..whole.len() * 2 / 3]);
            let read = all(Lines::open(&InputFile::from(&path), None, &BytesRead::default()).unwrap());
            let (last, before) = read.split_last().unwrap();
            assert!(before.len() > 100 && before.iter().zip(rng().lines()).all(|(a, b)| a.as_ref().unwrap().1 == b));
            let wanted = format!(
                "the compressed data of `{}` ends too early, within line {}, and nothing tells how many rows are missing, \
                 fetch the file again",
                path.display(),
                before.len() + 1
            );
            assert_eq!(last, &Err(wanted));
        }
    }

    #[test]
    fn a_file_torn_at_any_byte_is_torn_or_has_fewer_lines() {
        let folder = tempfile::tempdir().unwrap();
        for whole in [gzip("rain\nsnow\n"), zstd("rain\nsnow\n")] {
            for cut in 0..whole.len() {
                let path = write(folder.path(), "a.txt", &whole[..cut]);
                // So short a file is not known to be compressed.
                if let Ok(lines) = Lines::open(&InputFile::from(&path), None, &BytesRead::default()) {
                    let failed = all(lines).into_iter().filter(Result::is_err).count();
                    assert!(failed == 1 || cut < 4, "{cut}");
                }
            }
        }
    }

    #[test]
    fn a_corrupt_file_is_an_error_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut whole = gzip("rain\nsnow\n");
        let checksum = whole.len() - 8;
        whole[checksum] ^= 1;
        let read = all(Lines::open(&write(folder.path(), "a.gz", whole).into(), None, &BytesRead::default()).unwrap());
        assert!(read.last().unwrap().as_ref().unwrap_err().contains("a.gz` is corrupt, within or before line"));
        let mut whole = zstd(rng());
        let middle = whole.len() / 2;
        whole[middle..middle + 50].fill(0x55);
        let read = all(Lines::open(&write(folder.path(), "a.zst", whole).into(), None, &BytesRead::default()).unwrap());
        assert!(read.iter().any(Result::is_err));
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path: Arc<Path> = folder.path().into();
        let Err(error) = Lines::open(&InputFile::from(&path), None, &BytesRead::default()) else { panic!() };
        assert_eq!(error.to_string(), format!("cannot read `{}`", path.display()));
    }

    /// Endless lines, which count how many bytes were asked for.
    struct Endless(Arc<AtomicUsize>);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b'a');
            buffer[buffer.len() - 1] = b'\n';
            self.0.fetch_add(buffer.len(), Ordering::Relaxed);
            Ok(buffer.len())
        }
    }

    #[test]
    fn reading_does_not_run_ahead() {
        let n_read = Arc::new(AtomicUsize::new(0));
        let bytes = BufReader::with_capacity(1000, Endless(n_read.clone()));
        let mut lines = Lines::of_text(utf_8(Cursor::new("").chain(bytes)), &Path::new("a").into(), 10_000);
        for n in 1..100 {
            assert_eq!(lines.read().unwrap().unwrap().1.len(), 999);
            assert_eq!(n_read.load(Ordering::Relaxed), n * 1000);
        }
    }
}
