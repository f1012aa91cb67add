//! Tagged words in columns, as in the shared tasks of `CoNLL`.

use super::lines::Lines;
use super::{Place, ReadError};
use crate::target::TaggedWord;
use crate::{Record, Target};

/// Prefixes of entity types: beginning, inside, end and single word, and their other names
/// in the schemes `IOBES`, `BILOU` and `BMEWO`.
const PREFIXES: [&str; 8] = ["B-", "I-", "E-", "S-", "L-", "U-", "M-", "W-"];

/// The column of the words and that of the tags, counted from one. Without the latter it is the last column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TagColumns {
    pub(super) word: usize,
    pub(super) tag: Option<usize>,
}

/// The sentences of a file as records with [`Target::Tags`]; the text has a blank between its words.
///
/// - A row is a word and what is known of it, in columns separated by tabs, or in a row without a tab by white space.
/// - A line of nothing but white space ends a sentence.
/// - A line that begins with `-DOCSTART-` begins a document and ends a sentence; it is no word.
/// - A line in front of a sentence's first word that begins with `# ` and is no row with a tag is a comment.
///
/// A sentence with a bad row is one error; reading continues with the next sentence.
pub(super) struct Sentences {
    lines: Lines,
    columns: TagColumns,
    /// Number of columns of the first row of the file.
    n_columns: Option<usize>,
}

/// A sentence under construction.
#[derive(Default)]
struct Sentence {
    text: String,
    words: Vec<TaggedWord>,
    /// The line of the first word.
    line: u64,
    /// The first bad row.
    error: Option<ReadError>,
}

impl Sentences {
    /// The sentences in `lines`.
    pub(super) fn new(lines: Lines, columns: TagColumns) -> Self {
        Self { lines, columns, n_columns: None }
    }
}

impl Iterator for Sentences {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut sentence = Sentence::default();
        let path = self.lines.path().clone();
        loop {
            let read = match self.lines.read() {
                None => return sentence.finish(path),
                Some(Ok((_, line))) if line.trim().is_empty() || line.starts_with("-DOCSTART-") => {
                    if sentence.is_empty() {
                        continue;
                    }
                    return sentence.finish(path);
                }
                Some(Ok((number, line))) => {
                    let at = Place::new(&path, "line", number);
                    let row = row(line, self.columns, &mut self.n_columns, at);
                    if row.is_err() && sentence.is_empty() && line.starts_with("# ") {
                        continue;
                    }
                    row.map(|(word, tag)| sentence.push(word, tag, number))
                }
                Some(Err(error)) => Err(error),
            };
            let limit = self.lines.max_bytes();
            let read = match read {
                Ok(()) if sentence.text.len() > limit => {
                    let at = self.lines.place(sentence.line);
                    sentence = Sentence::default();
                    Err(ReadError::TooLong { at, limit })
                }
                read => read,
            };
            if let Err(error) = read {
                sentence.error.get_or_insert(error);
            }
        }
    }
}

/// The word and the tag in a row.
fn row<'a>(
    line: &'a str,
    columns: TagColumns,
    n_columns: &mut Option<usize>,
    at: Place,
) -> Result<(&'a str, &'a str), ReadError> {
    let cells: Vec<&str> =
        if line.contains('\t') { line.split('\t').map(str::trim).collect() } else { line.split_whitespace().collect() };
    let found = cells.len();
    let expected = columns.word.max(columns.tag.unwrap_or(2));
    if found < expected {
        return Err(ReadError::TooFewColumns { at, found, expected });
    }
    if let Some(expected) = *n_columns
        && found != expected
    {
        return Err(ReadError::FieldCount { at, found, expected });
    }
    let (word, tag) = (cells[columns.word - 1], cells[columns.tag.unwrap_or(found) - 1]);
    if !is_tag(tag) {
        return Err(ReadError::NotATag { at, found: tag.to_owned() });
    }
    *n_columns = Some(found);
    if word.is_empty() {
        return Err(ReadError::BlankField { at, field: columns.word.to_string() });
    }
    Ok((word, tag))
}

/// Whether `tag` is `O`, or the type of an entity behind a prefix.
pub(super) fn is_tag(tag: &str) -> bool {
    tag == "O" || PREFIXES.iter().any(|prefix| tag.len() > prefix.len() && tag.starts_with(prefix))
}

impl Sentence {
    fn is_empty(&self) -> bool {
        self.words.is_empty() && self.error.is_none()
    }

    fn push(&mut self, word: &str, tag: &str, line: u64) {
        if self.words.is_empty() {
            self.line = line;
        } else {
            self.text.push(' ');
        }
        let start = self.text.len();
        self.text.push_str(word);
        self.words.push(TaggedWord { span: start..self.text.len(), tag: tag.to_owned() });
    }

