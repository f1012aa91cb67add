//! JSON: an object in each line, or objects in an array.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::columns::{Asked, Cell};
use super::json_values::Values;
use super::lines::{Checks, Lines};
use super::literals::Literals;
use super::{Place, ReadError};
use crate::Record;

/// The objects of a file as records: one in each line, where blank lines are skipped, or [`Values`] over any lines.
pub(super) struct Objects {
    rows: Rows,
    columns: Asked,
}

enum Rows {
    /// The beginning was not looked at.
    Unknown(Lines),
    Lines(Lines),
    Values(Values, Arc<Checks>),
}

impl Objects {
    /// The objects in `lines`.
    pub(super) fn new(lines: Lines, columns: impl Into<Asked>) -> Self {
        Self { rows: Rows::Unknown(lines), columns: columns.into() }
    }

    /// The next row; `None` for a blank one.
    fn row(&mut self) -> Option<Result<Option<Record>, ReadError>> {
        let columns = &self.columns;
        match &mut self.rows {
            Rows::Unknown(lines) => match spans_lines(lines, &columns.text) {
                Ok(spans_lines) => {
                    let lines = lines.take();
                    self.rows = if spans_lines { values(lines, &columns.text) } else { Rows::Lines(lines) };
                    Some(Ok(None))
                }
                Err(error) => Some(Err(error)),
            },
            Rows::Lines(lines) => {
                let path = lines.path().clone();
                Some(match lines.read()? {
                    Ok((_, line)) if line.trim().is_empty() => Ok(None),
                    Ok((number, line)) => record(line, 0, Place::new(&path, "line", number), columns),
                    Err(error) => Err(error),
                })
            }
            Rows::Values(values, checks) => {
                let path = values.path().clone();
                Some(values.next()?.and_then(|cut| {
                    let at = Place::new(&path, "line", cut.line);
                    record(checks.check(&cut.bytes, || at.clone())?, cut.column, at, columns)
                }))
            }
        }
    }
}

impl Iterator for Objects {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.row()?.transpose() {
                return Some(row);
            }
        }
    }
}

/// Whether a file is no object in each line: it begins with an array, with an object over several lines as programs print it, or
/// with one that has its rows in a list. Looks at the first line that is not blank; an error is that of the line.
fn spans_lines(lines: &mut Lines, text: &str) -> Result<bool, ReadError> {
    match lines.peek()? {
        Some(b'[') => return Ok(true),
        Some(b'{') => {}
        _ => return Ok(false),
    }
    let path = lines.path().clone();
    let Some(line) = lines.read() else { return Ok(false) };
    let line = line?.1.trim();
    let is_open = line.ends_with(['{', '[', ',']) && {
        let parsed = serde_json::from_str::<Unique>(&Literals::of(line).line);
        parsed.is_err_and(|error| error.is_eof())
    };
    let spans_lines = is_open || Values::is_list_within(line, &path, text);
    lines.unread();
    Ok(spans_lines)
}

fn values(lines: Lines, text: &str) -> Rows {
    let (path, max_bytes) = (lines.path().clone(), lines.max_bytes());
    let (bytes, checks, number) = lines.into_bytes();
    Rows::Values(Values::new(bytes, number, &path, max_bytes, text), checks)
}

/// The record of the object `text`, `None` if it is blank. It begins behind `column` bytes of the line `at`.
fn record(text: &str, column: usize, at: Place, columns: &Asked) -> Result<Option<Record>, ReadError> {
    let (fields, mark) = object(text, column, &at)?;
    let value = Value::Object(fields);
    if let Some(name) = columns.needed().find(|name| find(&value, name).is_none()) {
        let keys = value.as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
        return Err(ReadError::MissingKey { at, field: name.to_owned(), keys });
    }
    let cell_of = |name: Option<&str>| name.map(|name| cell(find(&value, name), mark));
    columns.record(at, columns.names().into_iter().map(cell_of).collect())
}

