//! The names of the files in a model folder.

/// Settings of the model.
pub(crate) const CONFIG: &str = "config.json";
/// How the model generates.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";
/// Weights of the model, as they are written here.
pub const WEIGHTS: &str = "model.safetensors";
/// Weights of the model, as they are read, the best form first.
pub(crate) const WEIGHTS_FILES: [&str; 4] =
    [WEIGHTS, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];
