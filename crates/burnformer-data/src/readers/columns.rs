//! Columns of a row, and their conversion to a record.

use std::collections::HashSet;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::conll::is_tag;
use super::{Place, ReadError};
use crate::{Record, TaggedWord, Target};

/// Names of the columns with the text of a row, its pair, label and group.
///
/// In JSON lines and Parquet a name may be a path: `meta.author` is the field `author` within `meta`, `choices.0` the
/// first element of the list `choices`. In a table without header the columns are called `1`, `2` and so on.
///
/// Each of these columns except `group` needs a value in every row: text; `label` and `group` may
/// also be a number or a Boolean, which is converted to text. A row in which all of them are blank is skipped
/// like a blank line.
///
/// Where both `text` and `label` are lists of equal length, as the words and the tags of named entities, the record has the words
/// with a blank between them, and [`Target::Tags`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// The text, or the first one of a pair.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
    /// The class.
    pub label: Option<String>,
    /// The group of the row, which a split keeps together. May be null or blank: then the row is
    /// alone.
    pub group: Option<String>,
}

/// One item for each of `text`, `pair`, `label` and `group`, `None` where no column is named.
pub(super) type Each<T> = [Option<T>; 4];

/// The place of `text` in [`Each`].
const TEXT: usize = 0;
/// The place of `label` in [`Each`].
const LABEL: usize = 2;
/// The place of `group` in [`Each`].
const GROUP: usize = 3;

/// The first of `names` that comes a second time.
pub(super) fn repeated<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut met = HashSet::new();
    names.into_iter().find(|name| !met.insert(*name))
}

/// Value of a field.
pub(super) enum Cell {
    /// Absent, or null.
    Nothing,
    /// Text.
    Text(String),
    /// A number or a Boolean: name of its type, and its text.
    Scalar(&'static str, String),
    /// A list.
    List(Vec<Cell>),
    /// Anything else: name of its type.
    Other(&'static str),
}

impl Columns {
    /// The names.
    pub(super) fn names(&self) -> Each<&str> {
        [Some(&self.text), self.pair.as_ref(), self.label.as_ref(), self.group.as_ref()]
            .map(|name| name.map(String::as_str))
    }
}

/// Columns that are read, and whether blank rows are records too.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) columns: Columns,
    pub(super) blank_rows: bool,
}

impl From<Columns> for Asked {
    fn from(columns: Columns) -> Self {
        Self { columns, blank_rows: false }
    }
}

impl Deref for Asked {
    type Target = Columns;

    fn deref(&self) -> &Columns {
        &self.columns
    }
}

impl Asked {
    /// The record of the row `at` with the fields `cells`, or `None` if all of them are blank and blank rows are no records.
    pub(super) fn record(&self, at: Place, mut cells: Each<Cell>) -> Result<Option<Record>, ReadError> {
        let name = |column: usize| self.names()[column].unwrap_or_default().to_owned();
        let tagged = match (cells[TEXT].take(), cells[LABEL].take()) {
            (Some(Cell::List(words)), Some(Cell::List(tags))) => {
                let (text, tagged) = self.tagged(&at, words, tags)?;
                cells[TEXT] = Some(Cell::Text(text));
                Some(tagged)
            }
            (text, label) => {
                (cells[TEXT], cells[LABEL]) = (text, label);
                None
            }
        };
        let mut values: Each<String> = Default::default();
        for (column, cell) in cells.into_iter().enumerate() {
            values[column] = match cell {
                None => None,
                Some(Cell::Text(value)) => Some(value),
                Some(Cell::Scalar(_, value)) if column >= LABEL => Some(value),
                Some(Cell::Nothing) if column == GROUP => None,
                Some(Cell::Nothing) => return Err(ReadError::MissingField { at, field: name(column) }),
                Some(cell) => {
                    let expected = if column < LABEL { "text" } else { "text, a number or a Boolean" };
                    return Err(ReadError::WrongType { at, field: name(column), found: cell.kind(), expected });
                }
            };
        }
        let is_blank = |value: &String| value.trim().is_empty();
        if !self.blank_rows && values[..GROUP].iter().flatten().all(is_blank) {
            return Ok(None);
        }
        // A text may be blank in a blank row, a label never.
        let needed = if self.blank_rows { LABEL } else { 0 }..GROUP;
        let blank = |column: &usize| values[*column].as_ref().is_some_and(is_blank);
        if let Some(column) = needed.into_iter().find(blank) {
            return Err(ReadError::BlankField { at, field: name(column) });
        }
        let [text, pair, label, group] = values;
        let record = Record::new(text.unwrap_or_default(), at.path, at.number);
        let target = tagged.map(Target::Tags).or(label.map(Target::Class));
        Ok(Some(Record { pair, target, group: group.filter(|value| !is_blank(value)), ..record }))
    }

