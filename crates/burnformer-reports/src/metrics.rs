//! Named metrics.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Named metrics in the order of the task; in JSON an object. `null` is read as NaN, which JSON lacks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(pub Vec<(String, f64)>);

impl Metrics {
    /// The number with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
    }
}

impl<'a> FromIterator<(&'a str, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (&'a str, f64)>>(metrics: I) -> Self {
        Self(metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered;

        impl<'de> Visitor<'de> for Ordered {
            type Value = Metrics;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
                let mut metrics = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Option<f64>>()? {
                    metrics.push((name, value.unwrap_or(f64::NAN)));
                }
                Ok(Metrics(metrics))
            }
        }

        deserializer.deserialize_map(Ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_an_object_in_their_order() {
        let metrics = Metrics::from_iter([("loss", 0.5), ("accuracy", 1.0)]);
        let json = serde_json::to_string(&metrics).unwrap();
        assert_eq!(json, r#"{"loss":0.5,"accuracy":1.0}"#);
        assert_eq!(serde_json::from_str::<Metrics>(&json).unwrap(), metrics);
        assert_eq!((metrics.get("accuracy"), metrics.get("f1")), (Some(1.0), None));
        let diverged: Metrics = serde_json::from_str(r#"{"loss":null}"#).unwrap();
        assert!(diverged.get("loss").unwrap().is_nan());
    }
}
