//! Layered settings: a preset, overridden by a TOML file, overridden by any number of `key=value`.
//!
//! A layer may be incomplete, but every key in it must exist and have a valid type and value. Otherwise the error names the
//! dotted key, the line or override that set it, and the most similar known key.
//!
//! The settings type derives serde's `Serialize` and `Deserialize` (burn's `Config` does) and keeps three rules: it writes
//! every key it reads (no aliases, no skipped fields; an absent `Option` counts as written), an enum with data is
//! internally tagged (`kind = "adamw"`), so that layers can be merged key by key, and unknown keys are left to this module
//! (no `deny_unknown_fields`, which would also refuse what a preset's other variant left over). Lists are replaced as a whole.

mod error;
mod keys;
mod layer;

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

pub use error::{Origin, SettingsError};
use layer::{Assignment, overlay};

use crate::config::Validate;
use crate::files::{SETTINGS_LIMIT, read_text};

/// Loads settings: `preset`, changed by the TOML file `file`, changed by each `key=value` of `sets` in turn.
///
/// The value of an override is parsed as TOML if possible, else taken as text; where the setting is a text, a number is text
/// too. An empty value (`optim.clip_norm=`, in the file `clip_norm = ""`) makes an optional key absent, since TOML has no
/// null; a text becomes empty. A key with a dot in its name can be set in the file only.
///
/// # Errors
/// See [`SettingsError`].
pub fn load<T>(preset: &T, file: Option<&Path>, sets: &[String]) -> Result<T, SettingsError>
where
    T: Serialize + DeserializeOwned + Validate,
{
    match file {
        Some(path) => load_text(preset, &path.display().to_string(), &read(path)?, sets),
        None => load_text(preset, "", "", sets),
    }
}

/// Loads settings like [`load`] from the TOML text `toml`, which errors call `name`.
///
/// # Errors
/// See [`SettingsError`].
pub fn load_text<T>(preset: &T, name: &str, toml: &str, sets: &[String]) -> Result<T, SettingsError>
where
    T: Serialize + DeserializeOwned + Validate,
{
    let base = serde_json::to_value(preset).map_err(|source| SettingsError::Preset { source })?;
    resolve(&base, &Origin::Preset, name, toml, sets)
}

/// Loads settings that [`to_toml`] wrote to `file`, changed by `sets`. There is no preset: the file must be complete, and an
/// optional key that it lacks is absent.
///
/// # Errors
/// See [`SettingsError`].
pub fn reload<T>(file: &Path, sets: &[String]) -> Result<T, SettingsError>
where
    T: Serialize + DeserializeOwned + Validate,
{
    reload_text(&file.display().to_string(), &read(file)?, sets)
}

/// Loads settings like [`reload`] from the TOML text `toml`, which errors call `name`.
///
/// # Errors
/// See [`SettingsError`].
pub fn reload_text<T>(name: &str, toml: &str, sets: &[String]) -> Result<T, SettingsError>
where
    T: Serialize + DeserializeOwned + Validate,
{
    resolve(&Value::Object(Map::new()), &Origin::File { name: name.to_owned() }, name, toml, sets)
}

/// Writes settings as TOML, for [`reload`].
///
/// An absent `Option` is omitted. Loading the text over a preset that has this key gives the preset's value; [`reload`]
/// keeps it absent.
///
/// # Errors
/// [`SettingsError::Write`] for what TOML cannot represent.
pub fn to_toml<T: Serialize>(value: &T) -> Result<String, SettingsError> {
    toml::to_string(value).map_err(|source| SettingsError::Write { source })
}

fn read(path: &Path) -> Result<String, SettingsError> {
    read_text(path, SETTINGS_LIMIT).map_err(|source| SettingsError::Read { path: path.to_owned(), source })
}

