//! The space of settings that a search explores.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::SearchError;

/// Most choices of a parameter.
const MOST_CHOICES: usize = 1000;
/// Greatest whole number, which doubles hold exactly.
const MOST: i64 = 1 << 53;

/// The settings that are searched, by their keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
}

/// A setting that is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Dotted key of the setting.
    pub key: String,
    /// The values it can have.
    pub domain: Domain,
}

/// Values of a setting. A trial's value is a number, as in Optuna's files: for a choice its place in the list, from 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Domain {
    /// Numbers from `low` to `high`, all equally likely.
    Uniform {
        /// Least number.
        low: f64,
        /// Greatest number.
        high: f64,
    },
    /// Positive numbers from `low` to `high`, whose logarithms are equally likely.
    LogUniform {
        /// Least number.
        low: f64,
        /// Greatest number.
        high: f64,
    },
    /// Whole numbers `low`, `low + step`, … up to `high`.
    Integer {
        /// Least number.
        low: i64,
        /// Greatest number.
        high: i64,
        /// Distance of two numbers.
        #[serde(default = "one")]
        step: u64,
    },
    /// One of these numbers, texts or booleans; an empty text makes a setting absent that is no text.
    Choice {
        /// The values.
        values: Vec<Value>,
    },
}

fn one() -> u64 {
    1
}

impl Space {
    /// Reads the table `space`: tables below tables lead to the dotted keys, and a table with a text `kind` is a parameter.
    ///
    /// # Errors
    /// [`SearchError::NotAParameter`], [`SearchError::Range`] or [`SearchError::EmptySpace`].
    pub fn new(table: &BTreeMap<String, Value>) -> Result<Self, SearchError> {
        let mut parameters = Vec::new();
        table.iter().try_for_each(|(name, value)| collect(name, value, &mut parameters))?;
        parameters.sort_by(|a, b| a.key.cmp(&b.key));
        let twice = parameters.windows(2).find(|pair| pair[0].key == pair[1].key);
        if let Some([parameter, _]) = twice {
            let problem = "it stands there twice".to_owned();
            return Err(SearchError::NotAParameter { key: parameter.key.clone(), problem });
        }
        if parameters.is_empty() { Err(SearchError::EmptySpace) } else { Ok(Self { parameters }) }
    }

    /// The parameters, sorted by key.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The settings of a trial as tables within tables, for a settings file.
    ///
    /// # Panics
    /// If `values` has another number of values than there are parameters.
    #[must_use]
    pub fn settings(&self, values: &[f64]) -> Value {
        assert_eq!(values.len(), self.parameters.len(), "a value for each parameter");
        let mut settings = Value::Object(Map::new());
        for (parameter, &value) in self.parameters.iter().zip(values) {
            let mut node = &mut settings;
            for part in parameter.key.split('.') {
                if !node.is_object() {
                    *node = Value::Object(Map::new());
                }
                node = &mut node[part];
            }
            *node = parameter.domain.setting(value);
        }
        settings
    }

    /// The settings of a trial, each as `key=value` with a value of TOML.
    #[must_use]
    pub fn sets(&self, values: &[f64]) -> Vec<String> {
        let pairs = self.parameters.iter().zip(values);
        pairs.map(|(parameter, &value)| format!("{}={}", parameter.key, parameter.domain.toml(value))).collect()
    }
}

/// Adds the parameters in `value`, which stands at `key`.
fn collect(key: &str, value: &Value, found: &mut Vec<Parameter>) -> Result<(), SearchError> {
    let refused = |problem: String| SearchError::NotAParameter { key: key.to_owned(), problem };
    let Value::Object(table) = value else { return Err(refused(format!("found {value}"))) };
    if !table.get("kind").is_some_and(Value::is_string) {
        if table.is_empty() {
            return Err(refused("its table is empty".to_owned()));
        }
        return table.iter().try_for_each(|(name, value)| collect(&format!("{key}.{name}"), value, found));
    }
    if key.split('.').any(|part| part.trim().is_empty() || part.contains('=')) {
        return Err(refused("a key is made of names between dots".to_owned()));
    }
    let domain: Domain = serde_json::from_value(value.clone()).map_err(|error| refused(error.to_string()))?;
    domain.check(key)?;
    found.push(Parameter { key: key.to_owned(), domain });
    Ok(())
}