/// The fields of the object `text`, and the mark of the numbers in it that are kept as they are written. It begins behind
/// `column` bytes of the line `at`.
pub(super) fn object(text: &str, column: usize, at: &Place) -> Result<(Map<String, Value>, Option<char>), ReadError> {
    let literals = Literals::of(text);
    let value = match serde_json::from_str::<Unique>(&literals.line) {
        Ok(Unique(value)) => value,
        Err(error) => {
            let (n_lines, found) = literals.place(text, error.line(), error.column());
            let column = if n_lines == 0 { column + found } else { found };
            let said = error.to_string();
            let reason = said.split(" at line ").next().unwrap_or_default().to_owned();
            let at = Place { number: at.number + n_lines, ..at.clone() };
            return Err(ReadError::NotJson { at, column, reason });
        }
    };
    match value {
        Value::Object(fields) => Ok((fields, literals.mark)),
        other => Err(ReadError::NotObject { at: at.clone(), found: kind(&other) }),
    }
}

/// A value whose objects have each key once. Of a repeated key, [`Value`] alone would take the last one without a word.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` occurs twice")));
            }
            let Unique(value) = map.next_value()?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

/// The value at the dotted `path`. A key that contains the dots itself takes precedence.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let get = |key: &str| match value {
        Value::Object(fields) => fields.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    };
    get(path).or_else(|| {
        let (key, rest) = path.split_once('.')?;
        find(get(key)?, rest)
    })
}

/// What a column holds. A text behind `mark` is a number as it is written.
pub(super) fn cell(value: Option<&Value>, mark: Option<char>) -> Cell {
    match value {
        None | Some(Value::Null) => Cell::Nothing,
        Some(Value::String(text)) => match mark.and_then(|mark| text.strip_prefix(mark)) {
            Some(number) if number.ends_with("Infinity") => Cell::Other("an infinite number"),
            Some(number) => Cell::Scalar("a number", number.to_owned()),
            None => Cell::Text(text.clone()),
        },
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Cell::Scalar(kind(value), value.to_string()),
        Some(Value::Array(values)) => Cell::List(values.iter().map(|value| cell(Some(value), mark)).collect()),
        Some(Value::Object(fields)) => {
            let field = |(key, value): (&String, &Value)| (key.clone(), cell(Some(value), mark));
            Cell::Fields("an object", fields.iter().map(field).collect())
        }
    }
}

