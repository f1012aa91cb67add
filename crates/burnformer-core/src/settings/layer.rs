//! One layer of settings: the assignments in a TOML text or in a `--set`, each with its origin.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Origin, SettingsError};

/// One key set by a layer. A table appears as an assignment of `{}`, in addition to those of its keys.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) path: Vec<String>,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Assignment {
    /// Whether this is the mere presence of a table, which changes nothing where there is one already.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_object()
    }
}

/// Lays `layer` over `base`: tables are merged, anything else, lists included, is replaced.
pub(super) fn overlay<'a>(base: &Value, layer: impl IntoIterator<Item = &'a Assignment>) -> Value {
    let mut merged = base.clone();
    for assignment in layer {
        let mut node = &mut merged;
        for key in &assignment.path {
            if !node.is_object() {
                *node = Value::Object(Map::new());
            }
            node = &mut node[key.as_str()];
        }
        if !(assignment.is_table() && node.is_object()) {
            *node = assignment.value.clone();
        }
    }
    merged
}

/// Reads the assignments of a TOML text, in the order of its lines.
pub(super) fn read_toml(name: &str, text: &str) -> Result<Vec<Assignment>, SettingsError> {
    let line_ends: Vec<usize> =
        text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(end, _)| end).collect();
    let line_at = |offset: usize| 1 + line_ends.partition_point(|&end| end < offset);
    let table = DeTable::parse(text).map_err(|source| SettingsError::Syntax {
        name: name.to_owned(),
        line: source.span().map_or(1, |span| line_at(span.start)),
        source: Box::new(source),
    })?;
    let mut found = Vec::new();
    let origin = |offset| Origin::Line { name: name.to_owned(), line: line_at(offset) };
    collect_table(table.get_ref(), &[], &origin, &mut found)?;
    // Tables come sorted by key; messages should follow the text.
    found.sort_by_key(|assignment| match assignment.origin {
        Origin::Line { line, .. } => line,
        _ => 0,
    });
    Ok(found)
}

/// Makes absent what is set to an empty text where something else than a text stands in `current`, the settings so far.
pub(super) fn take_empty_as_absent(layer: &mut [Assignment], current: &Value) {
    for Assignment { path, value, .. } in layer {
        if value == "" && at(current, path).is_some_and(|current| !current.is_string()) {
            *value = Value::Null;
        }
    }
}

fn at<'a>(settings: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(settings, |node, key| node.get(key))
}

/// Reads one `key=value`. What it becomes depends on `current`, the value of the settings so far.
///
/// The value is TOML if it can be, and text otherwise; where a text stands now, a number is text too. Nothing behind the
/// equals sign makes an optional key absent (and a text empty).
pub(super) fn read_set(text: &str, current: &Value) -> Result<Vec<Assignment>, SettingsError> {
    let bad_set = || SettingsError::BadSet { text: text.to_owned() };
    let (key, raw) = text.split_once('=').ok_or_else(bad_set)?;
    let path: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
    if path.iter().any(String::is_empty) {
        return Err(bad_set());
    }
    let origin = Origin::Set { text: text.to_owned() };
    let is_text = at(current, &path).is_some_and(Value::is_string);
    let parsed = DeValue::parse(raw.trim()).ok();
    let value = match parsed.as_ref().map(Spanned::get_ref) {
        Some(value @ (DeValue::String(_) | DeValue::Table(_))) => value,
        Some(value) if !is_text => value,
        _ => {
            let empty = raw.trim().is_empty() && !is_text;
            let value = if empty { Value::Null } else { Value::from(raw) };
            return Ok(vec![Assignment { path, value, origin }]);
        }
    };
    let mut found = Vec::new();
    collect(value, path, 0, &|_| origin.clone(), &mut found)?;
    Ok(found)
}

fn collect_table(
    table: &DeTable<'_>,
    path: &[String],
    origin: &dyn Fn(usize) -> Origin,
    found: &mut Vec<Assignment>,
) -> Result<(), SettingsError> {
    for (key, value) in table {
        let path = [path, &[key.get_ref().to_string()]].concat();
        collect(value.get_ref(), path, key.span().start, origin, found)?;
    }
    Ok(())
}

fn collect(
    value: &DeValue<'_>,
    path: Vec<String>,
    offset: usize,
    origin: &dyn Fn(usize) -> Origin,
    found: &mut Vec<Assignment>,
) -> Result<(), SettingsError> {
    if let DeValue::Table(table) = value {
        let value = Value::Object(Map::new());
        found.push(Assignment { path: path.clone(), value, origin: origin(offset) });
        return collect_table(table, &path, origin, found);
    }
    let value = to_json(value).map_err(|number| SettingsError::BadNumber {
        key: path.join("."),
        origin: origin(offset),
        value: number.to_owned(),
    })?;
    found.push(Assignment { path, value, origin: origin(offset) });
    Ok(())
}

