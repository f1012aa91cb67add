//! Hugging Face's names of activations.

use super::ConfigJson;
use crate::ModelError;
use burnformer_nn::Activation;
use serde_json::Value;

/// Names of the activations; of several names, the first is written.
const ACTIVATIONS: [(&str, Activation); 8] = [
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("linear", Activation::Identity),
];

/// The activation named at `key`; `None` if the key is absent.
pub(super) fn read(json: &ConfigJson, key: &'static str) -> Result<Option<Activation>, ModelError> {
    let Some(found) = json.get::<String>(key)? else { return Ok(None) };
    match ACTIVATIONS.iter().find(|(name, _)| *name == found) {
        Some((_, activation)) => Ok(Some(*activation)),
        None => {
            let expected = ACTIVATIONS.map(|(name, _)| format!("`{name}`"));
            Err(json.setting(key, Some(&Value::from(found)), expected.join(" or ")))
        }
    }
}

/// The name of an activation.
pub(super) fn name(activation: Activation) -> &'static str {
    ACTIVATIONS.iter().find(|(_, it)| *it == activation).map(|(name, _)| *name).expect("every activation has a name")
}
