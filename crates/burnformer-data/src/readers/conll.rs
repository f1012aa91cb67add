//! Tagged words in columns, as in the shared tasks of `CoNLL`.

use super::lines::Lines;
use super::{Place, ReadError};
use crate::tag_scheme::is_entity_tag;
use crate::target::TaggedWord;
use crate::{Record, Target};

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
/// - A line in front of a sentence's first word that begins with `# ` is a comment, unless it is a row: one with the tag of an
///   entity, or in a file of other tags one with as many columns as the rows before.
/// - In CoNLL-U a range of words (`3-4`) or an omitted word (`3.1`) is no word.
///
/// A sentence with a bad row is one error; reading continues with the next sentence.
pub(super) struct Sentences {
    lines: Lines,
    columns: TagColumns,
    /// Number of columns of the first row of the file, and whether a tag so far was no tag of entities.
    n_columns: Option<usize>,
    has_other_tags: bool,
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
        Self { lines, columns, n_columns: None, has_other_tags: false }
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
                    // Behind other tags than those of entities, anything may be a tag.
                    let has_others = self.has_other_tags;
                    let is_first = sentence.is_empty() && line.starts_with("# ");
                    match row(line, self.columns, self.n_columns, at) {
                        Ok(Some((_, tag, _))) if is_first && !is_entity_tag(tag) && !has_others => continue,
                        Ok(None) => continue,
                        Err(_) if is_first => continue,
                        Ok(Some((word, tag, found))) => {
                            self.n_columns = Some(found);
                            self.has_other_tags |= !is_entity_tag(tag);
                            sentence.push(word, tag, number);
                            Ok(())
                        }
                        Err(error) => Err(error),
                    }
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

/// The word, the tag and the number of columns of a row; `None` for one of CoNLL-U that is no word.
fn row(
    line: &str,
    columns: TagColumns,
    n_columns: Option<usize>,
    at: Place,
) -> Result<Option<(&str, &str, usize)>, ReadError> {
    let cells: Vec<&str> =
        if line.contains('\t') { line.split('\t').map(str::trim).collect() } else { line.split_whitespace().collect() };
    let found = cells.len();
    let expected = columns.word.max(columns.tag.unwrap_or(2));
    if found < expected {
        return Err(ReadError::TooFewColumns { at, found, expected });
    }
    if let Some(expected) = n_columns.filter(|expected| found != *expected) {
        return Err(ReadError::FieldCount { at, found, expected });
    }
    if found == CONLL_U && columns.word > 1 && is_no_word(cells[0]) {
        return Ok(None);
    }
    let (word, tag) = (columns.word, columns.tag.unwrap_or(found));
    if let Some(field) = [word, tag].into_iter().find(|column| cells[column - 1].is_empty()) {
        return Err(ReadError::BlankField { at, field: field.to_string() });
    }
    Ok(Some((cells[word - 1], cells[tag - 1], found)))
}

/// Number of columns of CoNLL-U.
const CONLL_U: usize = 10;

/// Whether this identifier of CoNLL-U is that of a range of words or of an omitted word.
fn is_no_word(id: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    id.split_once(['-', '.']).is_some_and(|(first, last)| is_number(first) && is_number(last))
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
    fn parts_of_speech_are_tags_too() {
        let columns = TagColumns { word: 2, tag: Some(4) };
        let row = |id: &str, word: &str, tag: &str| format!("{id}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n");
        let text = [
            "# text = al cine #\n",
            &row("1-2", "al", "_"),
            &row("1", "a", "ADP"),
            &row("2", "el", "DET"),
            &row("2.1", "x", "X"),
            &row("3", "#", "SYM"),
        ];
        assert_eq!(sentences(text.concat(), columns), [r##"3 "a el #" tags=a:ADP,el:DET,#:SYM"##]);
        // Behind other tags a sign in front of a sentence is a word where there are as many columns.
        let text = "# a comment\na NN\n\n# SYM\nb NN\n\n# c d e\nf NN\n";
        let expected = [r#"2 "a" tags=a:NN"#, r##"4 "# b" tags=#:SYM,b:NN"##, r#"8 "f" tags=f:NN"#];
        assert_eq!(sentences(text, LAST), expected);
    }

    #[test]
    fn a_sentence_with_a_bad_row_is_left_out_and_the_next_one_follows() {
        let check = |row: &[u8], error: &str| {
            let text = [b"a O\n".as_slice(), row, b"\nc O\n\nd O\n"].concat();
            assert_eq!(sentences(text, LAST), [format!("error: {error}"), r#"5 "d" tags=d:O"#.to_owned()]);
        };
        check(b"b", "line 2 of `a` has 1 column, expected at least 2: a word and its tag");
        check(b"b x O", "line 2 of `a` has 3 fields, expected 2 as in the first row");
        check(b"\tO", "line 2 of `a` has an empty `1`");
        check(b"b\t", "line 2 of `a` has an empty `2`");
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
