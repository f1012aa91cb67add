//! Floats that survive JSON bit for bit: written as the shortest text that reads back as the same number. Numbers, which older
//! versions wrote, are read too.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    format!("{number:?}").serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(f64),
    }
    match Written::deserialize(deserializer)? {
        Written::Text(text) => text.parse().map_err(de::Error::custom),
        Written::Number(number) => Ok(number),
    }
}
