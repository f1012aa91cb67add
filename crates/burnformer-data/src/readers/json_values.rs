//! Values of JSON cut out of a stream: the elements of an array, or objects over several lines. One is held in memory at a
//! time.

use std::io::{self, Cursor};
use std::path::Path;
use std::sync::Arc;

use super::bytes::Bytes;
use super::{Place, ReadError};

/// The values of a stream: objects one after another, the elements of arrays, and, if the stream is one object without the
/// column of the texts but with a single list of objects, such as `{"version": 1, "data": [{…}, …]}`, the elements of that
/// list.
///
/// An error that is no bad row is the last item.
pub(super) struct Values {
    /// What is read; in front of it the stream around a list that is read out of an object.
    streams: Vec<Stream>,
    path: Arc<Path>,
    /// Name of the column with the texts.
    text: String,
    /// Number of values outside of arrays.
    n_outside: u64,
    /// `true` once a list was read out of an object.
    had_list: bool,
}

/// Bytes that are one value, unless they are not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The line in which it begins.
    pub line: u64,
    /// Number of bytes in front of it in that line.
    pub column: usize,
    pub bytes: Vec<u8>,
}

impl Values {
    /// The values in `bytes`, of at most `max_bytes` each, of which the first line has the number `line`.
    pub(super) fn new(bytes: Bytes, line: u64, path: &Arc<Path>, max_bytes: usize, text: &str) -> Self {
        Self {
            streams: vec![Stream::new(bytes, line, max_bytes)],
            path: path.clone(),
            text: text.to_owned(),
            n_outside: 0,
            had_list: false,
        }
    }

    /// Whether the object in `line` is one that has its rows in a list.
    pub(super) fn is_list_within(line: &str, path: &Arc<Path>, text: &str) -> bool {
        let cut = Cut { line: 1, column: 0, bytes: line.trim().as_bytes().to_vec() };
        !matches!(list_within(&cut, text, path), Ok(None))
    }

    /// The file.
    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    fn read(&mut self) -> Result<Option<Cut>, Failed> {
        loop {
            let is_within = self.streams.len() > 1;
            let Some(stream) = self.streams.last_mut() else { return Ok(None) };
            let next = stream.peek()?;
            match (stream.list, next) {
                (List::First | List::Next, Some(b']')) => {
                    stream.step();
                    stream.list = List::Outside;
                    if is_within {
                        self.streams.pop();
                    }
                }
                (List::First, Some(_)) => {
                    stream.list = List::Next;
                    return stream.cut().map(Some);
                }
                (List::Next, Some(b',')) => {
                    stream.step();
                    stream.peek()?;
                    return stream.cut().map(Some);
                }
                (List::Next, Some(_)) => {
                    return Err(Failed::Broken("an element of an array is followed by neither `,` nor `]`"));
                }
                (List::First | List::Next, None) => return Err(Failed::Broken("the file ends within an array")),
                (List::Outside, None) => return Ok(None),
                (List::Outside, Some(_)) if self.had_list => {
                    let problem = format!("has several objects without `{}`, but with lists of objects", self.text);
                    return Err(ReadError::NotJsonLines { path: self.path.clone(), problem }.into());
                }
                (List::Outside, Some(b'[')) => {
                    stream.step();
                    stream.list = List::First;
                }
                (List::Outside, Some(_)) => {
                    let cut = stream.cut()?;
                    if cut.bytes.is_empty() {
                        return Err(Failed::Broken("there is a value missing"));
                    }
                    self.n_outside += 1;
                    if self.n_outside > 1 {
                        return Ok(Some(cut));
                    }
                    let Some(list) = list_within(&cut, &self.text, &self.path)? else { return Ok(Some(cut)) };
                    self.had_list = true;
                    self.streams.push(list);
                }
            }
        }
    }
}

impl Iterator for Values {
    type Item = Result<Cut, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (failed, line) = match self.read() {
            Ok(cut) => return cut.map(Ok),
            Err(failed) => (failed, self.streams.last().map_or(0, |stream| stream.line)),
        };
        let error = failed.at(Place::new(&self.path, "line", line));
        // Behind a value that is too long the next one follows.
        if !error.is_bad_row() {
            self.streams.clear();
        }
        Some(Err(error))
    }
}