fn resolve<T>(base: &Value, base_origin: &Origin, name: &str, toml: &str, sets: &[String]) -> Result<T, SettingsError>
where
    T: Serialize + DeserializeOwned + Validate,
{
    let mut layer = layer::read_toml(name, toml)?;
    layer::take_empty_as_absent(&mut layer, base);
    let with_file = overlay(base, &layer);
    for set in sets {
        layer.extend(layer::read_set(set, &with_file)?);
    }
    // Of an assignment that is to blame, the origin; of none, the layer below all.
    let origin = |blamed: Option<&Assignment>| blamed.map_or(base_origin, |it| &it.origin).clone();

    let merged = overlay(base, &layer);
    let settings: T = deserialize(merged).map_err(|error| {
        let (path, text) = (keys_of(error.path()), error.inner().to_string());
        // Without a preset below, taking back any key leaves it missing, which proves nothing.
        let holds_without = |merged| {
            *base_origin == Origin::Preset
                && deserialize::<T>(merged).map_or_else(|other| !is_alike(&other.inner().to_string(), &text), |_| true)
        };
        let blamed = blame(base, &layer, &path, holds_without);
        // Inside an internally tagged enum serde knows the path of the enum only; the assignment knows more.
        let key = match blamed {
            Some(it) if it.path.len() > path.len() && it.path.starts_with(&path) => it.path.join("."),
            _ if error.path().iter().len() == 0 => String::new(),
            _ => error.path().to_string(),
        };
        SettingsError::WrongType { key, origin: origin(blamed), source: in_words(&error.into_inner()) }
    })?;

    let written = serde_json::to_value(&settings).map_err(|source| SettingsError::Preset { source })?;
    keys::check_known(&written, &layer)?;

    settings.validate().map_err(|source| {
        let path: Vec<String> = source.field().split(['.', '[']).map(str::to_owned).collect();
        let holds_without = |merged| match deserialize::<T>(merged) {
            Ok(settings) => settings.validate().err().as_ref() != Some(&source),
            Err(_) => false,
        };
        SettingsError::Impossible { origin: origin(blame(base, &layer, &path, holds_without)), source }
    })?;
    Ok(settings)
}

/// The assignment behind an error at `path`: the last that set this key or without which there is no such error, or else
/// the table that has this path.
fn blame<'a>(
    base: &Value,
    layer: &'a [Assignment],
    path: &[String],
    holds_without: impl Fn(Value) -> bool,
) -> Option<&'a Assignment> {
    let culprit = layer.iter().rev().find(|suspect| {
        let sets_key = !suspect.is_table() && path.starts_with(&suspect.path);
        let others = layer.iter().filter(|other| !std::ptr::eq(*other, *suspect));
        sets_key || holds_without(overlay(base, others))
    });
    culprit.or_else(|| layer.iter().rev().find(|it| it.path == path))
}

/// Whether two errors say the same. Which of several missing keys is found first says nothing.
fn is_alike(error: &str, other: &str) -> bool {
    error == other || [error, other].iter().all(|text| text.starts_with("missing field"))
}

fn deserialize<T: DeserializeOwned>(settings: Value) -> Result<T, serde_path_to_error::Error<serde_json::Error>> {
    serde_path_to_error::deserialize(settings)
}

/// The keys that lead to an error, up to the list it may lie in: lists are set as a whole.
fn keys_of(path: &serde_path_to_error::Path) -> Vec<String> {
    let key = |segment: &Segment| match segment {
        Segment::Map { key } | Segment::Enum { variant: key } => Some(key.clone()),
        Segment::Seq { .. } | Segment::Unknown => None,
    };
    path.iter().map_while(key).collect()
}

/// `error`, with the name of a type of numbers in words.
fn in_words(error: &serde_json::Error) -> serde_json::Error {
    let text = error.to_string();
    let words = text.rsplit_once(", expected ").and_then(|(found, expected)| match expected {
        "f32" | "f64" => Some(format!("{found}, expected a number")),
        "i8" | "i16" | "i32" | "i64" | "isize" => Some(format!("{found}, expected a whole number")),
        "u8" | "u16" | "u32" | "u64" | "usize" => Some(format!("{found}, expected a whole number, 0 or more")),
        _ => None,
    });
    serde::de::Error::custom(words.unwrap_or(text))
}

#[cfg(test)]
mod tests;