/// Name of a value's type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a Boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::Columns;
    use super::super::testing::{columns, lines, shown};
    use super::*;

    fn read(content: &str, columns: Columns) -> Vec<String> {
        shown(Objects::new(lines(content, 1 << 20), columns))
    }

    #[test]
    fn fields_are_found_at_any_depth() {
        let content = "\n{\"a\": {\"b\": [\"x\", {\"c\": \"y\"}]}, \"n\": -3, \"t\": true, \"a.b.0\": \"z\"}\r\n \n";
        assert_eq!(read(content, columns("a.b.1.c", "a.b.0", "n", "t")), [r#"2 "y" pair="z" label="-3" group="true""#]);
        let missing = columns("a.b.2", "", "", "");
        assert_eq!(read(content, missing), ["error: line 2 of `a` has no `a.b.2`, it has `a`, `a.b.0`, `n`, `t`"]);
        let null = "{\"t\": \"x\", \"g\": null}\n{\"t\": \"y\"}";
        assert_eq!(read(null, columns("t", "", "", "g")), [r#"1 "x""#, r#"2 "y""#]);
        let missing = read(null, columns("t", "", "g", ""));
        assert_eq!(missing, ["error: line 1 of `a` has no `g`", "error: line 2 of `a` has no `g`, it has `t`"]);
        assert_eq!(read(r#"{"t": "x", "s": 4.0}"#, columns("t", "", "s", "")), [r#"1 "x" label="4.0""#]);
    }

    #[test]
    fn each_type_has_a_name() {
        let expected = ["text, a number or a Boolean", "text"];
        for (value, found) in [("[1]", "a list"), ("{}", "an object")] {
            let error = format!("error: `x` in line 1 of `a` is {found}, expected {}", expected[0]);
            assert_eq!(read(&format!("{{\"t\": \"\", \"x\": {value}}}"), columns("t", "", "", "x")), [error]);
        }
        for (value, found) in [("1.5", "a number"), ("false", "a Boolean"), ("[]", "a list")] {
            let error = format!("error: `x` in line 1 of `a` is {found}, expected {}", expected[1]);
            assert_eq!(read(&format!("{{\"x\": {value}}}"), columns("x", "", "", "")), [error]);
        }
    }

    #[test]
    fn numbers_keep_their_digits_and_those_that_are_none_are_no_class() {
        let content = "{\"t\": \"a\", \"l\": 18446744073709551616}\n{\"t\": \"b\", \"l\": 18446744073709551617}\n\
                       {\"t\": \"c\", \"l\": NaN}\n{\"t\": \"d\", \"l\": -Infinity}\n{\"t\": \"e\", \"l\": 1, \"x\": NaN}\n\
                       {\"t\": 18446744073709551616, \"l\": 1}\n{\"t\": \"f\", \"l\": 18446744073709551616,}\n";
        assert_eq!(
            read(content, columns("t", "", "l", "")),
            [
                r#"1 "a" label="18446744073709551616""#,
                r#"2 "b" label="18446744073709551617""#,
                "error: line 3 of `a` has no `l`",
                "error: `l` in line 4 of `a` is an infinite number, expected text, a number or a Boolean",
                r#"5 "e" label="1""#,
                "error: `t` in line 6 of `a` is a number, expected text",
                "error: line 7 of `a` is not JSON at column 38: trailing comma",
            ]
        );
    }

    #[test]
    fn a_key_that_occurs_twice_is_one_bad_row() {
        let content =
            "{\"t\": \"a\", \"t\": \"b\"}\n{\"t\": \"c\", \"u\": [{\"v\": 1, \"v\": 1}]}\n{\"t\": \"d\", \"T\": 1e3}\n";
        assert_eq!(
            read(content, columns("t", "", "T", "")),
            [
                "error: line 1 of `a` is not JSON at column 14: the key `t` occurs twice",
                "error: line 2 of `a` is not JSON at column 29: the key `v` occurs twice",
                r#"3 "d" label="1000.0""#,
            ]
        );
    }

    #[test]
    fn a_line_that_is_no_object_is_one_bad_row() {
        let content = "\"x\"\n{\"t\": \"a\",}\n{\"t\": \"b\"} {}\nnull\n{\"t\": \"c\"";
        assert_eq!(
            read(content, columns("t", "", "", "")),
            [
                "error: line 1 of `a` holds text, expected an object such as `{\"text\": \"…\"}`",
                "error: line 2 of `a` is not JSON at column 11: trailing comma",
                "error: line 3 of `a` is not JSON at column 12: trailing characters",
                "error: line 4 of `a` holds null, expected an object such as `{\"text\": \"…\"}`",
                "error: line 5 of `a` is not JSON at column 9: EOF while parsing an object",
            ]
        );
    }

    #[test]
    fn lists_of_words_and_tags_are_sentences() {
        let content = "{\"t\": [\"Anna\", \"sings\"], \"l\": [\"B-PER\", \"O\"]}\n{\"t\": [\"a\"], \"l\": [1]}\n";
        let rows = read(content, columns("t", "", "l", ""));
        assert_eq!(rows[0], r#"1 "Anna sings" tags=Anna:B-PER,sings:O"#);
        assert!(rows[1].starts_with("error: `l.0` in line 2 of `a` is a number, expected a tag"), "{}", rows[1]);
    }

    #[test]
    fn a_list_of_labels_is_that_of_a_text() {
        let content = "{\"t\": \"a\", \"l\": [\"x\", 2]}\n{\"t\": \"b\", \"l\": []}\n{\"t\": \"c\", \"l\": [{}]}\n";
        let rows = read(content, columns("t", "", "l", ""));
        assert_eq!(rows[..2], [r#"1 "a" labels=x,2"#, r#"2 "b" labels="#]);
        let error = "error: `l.0` in line 3 of `a` is an object, expected text, a number or a Boolean";
        assert_eq!(rows[2], error);
    }

    #[test]
    fn arrays_and_objects_over_several_lines_are_read() {
        let rows = [r#"1 "a" label="1""#, r#"1 "b" label="2""#];
        let objects = ["{\"t\": \"a\", \"l\": 1}", "{\"t\": \"b\", \"l\": 2}"];
        let shown = |content: &str| read(content, columns("t", "", "l", ""));
        assert_eq!(shown(&format!("[{}, {}]", objects[0], objects[1])), rows);
        assert_eq!(shown(&format!("{{\"n\": 2, \"data\": [{}, {}]}}\n", objects[0], objects[1])), rows);
        let printed = "\n[\r\n  {\r\n    \"t\": \"a\",\r\n    \"l\": NaN\r\n  },\r\n  {\"t\": 1,}, {\"t\": \"b\",\n\"l\":: 2},\n {\"t\": \"c\", \"l\": 3}]";
        let expected = [
            "error: line 3 of `a` has no `l`",
            "error: line 7 of `a` is not JSON at column 11: trailing comma",
            "error: line 8 of `a` is not JSON at column 5: expected value",
            r#"9 "c" label="3""#,
        ];
        assert_eq!(shown(printed), expected);
        assert_eq!(
            shown("{\n\"t\": \"a\",\n\"l\": 1}\n{\"t\": \"b\", \"l\": 2}"),
            [r#"1 "a" label="1""#, r#"4 "b" label="2""#]
        );
        // An object that lacks its end is one bad line, and one with a list may be a row.
        let torn = "{\"t\": \"a\", \"l\"\n{\"t\": \"b\", \"l\": 2, \"u\": [{\"t\": \"c\"}]}\n";
        let error = "error: line 1 of `a` is not JSON at column 14: EOF while parsing an object";
        assert_eq!(shown(torn), [error, r#"2 "b" label="2""#]);
        let row = "{\"u\": [{\"t\": \"c\"}], \"t\": \"b\", \"l\": 2}\n";
        assert_eq!(shown(&row.repeat(2)), [r#"1 "b" label="2""#, r#"2 "b" label="2""#]);
    }

    #[test]
    fn rows_that_cannot_be_told_apart_are_more_than_a_bad_row() {
        for content in [
            "[{\"t\": \"a\"}",
            "{\"u\": [{\"t\": \"c\"}]}\n{\"u\": [{\"t\": \"d\"}]}\n",
            "{\"train\": [{\"t\": \"c\"}], \"test\": [{\"t\": \"d\"}]}",
        ] {
            let mut rows = Objects::new(lines(content, 1000), columns("t", "", "", ""));
            let error = rows.find_map(Result::err).unwrap();
            assert!(!error.is_bad_row(), "{error}");
            assert!(rows.next().is_none());
        }
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let read = read(&format!("{{\"t\": {}", "[".repeat(1 << 19)), columns("t", "", "", ""));
        assert_eq!(read, ["error: line 1 of `a` is not JSON at column 133: recursion limit exceeded"]);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(rows in prop::collection::vec((".*[a-z].*", ".*[a-z]"), 0..6)) {
            let content: String = rows.iter().map(|(t, l)| format!("{}\n", json!({"t": t, "l": {"x": l}}))).collect();
            let read = Objects::new(lines(&content, 1 << 20), columns("t", "", "l.x", ""));
            let read: Vec<_> = read.map(|row| row.map(|row| (row.text.clone(), row.class().unwrap().to_owned())).unwrap()).collect();
            prop_assert_eq!(read, rows);
        }
    }
}
