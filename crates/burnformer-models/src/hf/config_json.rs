//! Access to a `config.json` by key.

use crate::ModelError;
use crate::adapter::merged_config;
use crate::folder::CONFIG;
use burnformer_core::{SETTINGS_LIMIT, read_text};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::path::{Path, PathBuf};

/// Key of the labels' numbers by name.
const LABEL_NUMBERS: &str = "label2id";

/// The content of a `config.json`.
#[derive(Clone)]
pub(crate) struct ConfigJson {
    path: PathBuf,
    pub(crate) settings: Map<String, Value>,
}

impl ConfigJson {
    /// Reads the file in `folder`; where that holds only an adapter, what the adapter makes of the file of its base model.
    pub(crate) fn read(folder: &Path) -> Result<Self, ModelError> {
        match merged_config(folder)? {
            Some(config) => Ok(config),
            None => Self::read_file(folder.join(CONFIG)),
        }
    }

    /// Reads a file of settings by key.
    pub(crate) fn read_file(path: PathBuf) -> Result<Self, ModelError> {
        let text = read_text(&path, SETTINGS_LIMIT).map_err(|source| ModelError::read(path.clone(), source))?;
        match serde_json::from_str(&text) {
            Ok(Settings(settings)) => Ok(Self { path, settings }),
            Err(source) => Err(ModelError::Json { path, source }),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The value at `key`, if there is one that is not null.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, ModelError> {
        let value = self.settings.get(key).filter(|value| !value.is_null());
        value.map(|value| T::deserialize(value)).transpose().map_err(|source| self.wrong_type(key, source))
    }

    /// The required value at `key`.
    pub(crate) fn required<T: DeserializeOwned>(&self, key: &'static str) -> Result<T, ModelError> {
        self.get(key)?.ok_or_else(|| self.setting(key, None, "a setting of every model of this type".to_owned()))
    }

    /// Takes the first of a list at `key` as its value.
    pub(crate) fn take_first(&mut self, key: &str) {
        if let Some(Value::Array(values)) = self.settings.get(key)
            && let Some(first) = values.first().cloned()
        {
            self.settings.insert(key.to_owned(), first);
        }
    }

    /// The first of `architectures`: the name of the model's class.
    pub(crate) fn class(&self) -> Result<Option<String>, ModelError> {
        Ok(self.get::<Vec<String>>("architectures")?.and_then(|all| all.into_iter().next()))
    }

    /// The error of an unsupported setting.
    pub(crate) fn setting(&self, key: &'static str, found: Option<&Value>, expected: String) -> ModelError {
        let found = found.map_or_else(|| "missing".to_owned(), |value| format!("`{}`", shown(value)));
        ModelError::Setting { path: self.path.clone(), key, found, expected }
    }

    /// The error of a setting that is missing where its default cannot be used.
    pub(super) fn missing(&self, key: &'static str, default: &str, range: &str) -> ModelError {
        let found = format!("missing, and `{default}` by default");
        ModelError::Setting { path: self.path.clone(), key, found, expected: range.to_owned() }
    }

    /// The error of a setting of another type.
    pub(crate) fn wrong_type(&self, key: &'static str, source: serde_json::Error) -> ModelError {
        ModelError::SettingType { path: self.path.clone(), key, source }
    }
}

/// The content of a file but the numbers of the labels, which `id2label` has too: a model may have many.
struct Settings(Map<String, Value>);

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Settings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
                let mut settings = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = if key == LABEL_NUMBERS {
                        map.next_value::<IgnoredAny>().map(|_| Value::Null)?
                    } else {
                        map.next_value()?
                    };
                    settings.insert(key, value);
                }
                Ok(Settings(settings))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// A value as messages show it: text without quotes.
pub(crate) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The content of a file, indented for people.
pub(crate) fn pretty(json: &impl Serialize) -> String {
    serde_json::to_string_pretty(json).expect("keys are text") + "\n"
}
