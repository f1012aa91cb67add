//! Choices of the library as values of flags, under the names that they have in settings files.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Parses one of `choices`: pairs of a name that serde knows for a `T`, and its help text.
pub(super) fn names<T, const N: usize>(choices: [(&'static str, &'static str); N]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let values = choices.map(|(name, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(values).try_map(|name| serde_json::from_value(Value::String(name)))
}
