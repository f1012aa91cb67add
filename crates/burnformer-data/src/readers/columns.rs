//! Columns of a row, and their conversion to a record.

use std::collections::HashSet;
use std::fmt;
use std::ops::{Deref, Range};

use serde::{Deserialize, Serialize};

use super::answers::{self, are_answers};
use super::{Place, ReadError, spans};
use crate::{Record, TaggedWord, Target};

/// Names of the columns with the text of a row, its pair, label, group and negatives.
///
/// In JSON lines and Parquet a name may be a path: `meta.author` is the field `author` within `meta`, `choices.0` the
/// first element of the list `choices`. In a table without header the columns are called `1`, `2` and so on.
///
/// Each of these columns except `group` needs a value in every row: text; `label` and `group` may
/// also be a number or a Boolean, which is converted to text, and `negative` a list of texts. A row in which all of them are blank is skipped
/// like a blank line.
///
/// Where both `text` and `label` are lists of equal length, as the words and the tags of named entities, the record has the words
/// with a blank between them, and [`Target::Tags`]. It has these too where `label` holds spans of the characters of a text, such as
/// `[[0, 4, "PER"]]` or `[{"start": 0, "end": 4, "label": "PER"}]`: the tags of the words are then in the scheme BIO. Where `label` has
/// the answers to the question `pair` about `text`, as `{"text": ["…"], "answer_start": [7]}` or as a list of
/// `{"text": "…", "answer_start": 7}`, the record has [`Target::Answers`]. Any other list in `label` alone holds the labels of a text,
/// any number of them, as do the cells of `label_columns`, and a cell with a `label_separator`: then the record has
/// [`Target::Labels`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// In place of `label`: one column for each label that a text may have, with 0 or 1 in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_columns: Vec<String>,
    /// Separator of the labels in a cell of `label`, which may then hold several or none; absent if a cell is one class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_separator: Option<String>,
    /// A text that does not go together with the first one, or a list of such texts: hard negatives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
}

/// As derived, without what is not set: a corpus is the same by this text, also one of a version that did not know it.
impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, pair, label, group, label_columns, label_separator, negative } = self;
        let mut fields = f.debug_struct("Columns");
        fields.field("text", text).field("pair", pair).field("label", label).field("group", group);
        if !label_columns.is_empty() {
            fields.field("label_columns", label_columns);
        }
        if label_separator.is_some() {
            fields.field("label_separator", label_separator);
        }
        if negative.is_some() {
            fields.field("negative", negative);
        }
        fields.finish()
    }
}

/// One item for each of `text`, `pair`, `label` and `group`, `None` where no column is named, for each of `label_columns`, and
/// for `negative`.
pub(super) type Each<T> = Vec<Option<T>>;