/// Why there is no value.
pub(super) enum Failed {
    TooLong { line: u64, limit: usize },
    Broken(&'static str),
    Io(io::Error),
    Read(Box<ReadError>),
}

impl Failed {
    /// The error of a stream that has come to this place.
    pub(super) fn at(self, at: Place) -> ReadError {
        match self {
            Self::TooLong { line, limit } => ReadError::TooLong { at: Place { number: line, ..at }, limit },
            Self::Broken(problem) => ReadError::BrokenJson { at, problem },
            Self::Io(source) => ReadError::of_stream(at, source),
            Self::Read(error) => *error,
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self::Read(Box::new(error))
    }
}

/// Where a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Outside,
    /// In front of the first element.
    First,
    /// Behind an element.
    Next,
}

/// Bytes, and where they are in the file.
pub(super) struct Stream {
    bytes: Bytes,
    pub(super) line: u64,
    column: usize,
    max_bytes: usize,
    list: List,
}

impl Stream {
    /// `bytes`, with values of at most `max_bytes` each, of which the first line has the number `line`.
    pub(super) fn new(bytes: Bytes, line: u64, max_bytes: usize) -> Self {
        Self { bytes, line, column: 0, max_bytes, list: List::Outside }
    }

    /// What a value consists of.
    fn of(cut: &Cut) -> Self {
        let bytes = Box::new(Cursor::new(cut.bytes.clone()));
        Self { bytes, line: cut.line, column: cut.column, max_bytes: cut.bytes.len(), list: List::First }
    }

    /// The next byte that is no white space, which is passed over.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            let bytes = retry(&mut self.bytes)?;
            let n = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let next = bytes.get(n).copied();
            let is_end = bytes.is_empty();
            pass(&bytes[..n], &mut self.line, &mut self.column);
            self.bytes.consume(n);
            if is_end || next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Passes over the byte that was seen.
    pub(super) fn step(&mut self) {
        self.bytes.consume(1);
        self.column += 1;
    }

    /// The value that begins here, up to the byte that ends it. If it is too long, it is passed over.
    pub(super) fn cut(&mut self) -> Result<Cut, Failed> {
        let mut cut = Cut { line: self.line, column: self.column, bytes: Vec::new() };
        let (mut scan, mut is_too_long) = (Scan::default(), false);
        loop {
            let bytes = retry(&mut self.bytes)?;
            if bytes.is_empty() && (scan.depth > 0 || scan.is_text) {
                return Err(Failed::Broken("the file ends within a value"));
            }
            let (n, has_ended) = scan.advance(bytes);
            let has_ended = has_ended || bytes.is_empty();
            is_too_long |= cut.bytes.len() + n > self.max_bytes;
            if is_too_long {
                cut.bytes = Vec::new();
            } else {
                cut.bytes.extend_from_slice(&bytes[..n]);
            }
            pass(&bytes[..n], &mut self.line, &mut self.column);
            self.bytes.consume(n);
            if has_ended {
                let too_long = Failed::TooLong { line: cut.line, limit: self.max_bytes };
                return if is_too_long { Err(too_long) } else { Ok(cut) };
            }
        }
    }
}

fn retry(bytes: &mut Bytes) -> io::Result<&[u8]> {
    // The borrow of what is returned would last through the loop.
    while let Err(error) = bytes.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    bytes.fill_buf()
}

/// Counts lines.
fn pass(bytes: &[u8], line: &mut u64, column: &mut usize) {
    match bytes.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => {
            *line += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
            *column = bytes.len() - last - 1;
        }
        None => *column += bytes.len(),
    }
}

/// How far into a value a scan has come.
#[derive(Default)]
struct Scan {
    depth: usize,
    is_text: bool,
    is_escaped: bool,
}

impl Scan {
    /// How many of `bytes` belong to the value, and whether it ends there.
    fn advance(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (n, &byte) in bytes.iter().enumerate() {
            let is_text = self.is_text;
            if is_text {
                self.is_text = byte != b'"' || self.is_escaped;
                self.is_escaped = byte == b'\\' && !self.is_escaped;
            }
            let ends = match byte {
                _ if is_text => !self.is_text,
                b'"' => {
                    self.is_text = true;
                    false
                }
                b'{' | b'[' => {
                    self.depth += 1;
                    false
                }
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    true
                }
                b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return (n, true),
                _ => false,
            };
            if ends && self.depth == 0 {
                return (n + 1, true);
            }
        }
        (bytes.len(), false)
    }
}

/// The list of objects in an object that has no member `text`.
fn list_within(object: &Cut, text: &str, path: &Arc<Path>) -> Result<Option<Stream>, ReadError> {
    // What cannot be cut is left to the parser, which says why.
    let lists = lists_within(object, text).unwrap_or_default();
    if lists.len() > 1 {
        let names: Vec<_> = lists.iter().take(5).map(|(name, _)| format!("`{name}`")).collect();
        let problem = format!("is an object with the lists {}", names.join(", "));
        return Err(ReadError::NotJsonLines { path: path.clone(), problem });
    }
    let mut list = lists.first().map(|(_, list)| Stream::of(list));
    if let Some(list) = &mut list {
        list.step();
    }
    Ok(list)
}

