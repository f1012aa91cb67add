//! Names of classes in the metadata that Hugging Face's `datasets` writes into Parquet files: there a column of classes holds
//! numbers.

use serde_json::Value;

use super::columns::Cell;

/// Key of the metadata.
pub(super) const KEY: &str = "huggingface";

/// Names of the classes of a column, by number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClassNames(Vec<String>);

impl ClassNames {
    /// The names for the column at the dotted path `column`, if its values are classes, or lists of them.
    pub(super) fn of(metadata: &str, column: &str) -> Option<Self> {
        let metadata: Value = serde_json::from_str(metadata).ok()?;
        let feature = find(metadata.get("info")?.get("features")?, column)?;
        let class = element(feature).unwrap_or(feature);
        if class.get("_type")? != "ClassLabel" {
            return None;
        }
        let names = class.get("names")?.as_array()?;
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>().map(Self)
    }

    /// The cell with the name of its class instead of the number, or each cell of a list.
    pub(super) fn named(&self, cell: Cell) -> Cell {
        let number = match cell {
            Cell::Scalar("a number", number) => number,
            Cell::List(cells) => return Cell::List(cells.into_iter().map(|cell| self.named(cell)).collect()),
            cell => return cell,
        };
        // A text that nobody has classified.
        if number == "-1" {
            return Cell::Nothing;
        }
        match number.parse().ok().and_then(|number: usize| self.0.get(number)) {
            Some(name) => Cell::Text(name.clone()),
            None => Cell::Other("a number that the metadata of the file has no name for"),
        }
    }
}

/// The feature at a dotted path. A name that contains the dots itself takes precedence.
fn find<'a>(features: &'a Value, path: &str) -> Option<&'a Value> {
    features
        .get(path)
        .or_else(|| {
            let (name, rest) = path.split_once('.')?;
            let feature = match element(features) {
                Some(element) if name.parse::<usize>().is_ok() => element,
                _ => features.get(name)?,
            };
            find(feature, rest)
        })
        .or_else(|| element(features).filter(|_| path.parse::<usize>().is_ok()))
}

/// What a list holds, as its older and newer versions say it.
fn element(feature: &Value) -> Option<&Value> {
    match feature.get("_type").and_then(Value::as_str) {
        Some("Sequence" | "List" | "LargeList") => feature.get("feature"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"info": {"features": {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
        "tags": {"feature": {"names": ["O", "B-PER"], "_type": "ClassLabel"}, "length": -1, "_type": "Sequence"},
        "meta": {"kind": {"num_classes": 1, "names": ["news"], "_type": "ClassLabel"}}
    }}}"#;

    #[test]
    fn names_are_found_for_columns_of_classes() {
        let names = |column: &str| ClassNames::of(METADATA, column).map(|names| names.0.join(" "));
        for (column, expected) in
            [("label", "neg pos"), ("tags", "O B-PER"), ("tags.0", "O B-PER"), ("meta.kind", "news")]
        {
            assert_eq!(names(column).as_deref(), Some(expected), "{column}");
        }
        for column in ["text", "other", "meta", "label.0", ""] {
            assert_eq!(names(column), None, "{column}");
        }
        for metadata in
            ["", "[]", "{\"info\": {\"features\": {\"label\": {\"names\": [1], \"_type\": \"ClassLabel\"}}}}"]
        {
            assert_eq!(ClassNames::of(metadata, "label"), None);
        }
    }
}
