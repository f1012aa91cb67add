//! Running text: documents, their paragraphs, and the pieces of long documents.

use serde::{Deserialize, Serialize};

use super::ReadError;
use super::lines::Lines;
use crate::Record;

/// How lines form paragraphs and documents. A line of white space only is blank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TextLayout {
    /// A file is a document, and each line that is not blank a paragraph. The default, because it joins nothing that
    /// the file keeps apart.
    #[default]
    Lines,
    /// A file is a document, and blank lines separate paragraphs. The lines of a paragraph, which were broken to fit
    /// some width, are joined again: by one space, between Chinese or Japanese characters by none. Hyphens stay. For
    /// books.
    File,
    /// Blank lines separate documents, and each line is a paragraph. BERT's format, usually with a sentence in each
    /// line.
    BlankLines,
}

/// Length of a piece, in bytes: it ends with the paragraph that reaches this length.
const PIECE_BYTES: usize = 1 << 20;

/// The documents of a file, in pieces. A line that cannot be read ends a piece, not the document.
pub(super) struct Documents {
    lines: Lines,
    layout: TextLayout,
    piece_bytes: usize,
    piece: Piece,
    /// `true` once a piece of the document was returned.
    continues: bool,
    /// An error that is returned after the text before it.
    error: Option<ReadError>,
}

impl Documents {
    /// The documents in `lines`.
    pub(super) fn new(lines: Lines, layout: TextLayout) -> Self {
        Self::in_pieces(lines, layout, PIECE_BYTES)
    }

    fn in_pieces(lines: Lines, layout: TextLayout, piece_bytes: usize) -> Self {
        Self { lines, layout, piece_bytes, piece: Piece::default(), continues: false, error: None }
    }

    /// The collected text, if there is any.
    fn take(&mut self) -> Option<Record> {
        let text = std::mem::take(&mut self.piece.text);
        if text.is_empty() {
            return None;
        }
        let record = Record::new(text, self.lines.path().clone(), self.piece.line);
        Some(Record { continues: std::mem::replace(&mut self.continues, true), ..record })
    }
}

impl Iterator for Documents {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        loop {
            let max_bytes = self.lines.max_bytes();
            let mut ends_document = false;
            let added = match self.lines.read() {
                None => return self.take().map(Ok),
                Some(Ok((_, line))) if line.trim().is_empty() => {
                    self.piece.paragraph = Paragraph::Ended;
                    ends_document = self.layout == TextLayout::BlankLines;
                    Ok(())
                }
                Some(Ok((number, line))) if self.layout == TextLayout::File => self
                    .piece
                    .join(line.trim(), number, max_bytes)
                    .map_err(|start| ReadError::TooLong { at: self.lines.place(start), limit: max_bytes }),
                Some(Ok((number, line))) => {
                    self.piece.begin(line, number);
                    self.piece.paragraph = Paragraph::Ended;
                    Ok(())
                }
                Some(Err(error)) => {
                    self.piece.paragraph = Paragraph::Ended;
                    Err(error)
                }
            };
            self.lines.release();
            let is_full = self.piece.paragraph == Paragraph::Ended && self.piece.text.len() >= self.piece_bytes;
            let record = if is_full || ends_document || added.is_err() { self.take() } else { None };
            self.continues &= !ends_document;
            match (record, added) {
                (Some(record), added) => {
                    self.error = added.err();
                    return Some(Ok(record));
                }
                (None, Err(error)) => return Some(Err(error)),
                (None, Ok(())) => {}
            }
        }
    }
}

/// The lines of a file, blank ones too, as a text each.
pub(super) struct EachLine(pub(super) Lines);

impl Iterator for EachLine {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = self.0.path().clone();
        let line = self.0.read()?.map(|(number, line)| Record::new(line.to_owned(), path, number));
        self.0.release();
        Some(line)
    }
}

/// Collected paragraphs.
#[derive(Default)]
struct Piece {
    text: String,
    /// The line where `text` begins.
    line: u64,
    paragraph: Paragraph,
}

