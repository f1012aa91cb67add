//! The keys that settings have, and which of them a misspelt one was meant to be.

use serde_json::Value;
use strsim::normalized_damerau_levenshtein as similarity;

use super::error::SettingsError;
use super::layer::Assignment;

/// Share of a key's letters that must be right before another key is suggested for it.
const ALIKE: f64 = 0.6;

/// Refuses an assignment to a key that `settings`, a value as the type itself wrote it, does not have.
///
/// Comparing with what was written, not with what was ignored in reading, also finds keys that serde drops unseen while it
/// buffers (internally tagged enums, flattened structs), and forgives keys left over from a preset's other variant.
pub(super) fn check_known(settings: &Value, layer: &[Assignment]) -> Result<(), SettingsError> {
    for assignment in layer {
        let mut node = settings;
        for key in &assignment.path {
            // A value written as something else than a table keeps its keys to itself.
            let Value::Object(table) = node else { break };
            let Some(next) = table.get(key) else {
                return Err(SettingsError::UnknownKey {
                    key: assignment.path.join("."),
                    origin: assignment.origin.clone(),
                    nearest: nearest(&assignment.path, settings),
                    known: table.keys().cloned().collect(),
                });
            };
            node = next;
        }
    }
    Ok(())
}

/// The key whose last part is most like that of `path`, the whole deciding between equals.
fn nearest(path: &[String], settings: &Value) -> Option<String> {
    let (full, last) = (path.join("."), path.last()?);
    let mut known = Vec::new();
    collect_keys(settings, "", &mut known);
    let score = |key: &String| {
        let alike = similarity(last, key.rsplit('.').next().unwrap_or(key));
        (alike >= ALIKE).then(|| alike + similarity(&full, key))
    };
    let scored = known.into_iter().filter_map(|key| Some((score(&key)?, key)));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, key)| key)
}

fn collect_keys(settings: &Value, prefix: &str, found: &mut Vec<String>) {
    for (key, value) in settings.as_object().into_iter().flatten() {
        let key = format!("{prefix}{key}");
        collect_keys(value, &format!("{key}."), found);
        found.push(key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_nearest(key: &str, expected: Option<&str>) {
        let settings = json!({
            "model": {"d_model": 1, "n_heads": 1, "encoder": {"dropout": 0}, "decoder": {"dropout": 0}},
            "optim": {"learning_rate": 1, "clip_norm": null},
            "seed": 0,
        });
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        assert_eq!(nearest(&path, &settings).as_deref(), expected, "{key}");
    }

    #[test]
    fn a_misspelt_key_is_found_at_its_level() {
        check_nearest("model.d_modle", Some("model.d_model"));
        check_nearest("optim.clip-norm", Some("optim.clip_norm"));
        check_nearest("sed", Some("seed"));
        check_nearest("modle", Some("model"));
    }

    #[test]
    fn a_misplaced_key_is_found_anywhere() {
        check_nearest("d_model", Some("model.d_model"));
        check_nearest("model.learning_rate", Some("optim.learning_rate"));
        check_nearest("modle.n_head", Some("model.n_heads"));
        check_nearest("model.decodr.dropout", Some("model.decoder.dropout"));
        check_nearest("model.encodr.dropout", Some("model.encoder.dropout"));
    }

    #[test]
    fn nothing_is_suggested_for_a_key_unlike_all() {
        check_nearest("model.temperature", None);
    }
}
