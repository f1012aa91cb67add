//! Settings of a model and their keys in a `config.json`.

use super::{ConfigJson, activation};
use crate::ModelError;
use burnformer_core::{ConfigError, Validate};
use burnformer_nn::Activation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The setting whose values have other names in the file: the activation.
const ACTIVATION: &str = "activation";

/// Fields of a settings struct and their keys in the `config.json` of one architecture. Fields without a key are
/// neither read nor written.
pub(crate) struct Keys(pub(crate) &'static [(&'static str, &'static str)]);

impl Keys {
    /// The key of `field`.
    pub(crate) fn key(&self, field: &str) -> Option<&'static str> {
        self.0.iter().find(|(ours, _)| *ours == field).map(|(_, theirs)| *theirs)
    }

    /// `default`, overridden by the values of the file.
    ///
    /// # Errors
    /// If a value has another type than the field, or names an unknown activation.
    pub(crate) fn read<C: Serialize + DeserializeOwned>(
        &self,
        json: &ConfigJson,
        default: &C,
    ) -> Result<C, ModelError> {
        let default = fields(default);
        let mut found = default.clone();
        for &(field, key) in self.0 {
            let value = match field {
                ACTIVATION => activation::read(json, key)?.map(|it| json!(it)),
                _ => json.get::<Value>(key)?,
            };
            let Some(value) = value else { continue };
            // Alone among the defaults, so that an error is one of this key.
            let mut alone = default.clone();
            alone.insert(field.to_owned(), value.clone());
            serde_json::from_value::<C>(Value::Object(alone)).map_err(|source| json.wrong_type(key, source))?;
            found.insert(field.to_owned(), value);
        }
        Ok(serde_json::from_value(Value::Object(found)).expect("each field has been read alone"))
    }

    /// Refuses invalid settings; the error names the key in the file.
    pub(crate) fn check(&self, json: &ConfigJson, config: &impl Validate) -> Result<(), ModelError> {
        let Err(error) = config.validate() else { return Ok(()) };
        let Some(key) = self.key(error.field()) else { return Err(error.into()) };
        Err(match &error {
            ConfigError::OutOfRange { value, range, .. } if json.settings.get(key).is_none_or(Value::is_null) => {
                json.missing(key, value, range)
            }
            ConfigError::OutOfRange { value, range, .. } => json.setting(key, Some(&json!(value)), (*range).to_owned()),
            ConfigError::HeadsDoNotDivide { d_model, n_heads, .. } => {
                let width = self.key("d_model").unwrap_or("d_model");
                json.setting(key, Some(&json!(n_heads)), format!("a divisor of `{width}` ({d_model})"))
            }
            _ => error.into(),
        })
    }

    /// The values of all fields that have a key, by key.
    pub(crate) fn written(&self, config: &impl Serialize) -> Map<String, Value> {
        let fields = fields(config);
        let value = |field: &str, value: &Value| match field {
            ACTIVATION => json!(activation::name(activation_of(value))),
            _ => value.clone(),
        };
        let row =
            |&(field, key): &(&'static str, &'static str)| Some((key.to_owned(), value(field, fields.get(field)?)));
        self.0.iter().filter_map(row).collect()
    }
}

fn fields(config: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        _ => unreachable!("settings are a struct of numbers, names and flags"),
    }
}

fn activation_of(value: &Value) -> Activation {
    serde_json::from_value(value.clone()).expect("the field holds an activation")
}