/// State of the last paragraph.
#[derive(Default, PartialEq)]
enum Paragraph {
    /// The next line begins another.
    #[default]
    Ended,
    /// The next line is joined to it. It begins at byte `start` of the text and at line `line` of the file.
    Open { start: usize, line: u64 },
    /// It became too long; its next lines are skipped.
    LeftOut,
}

impl Piece {
    /// Begins a paragraph with `line`.
    fn begin(&mut self, line: &str, number: u64) {
        if self.text.is_empty() {
            self.line = number;
        } else {
            self.text.push('\n');
        }
        self.paragraph = Paragraph::Open { start: self.text.len(), line: number };
        self.text.push_str(line);
    }

    /// Joins `line` to the open paragraph. The error is the first line of a paragraph that has become too long.
    fn join(&mut self, line: &str, number: u64, max_bytes: usize) -> Result<(), u64> {
        match self.paragraph {
            Paragraph::Ended => self.begin(line, number),
            Paragraph::LeftOut => {}
            Paragraph::Open { start, line: first } if self.text.len() - start + line.len() >= max_bytes => {
                self.text.truncate(start.saturating_sub(1)); // with the `\n` before it
                self.paragraph = Paragraph::LeftOut;
                return Err(first);
            }
            Paragraph::Open { .. } => {
                if needs_space(&self.text, line) {
                    self.text.push(' ');
                }
                self.text.push_str(line);
            }
        }
        Ok(())
    }
}

/// `true` if a space is needed between the end of one line and the start of the next.
fn needs_space(line: &str, next: &str) -> bool {
    // Quotes and dashes belong to all scripts: they side with what stands on the other side.
    let is_neutral = |c| matches!(c, '‘' | '’' | '“' | '”' | '—' | '…' | '·');
    match (line.chars().next_back(), next.chars().next()) {
        (Some(a), Some(b)) => !(is_wide(a) && is_wide(b) || is_wide(a) && is_neutral(b) || is_neutral(a) && is_wide(b)),
        _ => false,
    }
}