/// The place of `text` in [`Each`].
const TEXT: usize = 0;
/// The place of `label` in [`Each`].
const LABEL: usize = 2;
/// The place of `group` in [`Each`].
const GROUP: usize = 3;
/// The first place of `label_columns` in [`Each`].
const FLAGS: usize = 4;

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
    /// Named fields: name of the type, and the fields.
    Fields(&'static str, Vec<(String, Cell)>),
    /// Anything else: name of its type.
    Other(&'static str),
}

impl Columns {
    /// The names.
    pub(super) fn names(&self) -> Each<&str> {
        [Some(&self.text), self.pair.as_ref(), self.label.as_ref(), self.group.as_ref()]
            .into_iter()
            .chain(self.label_columns.iter().map(Some))
            .chain([self.negative.as_ref()])
            .map(|name| name.map(String::as_str))
            .collect()
    }

    /// The names of those that every row needs.
    pub(super) fn needed(&self) -> impl Iterator<Item = &str> {
        let names = [Some(&self.text), self.pair.as_ref(), self.label.as_ref()];
        names.into_iter().flatten().chain(&self.label_columns).map(String::as_str)
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
        let mut flags = cells.split_off(FLAGS.min(cells.len()));
        let negatives = if flags.len() > self.label_columns.len() { flags.pop().flatten() } else { None };
        let target = match (cells[TEXT].take(), cells[LABEL].take()) {
            (Some(Cell::List(words)), Some(Cell::List(tags))) => {
                let (text, tagged) = self.tagged(&at, words, tags)?;
                cells[TEXT] = Some(Cell::Text(text));
                Some(Target::Tags(tagged))
            }
            (Some(Cell::Text(text)), Some(label)) if are_answers(&label) => {
                let answers = self.answers(&at, &text, cells[GROUP].as_ref(), label)?;
                cells[TEXT] = Some(Cell::Text(text));
                Some(Target::Answers(answers))
            }
            (Some(Cell::Text(text)), Some(label)) if spans::are_spans(&label) => {
                let tagged = spans::tagged(&at, &name(LABEL), &text, &label)?;
                cells[TEXT] = Some(Cell::Text(text));
                Some(Target::Tags(tagged))
            }
            (text, Some(Cell::List(labels))) => {
                cells[TEXT] = text;
                Some(listed(self.names_of(&at, labels)?))
            }
            (text, label) => {
                cells[TEXT] = text;
                match (label, &self.label_separator) {
                    (Some(Cell::Text(cell)), Some(separator)) => Some(listed(separated(&cell, separator))),
                    (label, _) => {
                        cells[LABEL] = label;
                        None
                    }
                }
            }
        };
        let mut values: Each<String> = Vec::with_capacity(FLAGS);
        for (column, cell) in cells.into_iter().enumerate() {
            values.push(match cell {
                None => None,
                Some(Cell::Text(value)) => Some(value),
                Some(Cell::Scalar(_, value)) if column >= LABEL => Some(value),
                Some(Cell::Nothing) if column == GROUP => None,
                Some(Cell::Nothing) => return Err(ReadError::MissingField { at, field: name(column) }),
                Some(cell) => {
                    let expected = if column < LABEL { "text" } else { "text, a number or a Boolean" };
                    return Err(ReadError::WrongType { at, field: name(column), found: cell.kind(), expected });
                }
            });
        }
        let is_blank = |value: &String| value.trim().is_empty();
        let has_labels = matches!(&target, Some(Target::Labels { labels, .. }) if !labels.is_empty());
        if !self.blank_rows
            && !has_labels
            && values[..GROUP].iter().flatten().all(is_blank)
            && flags.iter().flatten().all(|cell| matches!(cell, Cell::Nothing) || cell.is_blank())
        {
            return Ok(None);
        }
        // A text may be blank in a blank row, a label never.
        let needed = if self.blank_rows { LABEL } else { 0 }..GROUP;
        let blank = |column: &usize| values[*column].as_ref().is_some_and(is_blank);
        if let Some(column) = needed.into_iter().find(blank) {
            return Err(ReadError::BlankField { at, field: name(column) });
        }
        let target = if flags.is_empty() { target } else { Some(self.flagged(&at, flags)?) };
        let mut values = values.into_iter();
        let mut next = || values.next().flatten();
        let (text, pair, label, group) = (next(), next(), next(), next());
        let negatives = negatives.map_or_else(|| Ok(Vec::new()), |cell| self.negatives(&at, cell))?;
        let record = Record::new(text.unwrap_or_default(), at.path, at.number);
        let target = target.or(label.map(Target::Class));
        Ok(Some(Record { pair, negatives, target, group: group.filter(|value| !is_blank(value)), ..record }))
    }

    /// The texts of a cell with one, or with a list of them.
    fn negatives(&self, at: &Place, cell: Cell) -> Result<Vec<String>, ReadError> {
        let name = self.negative.as_deref().unwrap_or_default();
        let text = |cell: Cell, field: String| match cell {
            cell if cell.is_blank() => Err(ReadError::BlankField { at: at.clone(), field }),
            Cell::Text(text) => Ok(text),
            Cell::Nothing => Err(ReadError::MissingField { at: at.clone(), field }),
            cell => {
                let expected = "text, or a list of texts";
                Err(ReadError::WrongType { at: at.clone(), field, found: cell.kind(), expected })
            }
        };
        match cell {
            Cell::List(cells) if cells.is_empty() => {
                Err(ReadError::BlankField { at: at.clone(), field: name.to_owned() })
            }
            Cell::List(cells) => {
                cells.into_iter().enumerate().map(|(index, cell)| text(cell, format!("{name}.{index}"))).collect()
            }
            cell => Ok(vec![text(cell, name.to_owned())?]),
        }
    }

    /// The answers in `context` to the question of a row, which its group names.
    fn answers(
        &self,
        at: &Place,
        context: &str,
        group: Option<&Cell>,
        answers: Cell,
    ) -> Result<Vec<Range<usize>>, ReadError> {
        let id = match group {
            Some(Cell::Text(id) | Cell::Scalar(_, id)) => Some(id.as_str()),
            _ => None,
        };
        answers::Asked { at, context, id, field: self.names()[LABEL].unwrap_or_default() }.answers(answers)
    }

    /// The names in a list of labels.
    fn names_of(&self, at: &Place, labels: Vec<Cell>) -> Result<Vec<String>, ReadError> {
        let name = |(index, cell): (usize, Cell)| {
            let (at, field) = (at.clone(), format!("{}.{index}", self.names()[LABEL].unwrap_or_default()));
            match cell {
                cell if cell.is_blank() => Err(ReadError::BlankField { at, field }),
                Cell::Text(label) => Ok(label.trim().to_owned()),
                Cell::Scalar(_, label) => Ok(label),
                Cell::Nothing => Err(ReadError::MissingField { at, field }),
                cell => {
                    let expected = "text, a number or a Boolean";
                    Err(ReadError::WrongType { at, field, found: cell.kind(), expected })
                }
            }
        };
        labels.into_iter().enumerate().map(name).collect()
    }

    /// The labels whose columns say so.
    fn flagged(&self, at: &Place, flags: Vec<Option<Cell>>) -> Result<Target, ReadError> {
        let mut labels = Vec::new();
        for (name, cell) in self.label_columns.iter().zip(flags) {
            let (at, field) = (at.clone(), name.clone());
            match cell {
                None | Some(Cell::Nothing) => return Err(ReadError::MissingField { at, field }),
                Some(cell) if cell.is_blank() => return Err(ReadError::BlankField { at, field }),
                Some(Cell::Text(value) | Cell::Scalar(_, value)) => match flag(&value) {
                    Some(true) => labels.push(name.clone()),
                    Some(false) => {}
                    None => return Err(ReadError::NotAFlag { at, field, found: value }),
                },
                Some(cell) => {
                    let expected = "0 or 1, which says whether the text has this label";
                    return Err(ReadError::WrongType { at, field, found: cell.kind(), expected });
                }
            }
        }
        Ok(Target::Labels { labels, columns: self.label_columns.clone() })
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
                Cell::Text(tag) if !tag.trim().is_empty() => tag.trim().to_owned(),
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

/// Labels of a list.
fn listed(labels: Vec<String>) -> Target {
    Target::Labels { labels, columns: Vec::new() }
}

/// The labels in a cell.
fn separated(cell: &str, separator: &str) -> Vec<String> {
    cell.split(separator).map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect()
}

/// Whether a text has a label, by the value of its column, also as pandas writes it beside gaps.
fn flag(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" => Some(true),
        "0" | "0.0" | "false" => Some(false),
        _ => None,
    }
}

impl Cell {
    /// `true` for a text of white space.
    fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().is_empty())
    }

    /// Name of the type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "null",
            Self::Text(_) => "text",
            Self::Scalar(kind, _) | Self::Fields(kind, _) | Self::Other(kind) => kind,
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
    fn row(cells: [Option<Cell>; 4]) -> Vec<String> {
        let names = ["text", "pair", "label", "group"];
        let mut asked = cells.iter().zip(names).map(|(cell, name)| if cell.is_some() { name } else { "" });
        let mut name = || asked.next().unwrap();
        let columns = columns(name(), name(), name(), name());
        let at = Place::new(&Path::new("a").into(), "row", 7);
        shown(Asked::from(columns).record(at, cells.into()).transpose().into_iter())
    }

    /// The result for a row with a text, and labels as these columns say.
    fn labels(columns: Columns, label: Option<Cell>, flags: &[&str]) -> Vec<String> {
        let at = Place::new(&Path::new("a").into(), "row", 7);
        let mut cells = vec![text("a"), None, label, None];
        cells.extend(flags.iter().map(|flag| text(flag)));
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
        assert_eq!(tagged(&["a"], &["NN "]), [r#"7 "a" tags=a:NN"#]);
        assert_eq!(tagged(&["a"], &[" "]), ["error: row 7 of `a` has an empty `label.0`"]);
        let numbers = Some(Cell::List(vec![Cell::Scalar("a number", "3".to_owned())]));
        let error = "error: `label.0` in row 7 of `a` is a number, expected a tag as text, or its number where the metadata names it";
        assert_eq!(row([list(&["a"]), None, numbers, None]), [error]);
    }

    #[test]
    fn a_list_beside_a_text_holds_its_labels() {
        let list = |cells: Vec<Cell>| labels(columns("text", "", "label", ""), Some(Cell::List(cells)), &[]);
        let two = vec![Cell::Text(" x ".to_owned()), Cell::Scalar("a number", "3".to_owned())];
        assert_eq!(list(two), [r#"7 "a" labels=x,3"#]);
        assert_eq!(list(vec![]), [r#"7 "a" labels="#]);
        assert_eq!(list(vec![Cell::Nothing]), ["error: row 7 of `a` has no `label.0`"]);
        assert_eq!(list(vec![Cell::Text(" ".to_owned())]), ["error: row 7 of `a` has an empty `label.0`"]);
        let error = "error: `label.0` in row 7 of `a` is a list, expected text, a number or a Boolean";
        assert_eq!(list(vec![Cell::List(vec![])]), [error]);
        assert!(row([text(""), None, Some(Cell::List(vec![])), None]).is_empty());
        assert_eq!(
            row([text(""), None, Some(Cell::List(vec![Cell::Text("x".to_owned())])), None]),
            ["error: row 7 of `a` has an empty `text`"]
        );
    }

    #[test]
    fn a_cell_with_a_separator_holds_labels() {
        let separated = |cell: &str| {
            let columns = Columns { label_separator: Some(",".to_owned()), ..columns("text", "", "label", "") };
            labels(columns, text(cell), &[])
        };
        assert_eq!(separated("x, y z,"), [r#"7 "a" labels=x,y z"#]);
        assert_eq!(separated("x"), [r#"7 "a" labels=x"#]);
        assert_eq!(separated(" "), [r#"7 "a" labels="#]);
    }

    #[test]
    fn a_column_for_each_label_says_whether_a_text_has_it() {
        let flagged = |flags: &[&str]| {
            let label_columns = ["x", "y", "z"].map(str::to_owned).to_vec();
            labels(Columns { label_columns, ..columns("text", "", "", "") }, None, flags)
        };
        assert_eq!(flagged(&["1", "0.0", "True"]), [r#"7 "a" labels=x,z"#]);
        assert_eq!(flagged(&["0", "0", "0"]), [r#"7 "a" labels="#]);
        let error = "error: `y` in row 7 of `a` is `2`, expected 0 or 1, which says whether the text has this label";
        assert_eq!(flagged(&["0", "2", "0"]), [error]);
        assert_eq!(flagged(&["0", " ", "0"]), ["error: row 7 of `a` has an empty `y`"]);
    }

    #[test]
    fn what_is_not_set_is_not_in_the_name_of_a_layout() {
        let shown = r#"Columns { text: "t", pair: None, label: Some("l"), group: None }"#;
        assert_eq!(format!("{:?}", columns("t", "", "l", "")), shown);
        let separated = Columns { label_separator: Some(";".to_owned()), ..columns("t", "", "", "") };
        assert!(format!("{separated:?}").ends_with(r#"label_separator: Some(";") }"#));
    }

    #[test]
    fn a_negative_is_a_text_or_a_list_of_texts() {
        let row = |first: &str, negative| {
            let columns = Columns { negative: Some("negative".to_owned()), ..columns("text", "pair", "", "") };
            let at = Place::new(&Path::new("a").into(), "row", 7);
            let cells = vec![text(first), text(first), None, None, Some(negative)];
            shown(Asked::from(columns).record(at, cells).transpose().into_iter())
        };
        let list = |cells| row("a", Cell::List(cells));
        let one = || Cell::Text("c".to_owned());
        assert_eq!(row("a", one()), [r#"7 "a" pair="a" negatives=["c"]"#]);
        assert_eq!(list(vec![one(), one()]), [r#"7 "a" pair="a" negatives=["c", "c"]"#]);
        assert_eq!(row("a", Cell::Nothing), ["error: row 7 of `a` has no `negative`"]);
        assert_eq!(list(vec![]), ["error: row 7 of `a` has an empty `negative`"]);
        assert_eq!(list(vec![one(), Cell::Text(" ".to_owned())]), ["error: row 7 of `a` has an empty `negative.1`"]);
        let error = "error: `negative` in row 7 of `a` is a number, expected text, or a list of texts";
        assert_eq!(row("a", number("1").unwrap()), [error]);
        assert!(row(" ", Cell::Nothing).is_empty());
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