    /// The text of a list of words, and the words with their tags.
    fn tagged(&self, at: &Place, words: Vec<Cell>, tags: Vec<Cell>) -> Result<(String, Vec<TaggedWord>), ReadError> {
        if words.len() != tags.len() {
            let (at, words, tags) = (at.clone(), words.len(), tags.len());
            return Err(ReadError::WordCount { at, words, tags });
        }
        let (mut text, mut tagged) = (String::new(), Vec::with_capacity(words.len()));
        for (index, (word, tag)) in words.into_iter().zip(tags).enumerate() {
            let wrong = |column: usize, found: Cell, expected| {
                let field = format!("{}.{index}", self.names()[column].unwrap_or_default());
                match found {
                    Cell::Nothing => ReadError::MissingField { at: at.clone(), field },
                    Cell::Text(_) => ReadError::BlankField { at: at.clone(), field },
                    found => ReadError::WrongType { at: at.clone(), field, found: found.kind(), expected },
                }
            };
            let word = match word {
                Cell::Text(word) if !word.trim().is_empty() => word,
                other => return Err(wrong(TEXT, other, "text")),
            };
            let tag = match tag {
                Cell::Text(tag) if is_tag(&tag) => tag,
                Cell::Text(tag) if !tag.trim().is_empty() => {
                    return Err(ReadError::NotATag { at: at.clone(), found: tag });
                }
                other => return Err(wrong(LABEL, other, "a tag as text, or its number where the metadata names it")),
            };
            if !text.is_empty() {
                text.push(' ');
            }
            let start = text.len();
            text.push_str(word.trim());
            tagged.push(TaggedWord { span: start..text.len(), tag });
        }
        Ok((text, tagged))
    }
}

impl Cell {
    /// Name of the type.
    fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "null",
            Self::Text(_) => "text",
            Self::Scalar(kind, _) | Self::Other(kind) => kind,
            Self::List(_) => "a list",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::{columns, shown};
    use super::*;

    /// The result for a row with these cells.
    fn row(cells: Each<Cell>) -> Vec<String> {
        let names = ["text", "pair", "label", "group"];
        let mut asked = cells.iter().zip(names).map(|(cell, name)| if cell.is_some() { name } else { "" });
        let mut name = || asked.next().unwrap();
        let columns = columns(name(), name(), name(), name());
        let at = Place::new(&Path::new("a").into(), "row", 7);
        shown(Asked::from(columns).record(at, cells).transpose().into_iter())
    }

    fn text(text: &str) -> Option<Cell> {
        Some(Cell::Text(text.to_owned()))
    }

    fn number(text: &str) -> Option<Cell> {
        Some(Cell::Scalar("a number", text.to_owned()))
    }

    #[test]
    fn fields_go_where_the_columns_say() {
        assert_eq!(row([text("a"), None, None, None]), [r#"7 "a""#]);
        let all = r#"7 "a" pair=" b" label="1" group="g""#;
        assert_eq!(row([text("a"), text(" b"), number("1"), text("g")]), [all]);
    }

    #[test]
    fn only_a_group_may_be_nothing() {
        let nothing = || Some(Cell::Nothing);
        for group in [nothing(), text(" ")] {
            assert_eq!(row([text("a"), None, None, group]), [r#"7 "a""#]);
        }
        assert_eq!(row([nothing(), None, None, None]), ["error: row 7 of `a` has no `text`"]);
        assert_eq!(row([text(""), nothing(), None, None]), ["error: row 7 of `a` has no `pair`"]);
        assert_eq!(row([text("a"), None, nothing(), None]), ["error: row 7 of `a` has no `label`"]);
    }

    #[test]
    fn a_row_is_blank_as_a_whole_or_not_at_all() {
        assert!(row([text(" "), text(""), text("\t"), text("g")]).is_empty());
        assert!(row([text(""), None, None, None]).is_empty());
        assert_eq!(row([text("a"), None, text(" "), None]), ["error: row 7 of `a` has an empty `label`"]);
        assert_eq!(row([text(""), text("b"), text(""), None]), ["error: row 7 of `a` has an empty `text`"]);
    }

    #[test]
    fn a_list_of_words_and_one_of_tags_is_a_tagged_sentence() {
        let list = |texts: &[&str]| Some(Cell::List(texts.iter().map(|text| Cell::Text((*text).to_owned())).collect()));
        let tagged = |words: &[&str], tags: &[&str]| row([list(words), None, list(tags), None]);
        assert_eq!(tagged(&["New York", "is"], &["B-LOC", "O"]), [r#"7 "New York is" tags=New York:B-LOC,is:O"#]);
        assert!(tagged(&[], &[]).is_empty());
        let error = "error: row 7 of `a` has 1 words and 2 tags, expected equal numbers";
        assert_eq!(tagged(&["a"], &["O", "O"]), [error]);
        assert_eq!(tagged(&["a", " "], &["O", "O"]), ["error: row 7 of `a` has an empty `text.1`"]);
        assert!(tagged(&["a"], &["NN"])[0].starts_with("error: row 7 of `a` has the tag `NN`, expected `O`"));
        let numbers = Some(Cell::List(vec![Cell::Scalar("a number", "3".to_owned())]));
        let error = "error: `label.0` in row 7 of `a` is a number, expected a tag as text, or its number where the metadata names it";
        assert_eq!(row([list(&["a"]), None, numbers, None]), [error]);
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let error = "error: `text` in row 7 of `a` is a number, expected text";
        assert_eq!(row([number("1"), None, None, None]), [error]);
        let list = || Some(Cell::List(vec![]));
        let error = "error: `group` in row 7 of `a` is a list, expected text, a number or a Boolean";
        assert_eq!(row([text("a"), None, None, list()]), [error]);
        assert_eq!(row([text("a"), list(), None, None]), ["error: `pair` in row 7 of `a` is a list, expected text"]);
    }
}
