//! Parallel text: two line-aligned files.

use super::encoding::Encoding;
use super::input_file::InputFile;
use super::lines::Lines;
use super::{ReadError, bytes};
use crate::Record;
use crate::source::BytesRead;

/// The lines of two files as pairs.
///
/// Lines that are blank on both sides are skipped.
pub(super) struct Pairs {
    source: Lines,
    target: Lines,
}

/// Longest line, in bytes. Samples of pairs have at most 1,048,576 tokens on each side.
const MAX_BYTES: usize = 8 << 20;

impl Pairs {
    /// The pairs of two files.
    pub(super) fn open(
        source: &InputFile,
        target: &InputFile,
        encoding: Option<Encoding>,
        counter: &BytesRead,
    ) -> Result<Self, ReadError> {
        let open = |file: &InputFile| Ok(Lines::of_text(bytes::open(file, encoding, counter)?, file.path(), MAX_BYTES));
        Ok(Self::new(open(source)?, open(target)?))
    }

    /// The lines of `source`, each with that of `target`.
    pub(super) fn new(source: Lines, target: Lines) -> Self {
        Self { source, target }
    }

    /// At the end of one file: an error unless the other ends too.
    fn end(&mut self) -> Result<(), ReadError> {
        let (lines, target_lines) = (self.source.count()?, self.target.count()?);
        if lines == target_lines {
            return Ok(());
        }
        let (path, target) = (self.source.path().clone(), self.target.path().clone());
        Err(ReadError::LineCount { path, lines, target, target_lines })
    }
}

impl Iterator for Pairs {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // What follows in one file behind the place where the other broke off has no partner.
            if self.source.is_broken() || self.target.is_broken() {
                return None;
            }
            let (number, text, pair) = match (self.source.read(), self.target.read()) {
                (Some(Ok((number, text))), Some(Ok((_, pair)))) => (number, text, pair),
                (Some(Err(error)), _) | (_, Some(Err(error))) => return Some(Err(error)),
                (None, _) | (_, None) => return self.end().err().map(Err),
            };
            let (text, pair) = match (text.trim().is_empty(), pair.trim().is_empty()) {
                (true, true) => continue,
                (false, false) => (text.to_owned(), pair.to_owned()),
                (true, false) => {
                    let (at, other) = (self.source.place(number), self.target.path().clone());
                    return Some(Err(ReadError::BlankSide { at, other }));
                }
                (false, true) => {
                    let (at, other) = (self.target.place(number), self.source.path().clone());
                    return Some(Err(ReadError::BlankSide { at, other }));
                }
            };
            self.source.release();
            self.target.release();
            let record = Record::new(text, self.source.path().clone(), number);
            return Some(Ok(Record { pair: Some(pair), ..record }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::testing::{lines, shown, utf_8};
    use super::*;

    fn read(source: &[u8], target: &[u8]) -> Vec<String> {
        let target = Lines::of_text(utf_8(Cursor::new(target.to_vec())), &Path::new("b").into(), 100);
        shown(Pairs::new(lines(source, 100), target))
    }

    #[test]
    fn lines_of_two_files_are_pairs() {
        assert_eq!(
            read(b"rain\n\nsnow\n", b"Regen\r\n \r\nSchnee"),
            [r#"1 "rain" pair="Regen""#, r#"3 "snow" pair="Schnee""#]
        );
        assert!(read(b"", b"").is_empty());
    }

    #[test]
    fn a_bad_line_on_either_side_takes_its_partner_with_it() {
        assert_eq!(
            read(b"a\n\nb\0\nc\nd\n", b"A\nX\nB\nC\0\nD\n"),
            [
                r#"1 "a" pair="A""#,
                "error: line 2 of `a` is blank, but the same line of `b` is not",
                "error: line 3 of `a` holds the byte 0 (its byte 2), expected text",
                "error: line 4 of `b` holds the byte 0 (its byte 2), expected text",
                r#"5 "d" pair="D""#,
            ]
        );
        assert_eq!(read(b"a\n", b" \n"), ["error: line 1 of `b` is blank, but the same line of `a` is not"]);
    }

    #[test]
    fn another_number_of_lines_is_more_than_a_bad_row() {
        let error =
            |n, m| format!("error: `a` has {n} lines and `b` {m}, expected equal numbers: the files are line-aligned");
        assert_eq!(read(b"a\nb\nc\n", b"A\n"), [r#"1 "a" pair="A""#.to_owned(), error(3, 1)]);
        assert_eq!(read(b"", b"A\n\n"), [error(0, 2)]);
        let bad_surplus = read(b"a\n\xff", b"A\n");
        assert_eq!(bad_surplus.last(), Some(&error(2, 1)));
        let error = ReadError::LineCount {
            path: Path::new("a").into(),
            lines: 1,
            target: Path::new("b").into(),
            target_lines: 2,
        };
        assert!(!error.is_bad_row());
    }

    proptest! {
        #[test]
        fn pairs_come_back(pairs in prop::collection::vec(("[^\n\r\0]{0,5}[a-z]", "[^\n\r\0]{0,5}[a-z]"), 0..6)) {
            let source: String = pairs.iter().map(|(text, _)| format!("{text}\n")).collect();
            let target: String = pairs.iter().map(|(_, pair)| format!("{pair}\n")).collect();
            let shown = read(source.as_bytes(), target.as_bytes());
            let wanted = pairs.iter().enumerate().map(|(n, (text, pair))| format!("{} {text:?} pair={pair:?}", n + 1));
            prop_assert_eq!(shown, wanted.collect::<Vec<_>>());
        }
    }
}