/// The same value as JSON; the error is a number, as it was written, that JSON or 64 bits cannot hold.
fn to_json<'a>(value: &'a DeValue<'_>) -> Result<Value, &'a str> {
    Ok(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::from(*flag),
        // No setting is a date; the text is what the type error then shows.
        DeValue::Datetime(date) => Value::from(date.to_string()),
        DeValue::Integer(number) => {
            let (digits, radix) = (number.as_str(), number.radix());
            match i64::from_str_radix(digits, radix) {
                Ok(number) => Value::from(number),
                Err(_) => Value::from(u64::from_str_radix(digits, radix).map_err(|_| digits)?),
            }
        }
        DeValue::Float(number) => {
            let parsed = number.as_str().parse::<f64>().map_err(|_| number.as_str())?;
            Value::Number(serde_json::Number::from_f64(parsed).ok_or(number.as_str())?)
        }
        DeValue::Array(items) => {
            items.iter().map(|item| to_json(item.get_ref())).collect::<Result<Vec<_>, _>>()?.into()
        }
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| to_json(value.get_ref()).map(|value| (key.get_ref().to_string(), value)))
            .collect::<Result<Map<_, _>, _>>()?
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_set(text: &str, expected: &Value) {
        let current = json!({"a": {"number": 1, "text": "x", "off": null}});
        let layer = read_set(text, &current).unwrap();
        assert_eq!(&overlay(&current, &layer)["a"], expected, "{text}");
    }

    #[test]
    fn a_set_is_toml_if_it_can_be_and_text_otherwise() {
        check_set("a.number=2", &json!({"number": 2, "text": "x", "off": null}));
        check_set(" a . number = 2 ", &json!({"number": 2, "text": "x", "off": null}));
        check_set("a.number=0x10", &json!({"number": 16, "text": "x", "off": null}));
        check_set("a.number=[1, 2]", &json!({"number": [1, 2], "text": "x", "off": null}));
        check_set("a.number=two", &json!({"number": "two", "text": "x", "off": null}));
        check_set("a.number=b=c", &json!({"number": "b=c", "text": "x", "off": null}));
        check_set("a={number=2}", &json!({"number": 2, "text": "x", "off": null}));
    }

    #[test]
    fn where_text_stands_a_number_is_text() {
        check_set("a.text=2", &json!({"number": 1, "text": "2", "off": null}));
        check_set("a.text=true", &json!({"number": 1, "text": "true", "off": null}));
        check_set("a.text=\"y\"", &json!({"number": 1, "text": "y", "off": null}));
        check_set("a.text=", &json!({"number": 1, "text": "", "off": null}));
    }

    #[test]
    fn nothing_behind_the_equals_sign_makes_a_key_absent() {
        check_set("a.number=", &json!({"number": null, "text": "x", "off": null}));
    }

    #[test]
    fn a_set_needs_a_key_and_an_equals_sign() {
        for text in ["", "a.number", "=1", "a.=1", ".a=1", "a..b=1"] {
            let error = read_set(text, &Value::Null).unwrap_err();
            assert!(matches!(error, SettingsError::BadSet { .. }), "{error}");
        }
    }

    #[test]
    fn assignments_know_their_lines() {
        let text = "z = 1\n\n[b]\n# a comment\nc.d = 2\ne = [\n  1,\n]\n[a]\n";
        let found: Vec<_> = read_toml("s.toml", text)
            .unwrap()
            .into_iter()
            .map(|assignment| (assignment.path.join("."), assignment.origin.to_string()))
            .collect();
        let expected = [("z", 1), ("b", 3), ("b.c", 5), ("b.c.d", 5), ("b.e", 6), ("a", 9)];
        assert_eq!(found, expected.map(|(key, line)| (key.to_owned(), format!("`s.toml` line {line}"))));
    }

    #[test]
    fn tables_are_merged_and_lists_replaced() {
        let base = json!({"a": {"b": 1, "c": [1, 2, 3]}, "d": null});
        let layer = read_toml("s.toml", "[a]\nc = [4]\n[d]\ne = 5\n").unwrap();
        assert_eq!(overlay(&base, &layer), json!({"a": {"b": 1, "c": [4]}, "d": {"e": 5}}));
    }

    #[test]
    fn an_empty_text_makes_absent_what_is_no_text() {
        let base = json!({"a": {"number": 1, "text": "x", "off": null}});
        let mut layer = read_toml("s.toml", "[a]\nnumber = \"\"\ntext = \"\"\noff = \"\"\nnew = \"\"\n").unwrap();
        take_empty_as_absent(&mut layer, &base);
        assert_eq!(overlay(&base, &layer)["a"], json!({"number": null, "text": "", "off": null, "new": ""}));
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert_eq!(read_toml("s.toml", &format!("a = {}", u64::MAX)).unwrap()[0].value, json!(u64::MAX));
        for number in ["18446744073709551616", "-9223372036854775809", "nan", "inf", "1e999", "[1, inf]"] {
            let error = read_toml("s.toml", &format!("\na.b = {number}")).unwrap_err();
            assert!(error.to_string().starts_with("`s.toml` line 2 sets `a.b` to "), "{error}");
        }
    }
}