/// The members of an object that are lists of objects; none if it has a member `text`.
fn lists_within(object: &Cut, text: &str) -> Result<Vec<(String, Cut)>, Failed> {
    let mut lists = Vec::new();
    let mut members = Stream::of(object);
    if members.peek()? != Some(b'{') {
        return Ok(lists);
    }
    members.step();
    loop {
        match members.peek()? {
            Some(b',') => {
                members.step();
                continue;
            }
            Some(b'"') => {}
            _ => return Ok(lists),
        }
        let key = members.cut()?;
        let Ok(key) = serde_json::from_slice::<String>(&key.bytes) else { return Ok(Vec::new()) };
        if text.strip_prefix(&key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            return Ok(Vec::new());
        }
        if members.peek()? != Some(b':') {
            return Ok(Vec::new());
        }
        members.step();
        members.peek()?;
        let value = members.cut()?;
        let inner = value.bytes.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
        if inner.is_some_and(|inner| inner.starts_with(b"{")) {
            lists.push((key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Line, column and text of each value, or the message of an error.
    fn values(content: &str, step: usize) -> Vec<String> {
        let bytes = BufReader::with_capacity(step, Cursor::new(content.as_bytes().to_vec()));
        let shown = |cut: Cut| format!("{}:{} {}", cut.line, cut.column, String::from_utf8(cut.bytes).unwrap());
        Values::new(Box::new(bytes), 1, &Path::new("a").into(), 20, "text")
            .map(|cut| cut.map_or_else(|error| format!("error: {error}"), shown))
            .collect()
    }

    fn check(content: &str, expected: &[&str]) {
        for step in [1, 2, 3, 100] {
            assert_eq!(values(content, step), expected, "{content} {step}");
        }
    }

    #[test]
    fn elements_of_arrays_are_cut_whatever_is_in_them() {
        check("", &[]);
        check(" []\n", &[]);
        check(
            "[{\"a\": 1}, {\"b\": \"}]\\\"\"}\n,\n  [2], null ]",
            &["1:1 {\"a\": 1}", "1:11 {\"b\": \"}]\\\"\"}", "3:2 [2]", "3:7 null"],
        );
        check("[1][\n2]", &["1:1 1", "2:0 2"]);
        check("[1,]", &["1:1 1", "1:3 "]);
    }

    #[test]
    fn objects_over_several_lines_follow_one_another() {
        check("{\n \"a\": [\n1]}\n{\"a\":{}}", &["1:0 {\n \"a\": [\n1]}", "4:0 {\"a\":{}}"]);
    }

    #[test]
    fn the_only_list_of_objects_in_an_object_is_read() {
        let wide = |content: &str| {
            let bytes: Bytes = Box::new(Cursor::new(content.as_bytes().to_vec()));
            let values = Values::new(bytes, 1, &Path::new("a").into(), 1000, "text");
            values
                .map(|cut| cut.map_or_else(|error| error.to_string(), |cut| String::from_utf8(cut.bytes).unwrap()))
                .collect::<Vec<_>>()
        };
        let elements = ["{\"text\": 1}", "{\"text\": 2}"];
        assert_eq!(wide("{\"n\": [1], \"data\": [{\"text\": 1},\n{\"text\": 2}], \"x\": {\"y\": [{}]}}\n"), elements);
        for content in
            ["{\"data\": [{}], \"text\": 1}", "{\"data\": [1]}", "{\"data\": {\"a\": [{}]}}", "{\"data\" [{}]}"]
        {
            assert_eq!(wide(content), [content]);
        }
        let error = wide("{\"train\": [{}], \"test\": [{}]}");
        assert!(
            error.len() == 1 && error[0].starts_with("`a` is an object with the lists `train`, `test`, expected"),
            "{error:?}"
        );
        let error = wide("{\"data\": [{\"text\": 1}]}\n{\"data\": [{\"text\": 2}]}");
        assert!(
            error[1].starts_with("`a` has several objects without `text`, but with lists of objects, expected"),
            "{error:?}"
        );
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_what_is_broken_is_the_end() {
        let long = format!("[{{\"a\": \"{}\"}},\n7]", "x".repeat(30));
        check(
            &long,
            &[
                "error: line 1 of `a` begins a line, paragraph or row of more than 20 bytes, expected shorter ones",
                "2:0 7",
            ],
        );
        let broken = |line, problem| {
            format!("error: line {line} of `a` is where {problem}: the rows behind it cannot be told apart")
        };
        check("[1\n2]", &["1:1 1", &broken(2, "an element of an array is followed by neither `,` nor `]`")]);
        check("[1,\n", &["1:1 1", "2:0 ", &broken(2, "the file ends within an array")]);
        check("[{\"a", &[&broken(1, "the file ends within a value")]);
        check("}", &[&broken(1, "there is a value missing")]);
    }
}
