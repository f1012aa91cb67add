//! Labels of a classifier in a `config.json`.

use crate::ModelError;
use crate::hf::ConfigJson;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most numbers of classes that a message lists.
const SHOWN: usize = 10;

/// The labels in a file; a file without labels has two classes, as in transformers.
pub(super) fn read(json: &ConfigJson) -> Result<Vec<String>, ModelError> {
    match json.get::<BTreeMap<usize, String>>("id2label")? {
        None => Ok(vec!["LABEL_0".to_owned(), "LABEL_1".to_owned()]),
        Some(labels) if labels.len() > 1 && labels.keys().copied().eq(0..labels.len()) => {
            Ok(labels.into_values().collect())
        }
        Some(labels) => {
            let found: Vec<String> = labels.keys().take(SHOWN).map(usize::to_string).collect();
            let more = labels.len() - found.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let expected = "labels for two classes or more, numbered from 0".to_owned();
            Err(json.setting("id2label", Some(&json!(found.join(", ") + &more)), expected))
        }
    }
}

/// Adds the labels to the content of a file.
///
/// # Errors
/// [`ModelError::Labels`] if two classes have one name: the file lists them by name too.
pub(super) fn write(labels: &[String], json: &mut Map<String, Value>) -> Result<(), ModelError> {
    let (found, expected) = (labels.iter().collect::<BTreeSet<_>>().len(), labels.len());
    if found != expected {
        return Err(ModelError::Labels { found, expected });
    }
    let by_id: BTreeMap<usize, &String> = labels.iter().enumerate().collect();
    let by_label: BTreeMap<&String, usize> = labels.iter().zip(0..).collect();
    json.insert("id2label".to_owned(), json!(by_id));
    json.insert("label2id".to_owned(), json!(by_label));
    Ok(())
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
