//! Labels of a classifier in a `config.json`.

use crate::ModelError;
use crate::hf::ConfigJson;
use crate::weights::Weights;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Number, Value, json};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Most numbers of classes that a message lists.
const SHOWN: usize = 10;

/// A label, which some files have as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Text(String),
    Number(Number),
    Flag(bool),
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        match label {
            Label::Text(text) => text,
            Label::Number(number) => number.to_string(),
            Label::Flag(flag) => flag.to_string(),
        }
    }
}

/// The labels in a file. One without them has `LABEL_0`, `LABEL_1`, … as in transformers: one for each row of the
/// classifier's weight `name`.
pub(super) fn read(json: &ConfigJson, folder: &Path, name: &str) -> Result<Vec<String>, ModelError> {
    let Some(labels) = json.get::<BTreeMap<usize, Label>>("id2label")? else { return numbered(json, folder, name) };
    if !labels.is_empty() && labels.keys().copied().eq(0..labels.len()) {
        return Ok(labels.into_values().map(String::from).collect());
    }
    let found: Vec<String> = labels.keys().take(SHOWN).map(usize::to_string).collect();
    let more = labels.len() - found.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let expected = "labels of all classes, numbered from 0".to_owned();
    Err(json.setting("id2label", Some(&json!(found.join(", ") + &more)), expected))
}

fn numbered(json: &ConfigJson, folder: &Path, name: &str) -> Result<Vec<String>, ModelError> {
    let expected: Option<usize> = json.get("num_labels")?;
    let weights = Weights::in_folder(folder)?;
    // A file without the weight is refused by its name later.
    // A wrapper may have put a prefix in front of all names.
    let is_it = |found: &String| found == name || found.strip_suffix(name).is_some_and(|prefix| prefix.ends_with('.'));
    let shape = weights.names().into_iter().find(is_it).and_then(|name| weights.shape(&name).map(<[usize]>::to_vec));
    let Some(found) = shape.and_then(|shape| shape.first().copied()) else { return Ok(Vec::from([label(0)])) };
    match expected.filter(|&expected| expected != found) {
        Some(expected) => Err(weights.head_size(found, expected)),
        None => Ok((0..found).map(label).collect()),
    }
}

/// The name of a class without one.
fn label(index: usize) -> String {
    format!("LABEL_{index}")
}

/// The content of a file with labels. They are written one by one: as values of JSON they would take a multiple of their
/// length.
#[derive(Debug)]
pub(super) struct WithLabels<'a> {
    settings: &'a Map<String, Value>,
    labels: &'a [String],
}

/// A value of the file.
enum Entry<'a> {
    Setting(&'a Value),
    ById(&'a [String]),
    ByLabel(&'a [String]),
}

impl<'a> WithLabels<'a> {
    /// These settings and labels.
    ///
    /// # Errors
    /// [`ModelError::Labels`] if two classes have one name: the file lists them by name too.
    pub(super) fn new(settings: &'a Map<String, Value>, labels: &'a [String]) -> Result<Self, ModelError> {
        let (found, expected) = (labels.iter().collect::<HashSet<_>>().len(), labels.len());
        if found != expected {
            return Err(ModelError::Labels { found, expected });
        }
        Ok(Self { settings, labels })
    }
}

impl Serialize for WithLabels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = self.settings.iter().map(|(key, value)| (key.as_str(), Entry::Setting(value)));
        let labels = [("id2label", Entry::ById(self.labels)), ("label2id", Entry::ByLabel(self.labels))];
        let mut entries: Vec<_> = settings.chain(labels).collect();
        entries.sort_by_key(|(key, _)| *key);
        serializer.collect_map(entries)
    }
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Setting(value) => value.serialize(serializer),
            Self::ById(labels) => serializer.collect_map(labels.iter().enumerate()),
            Self::ByLabel(labels) => {
                let mut ids: Vec<(&String, usize)> = labels.iter().zip(0..).collect();
                ids.sort_unstable();
                serializer.collect_map(ids)
            }
        }
    }
}

/// Turns the shape error of a classifier's weights (`names`) into an error about the number of classes.
pub(super) fn head_size(error: ModelError, names: &[String]) -> ModelError {
    match error {
        ModelError::WrongShape { path, name, found, expected }
            if names.contains(&name) && found.get(1..) == expected.get(1..) =>
        {
            ModelError::HeadSize { path, found: found[0], expected: expected[0] }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_number_of_rows_is_another_number_of_classes() {
        let names = ["classifier.weight".to_owned()];
        let of = |found: &[usize]| {
            let (path, name) = ("a".into(), names[0].clone());
            head_size(ModelError::WrongShape { path, name, found: found.to_vec(), expected: vec![2, 8] }, &names)
        };
        assert!(matches!(of(&[3, 8]), ModelError::HeadSize { found: 3, expected: 2, .. }));
        for found in [&[][..], &[3], &[3, 7], &[3, 8, 1]] {
            assert!(matches!(of(found), ModelError::WrongShape { .. }), "{found:?}");
        }
    }
}