/// Whether a character belongs to Chinese or Japanese, which write no spaces. Korean does.
fn is_wide(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{312f}' // radicals, punctuation, kana, bopomofo
        | '\u{31a0}'..='\u{9fff}' // more of these, ideographs
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ff9f}' // full width forms, half width kana
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{lines, shown};
    use super::*;

    fn documents(text: &str, layout: TextLayout) -> Vec<String> {
        shown(Documents::new(lines(text, 1000), layout))
    }

    #[test]
    fn each_layout_has_its_own_paragraphs_and_documents() {
        let text = "\n A mill\nby the river.\n\n \t\nIt stood still.\r\n\n";
        assert_eq!(documents(text, TextLayout::Lines), [r#"2 " A mill\nby the river.\nIt stood still.""#]);
        assert_eq!(documents(text, TextLayout::File), [r#"2 "A mill by the river.\nIt stood still.""#]);
        let blank_lines = documents(text, TextLayout::BlankLines);
        assert_eq!(blank_lines, [r#"2 " A mill\nby the river.""#, r#"6 "It stood still.""#]);
        for layout in [TextLayout::Lines, TextLayout::File, TextLayout::BlankLines] {
            for nothing in ["", "\n", " \n\u{3000}\r\n"] {
                assert!(documents(nothing, layout).is_empty());
            }
        }
    }

    #[test]
    fn joined_lines_are_kept_apart_where_the_script_does_so() {
        let cases = [
            ("a well-\nknown\nmill", "a well- known mill"),
            ("河边有一座\n磨坊。", "河边有一座磨坊。"),
            ("他说：\n“停”\n了", "他说：“停”了"),
            ("川の\nそば", "川のそば"),
            ("河边\nmill", "河边 mill"),
            ("강가에\n방앗간", "강가에 방앗간"),
            ("said\n“stop”", "said “stop”"),
        ];
        for (text, joined) in cases {
            assert_eq!(documents(text, TextLayout::File), [format!("1 {joined:?}")]);
        }
    }

    #[test]
    fn long_documents_come_in_pieces_that_end_with_a_paragraph() {
        let pieces = |text: &str, layout| shown(Documents::in_pieces(lines(text, 1000), layout, 4));
        assert_eq!(
            pieces("a\nb\nc\nlonger\nd\n", TextLayout::Lines),
            [r#"1 "a\nb\nc""#, r#"+4 "longer""#, r#"+5 "d""#]
        );
        assert_eq!(pieces("aa\nbb\n\ncc\ndd\nee\n", TextLayout::File), [r#"1 "aa bb""#, r#"+4 "cc dd ee""#]);
        let text = "aaaa\nb\n\ncccc\n\nd\n";
        assert_eq!(pieces(text, TextLayout::BlankLines), [r#"1 "aaaa""#, r#"+2 "b""#, r#"4 "cccc""#, r#"6 "d""#]);
    }

    #[test]
    fn a_bad_line_ends_a_piece_and_the_text_before_it_comes_first() {
        let read = shown(Documents::new(lines("a\nb\0\nc\nd\n\ne", 10), TextLayout::BlankLines));
        let error = "error: line 2 of `a` holds the byte 0 (its byte 2), expected text";
        assert_eq!(read, [r#"1 "a""#, error, r#"+3 "c\nd""#, r#"6 "e""#]);
        let read = shown(Documents::new(lines("a\nb\0\nc\n", 10), TextLayout::File));
        assert_eq!(read, [r#"1 "a""#, error, r#"+3 "c""#]);
        assert_eq!(shown(Documents::new(lines("\nb\0", 10), TextLayout::Lines)), [error]);
    }

    #[test]
    fn a_paragraph_that_is_too_long_is_left_out_to_its_end() {
        let read = shown(Documents::new(lines("a\n\nbbbb\nbbbb\nbbbb\nb\n\nc\nc\n", 10), TextLayout::File));
        let error = "error: line 3 of `a` begins a line, paragraph or row of more than 10 bytes, expected shorter ones";
        assert_eq!(read, [r#"1 "a""#, error, r#"+8 "c c""#]);
    }

    fn paragraph() -> impl Strategy<Value = String> {
        "[a-zé河][a-zé河 ]{0,12}[a-zé河]"
    }

    proptest! {
        #[test]
        fn documents_come_back_whatever_the_pieces(
            texts in prop::collection::vec(prop::collection::vec(paragraph(), 1..6), 1..5),
            piece_bytes in 1..60usize,
            blank in "[ \t]{0,2}\r?\n(\r?\n)?",
        ) {
            let whole: Vec<String> = texts.iter().map(|document| document.join("\n")).collect();
            let check = |content: &str, layout, wanted: &[String]| {
                let mut read: Vec<String> = Vec::new();
                for record in Documents::in_pieces(lines(content, 1000), layout, piece_bytes) {
                    let record = record.unwrap();
                    let first_line = record.text.lines().next().unwrap();
                    let line_in_file = content.lines().nth(record.line as usize - 1).unwrap();
                    prop_assert!(first_line.starts_with(line_in_file));
                    match read.last_mut() {
                        Some(last) if record.continues => *last = format!("{last}\n{}", record.text),
                        _ => read.push(record.text),
                    }
                }
                prop_assert_eq!(&read[..], wanted);
                Ok(())
            };
            let separator = format!("\n{blank}");
            check(&whole.join(&separator), TextLayout::BlankLines, &whole)?;
            let one = [whole.join("\n")];
            check(&whole.join(&separator), TextLayout::Lines, &one)?;
            check(&one[0].replace('\n', &separator), TextLayout::File, &one)?;
        }

        #[test]
        fn a_wrapped_paragraph_is_what_it_was(
            words in prop::collection::vec("[a-z]{1,8}", 1..40),
            width in 1..30usize,
        ) {
            let mut wrapped = String::new();
            let mut start = 0;
            for word in &words {
                let is_full = wrapped.len() - start >= width;
                wrapped.push_str(if wrapped.is_empty() { "" } else if is_full { "\n" } else { " " });
                start = if is_full { wrapped.len() } else { start };
                wrapped.push_str(word);
            }
            prop_assert_eq!(documents(&wrapped, TextLayout::File), [format!("1 {:?}", words.join(" "))]);
        }
    }
}