    /// The record or the error; `None` if there was no row.
    fn finish(self, path: std::sync::Arc<std::path::Path>) -> Option<Result<Record, ReadError>> {
        if self.is_empty() {
            return None;
        }
        if let Some(error) = self.error {
            return Some(Err(error));
        }
        let record = Record::new(self.text, path, self.line);
        Some(Ok(Record { target: Some(Target::Tags(self.words)), ..record }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{lines, shown};
    use super::*;

    const LAST: TagColumns = TagColumns { word: 1, tag: None };

    fn sentences(text: impl AsRef<[u8]>, columns: TagColumns) -> Vec<String> {
        shown(Sentences::new(lines(text, 1000), columns))
    }

    #[test]
    fn columns_are_separated_by_tabs_or_by_white_space() {
        let conll_2003 = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n";
        let expected = [r#"3 "EU rejects" tags=EU:B-ORG,rejects:O"#, r#"6 "Peter" tags=Peter:B-PER"#];
        assert_eq!(sentences(conll_2003, LAST), expected);
        // A word between tabs may hold a blank, and a line with nothing but a tab is blank.
        let expected = [r#"1 "New York is" tags=New York:B-LOC,is:O"#, r#"4 "a" tags=a:O"#];
        assert_eq!(sentences("New York\tB-LOC\r\nis\tO\r\n\t\r\na\tO", LAST), expected);
    }

    #[test]
    fn other_columns_are_named_by_number() {
        let text = "1\tEU\tB-ORG\tx\n2\tis\tO\ty\n";
        let columns = TagColumns { word: 2, tag: Some(3) };
        assert_eq!(sentences(text, columns), [r#"1 "EU is" tags=EU:B-ORG,is:O"#]);
    }

    #[test]
    fn a_comment_is_in_front_of_a_sentence_and_a_hash_can_be_a_word() {
        let text = "# id = 1\n# text = a #\na O\n# O\n\n# O\nb O\n\n#win\tO\n";
        let expected = [r##"3 "a #" tags=a:O,#:O"##, r##"6 "# b" tags=#:O,b:O"##, r##"9 "#win" tags=#win:O"##];
        assert_eq!(sentences(text, LAST), expected);
        let inside = sentences("a O\n# a comment is no row\nb O\n", LAST);
        assert_eq!(inside, ["error: line 2 of `a` has 6 fields, expected 2 as in the first row"]);
    }

    #[test]
    fn a_sentence_with_a_bad_row_is_left_out_and_the_next_one_follows() {
        let check = |row: &[u8], error: &str| {
            let text = [b"a O\n".as_slice(), row, b"\nc O\n\nd O\n"].concat();
            assert_eq!(sentences(text, LAST), [format!("error: {error}"), r#"5 "d" tags=d:O"#.to_owned()]);
        };
        check(b"b", "line 2 of `a` has 1 column, expected at least 2: a word and its tag");
        let not_a_tag = "line 2 of `a` has the tag `NN`, expected `O`, or the type of an entity behind `B-`, `I-`, `E-`, \
                         `S-`, `L-`, `U-`, `M-` or `W-`: name the column of the tags if it is not the last";
        check(b"b NN", not_a_tag);
        check(b"b B-", &not_a_tag.replace("NN", "B-"));
        check(b"b x O", "line 2 of `a` has 3 fields, expected 2 as in the first row");
        check(b"\tO", "line 2 of `a` has an empty `1`");
        let not_utf8 = "line 2 of `a` is not UTF-8 from byte 1 on, it looks like windows-1252, as which it reads `ÿ O`: set \
                        `encoding` to that if this is right";
        check(b"\xff O", not_utf8);
        let third = TagColumns { word: 1, tag: Some(3) };
        let error = "error: line 1 of `a` has 2 columns, expected at least 3: a word and its tag";
        assert_eq!(sentences("a O\n", third), [error]);
    }

    #[test]
    fn a_sentence_that_does_not_end_is_refused() {
        let text = format!("{}\n\nb O\n", "a O\n".repeat(600));
        let error =
            "error: line 1 of `a` begins a line, paragraph or row of more than 1000 bytes, expected shorter ones";
        assert_eq!(sentences(text, LAST), [error, r#"603 "b" tags=b:O"#]);
    }

    #[test]
    fn a_file_without_words_has_no_sentences() {
        assert!(sentences("\n \n-DOCSTART- O\n# nothing\n", LAST).is_empty());
        assert!(sentences("", LAST).is_empty());
    }

    proptest! {
        #[test]
        fn words_and_tags_come_back(sentences in prop::collection::vec(prop::collection::vec(("[a-z#é北]{1,4}", 0_usize..3), 1..5), 0..6)) {
            let tags = ["O", "B-PER", "I-PER"];
            let row = |(word, tag): &(String, usize)| format!("{word}\t{}\n", tags[*tag]);
            let text: String = sentences.iter().map(|it| it.iter().map(row).collect::<String>() + "\n").collect();
            let read = Sentences::new(lines(text, 1000), LAST).map(|record| {
                let record = record.unwrap();
                let Some(Target::Tags(words)) = &record.target else { panic!("no tags") };
                let word = |it: &TaggedWord| (record.text[it.span.clone()].to_owned(), it.tag.clone());
                words.iter().map(word).collect::<Vec<_>>()
            });
            let word = |(word, tag): &(String, usize)| (word.clone(), tags[*tag].to_owned());
            let expected: Vec<Vec<_>> = sentences.iter().map(|it| it.iter().map(word).collect()).collect();
            prop_assert_eq!(read.collect::<Vec<_>>(), expected);
        }
    }
}