impl Domain {
    fn check(&self, key: &str) -> Result<(), SearchError> {
        let refused =
            |field, found: String, expected| SearchError::Range { key: key.to_owned(), field, found, expected };
        match self {
            Self::LogUniform { low, .. } if low.is_nan() || *low <= 0.0 => {
                Err(refused("low", low.to_string(), "a positive number: the values are spread by their logarithms"))
            }
            Self::Uniform { low, high } | Self::LogUniform { low, high }
                if low.is_nan() || high.is_nan() || low >= high =>
            {
                Err(refused("high", high.to_string(), "more than `low`"))
            }
            Self::Uniform { low, high } if !(high - low).is_finite() => {
                Err(refused("high", high.to_string(), "a finite distance from `low`"))
            }
            Self::Uniform { .. } | Self::LogUniform { .. } => Ok(()),
            Self::Integer { low, high, .. } if low > high => Err(refused("high", high.to_string(), "at least `low`")),
            Self::Integer { low, .. } if *low < -MOST => Err(refused("low", low.to_string(), "at least -2^53")),
            Self::Integer { high, .. } if *high > MOST => Err(refused("high", high.to_string(), "at most 2^53")),
            Self::Integer { step: 0, .. } => Err(refused("step", "0".to_owned(), "at least 1")),
            Self::Integer { .. } => Ok(()),
            Self::Choice { values } if values.is_empty() || values.len() > MOST_CHOICES => {
                Err(refused("values", format!("a list of {}", values.len()), "a list of 1 to 1000 values"))
            }
            Self::Choice { values } => {
                let is_odd = |(place, value): &(usize, &Value)| {
                    value.is_object() || value.is_array() || value.is_null() || values[..*place].contains(value)
                };
                match values.iter().enumerate().find(is_odd) {
                    Some((_, odd)) => {
                        Err(refused("values", format!("a list with {odd}"), "different numbers, texts or booleans"))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// Number of values, if there are only so many.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Uniform { .. } | Self::LogUniform { .. } => None,
            Self::Integer { low, high, step } => Some(high.abs_diff(*low) / step + 1),
            Self::Choice { values } => Some(values.len() as u64),
        }
    }

    /// The value at `place`, from 0, of those that can be counted.
    pub(crate) fn nth(&self, place: u64) -> f64 {
        match self {
            Self::Integer { low, step, .. } => *low as f64 + (place * step) as f64,
            _ => place as f64,
        }
    }

    /// Whether a trial can have this value.
    pub(crate) fn contains(&self, value: f64) -> bool {
        match self {
            Self::Uniform { low, high } | Self::LogUniform { low, high } => (*low..=*high).contains(&value),
            Self::Integer { low, step, .. } => {
                let place = (value - *low as f64) / *step as f64;
                place >= 0.0 && place.fract() == 0.0 && self.len().is_some_and(|len| place < len as f64)
            }
            Self::Choice { values } => value.fract() == 0.0 && (0.0..values.len() as f64).contains(&value),
        }
    }

    /// The setting with this value of a trial.
    #[must_use]
    pub fn setting(&self, value: f64) -> Value {
        match self {
            Self::Uniform { .. } | Self::LogUniform { .. } => json!(value),
            Self::Integer { .. } => json!(value as i64),
            Self::Choice { values } => values[value as usize].clone(),
        }
    }

    /// The setting as people read it: texts without quotes.
    #[must_use]
    pub fn shown(&self, value: f64) -> String {
        match (self, self.setting(value)) {
            (Self::Uniform { .. } | Self::LogUniform { .. }, _) => {
                let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
                if (1e-3..1e6).contains(&rounded.abs()) || rounded == 0.0 {
                    format!("{rounded}")
                } else {
                    format!("{rounded:e}")
                }
            }
            (_, Value::String(text)) => text,
            (_, other) => other.to_string(),
        }
    }

    /// The setting as TOML; nothing for an empty text, which makes a setting absent.
    fn toml(&self, value: f64) -> String {
        match self.setting(value) {
            Value::String(text) if text.is_empty() => text,
            Value::Number(number) if number.is_f64() => format!("{:?}", number.as_f64().unwrap_or(value)),
            // The escapes of JSON are those of TOML.
            other => other.to_string(),
        }
    }

    /// The distribution as Optuna writes it, which is JSON within JSON.
    pub(crate) fn distribution(&self) -> String {
        let float = |low: &f64, high: &f64, log: bool| json!({"name": "FloatDistribution", "attributes": {"step": null, "low": low, "high": high, "log": log}});
        let distribution = match self {
            Self::Uniform { low, high } => float(low, high, false),
            Self::LogUniform { low, high } => float(low, high, true),
            Self::Integer { low, step, .. } => {
                let high = low + ((self.len().unwrap_or(1) - 1) * step) as i64;
                json!({"name": "IntDistribution", "attributes": {"log": false, "step": step, "low": low, "high": high}})
            }
            Self::Choice { values } => json!({"name": "CategoricalDistribution", "attributes": {"choices": values}}),
        };
        distribution.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(table: Value) -> Result<Space, String> {
        let Value::Object(table) = table else { panic!("a table") };
        Space::new(&table.into_iter().collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_found_in_tables_and_with_dots() {
        let found = space(json!({
            "train": {"optimizer": {"learning_rate": {"kind": "log-uniform", "low": 1e-5, "high": 1e-3},
                                    "kind": {"kind": "choice", "values": ["adamw", "lamb"]}}},
            "model.n_layers": {"kind": "integer", "low": 2, "high": 9, "step": 2},
            "dropout": {"kind": "choice", "values": [0.0, 1, "", true]},
        }))
        .unwrap();
        let keys: Vec<_> = found.parameters().iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["dropout", "model.n_layers", "train.optimizer.kind", "train.optimizer.learning_rate"]);
        assert_eq!(
            found.sets(&[0.0, 8.0, 1.0, 2.5e-5]),
            [
                "dropout=0.0",
                "model.n_layers=8",
                "train.optimizer.kind=\"lamb\"",
                "train.optimizer.learning_rate=2.5e-5"
            ]
        );
        assert_eq!(found.sets(&[2.0, 8.0, 1.0, 2.5e-5])[0], "dropout=");
        assert_eq!(
            found.settings(&[1.0, 2.0, 0.0, 1e-3]),
            json!({"dropout": 1, "model": {"n_layers": 2}, "train": {"optimizer": {"kind": "adamw", "learning_rate": 1e-3}}})
        );
    }

    #[test]
    fn what_cannot_be_searched_is_named() {
        for (table, expected) in [
            (json!({}), "`space` has no parameter"),
            (json!({"a": 1}), "`space.a` is no parameter: found 1"),
            (json!({"a": {}}), "`space.a` is no parameter: its table is empty"),
            (json!({"a": {"kind": "normal"}}), "unknown variant `normal`"),
            (json!({"a": {"kind": "uniform", "low": 0.0}}), "missing field `high`"),
            (json!({"a": {"kind": "uniform", "low": 0.0, "high": 1.0, "step": 1}}), "unknown field `step`"),
            (json!({"a": {"kind": "uniform", "low": 1.0, "high": 1.0}}), "`high` is 1, expected more than `low`"),
            (json!({"a": {"kind": "uniform", "low": -1e308, "high": 1e308}}), "expected a finite distance from `low`"),
            (json!({"a": {"kind": "log-uniform", "low": 0.0, "high": 1.0}}), "`low` is 0, expected a positive number"),
            (json!({"a": {"kind": "integer", "low": 3, "high": 2}}), "`high` is 2, expected at least `low`"),
            (json!({"a": {"kind": "integer", "low": 3, "high": 4, "step": 0}}), "`step` is 0"),
            (json!({"a": {"kind": "integer", "low": i64::MIN, "high": i64::MAX}}), "expected at least -2^53"),
            (json!({"a": {"kind": "choice", "values": []}}), "a list of 0"),
            (json!({"a": {"kind": "choice", "values": [1, 1]}}), "a list with 1, expected different"),
            (json!({"a": {"kind": "choice", "values": [[1]]}}), "a list with [1]"),
            (json!({"a.": {"kind": "choice", "values": [1]}}), "names between dots"),
            (
                json!({"a.b": {"kind": "choice", "values": [1]}, "a": {"b": {"kind": "choice", "values": [1]}}}),
                "`space.a.b` is no parameter: it stands there twice",
            ),
        ] {
            let error = space(table.clone()).unwrap_err();
            assert!(error.contains(expected), "{table}: {error}");
        }
    }

    #[test]
    fn distributions_are_those_of_optuna() {
        let check = |domain: Domain, expected: &str| {
            let found: Value = serde_json::from_str(&domain.distribution()).unwrap();
            assert_eq!(found, serde_json::from_str::<Value>(expected).unwrap());
        };
        check(
            Domain::LogUniform { low: 1e-5, high: 1e-3 },
            r#"{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.001, "log": true}}"#,
        );
        check(
            Domain::Integer { low: 2, high: 9, step: 2 },
            r#"{"name": "IntDistribution", "attributes": {"log": false, "step": 2, "low": 2, "high": 8}}"#,
        );
        check(
            Domain::Choice { values: vec![json!(16), json!(32)] },
            r#"{"name": "CategoricalDistribution", "attributes": {"choices": [16, 32]}}"#,
        );
    }
}
