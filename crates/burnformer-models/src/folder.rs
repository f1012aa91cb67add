//! The names of the files in a model folder.

/// Settings of the model.
pub(crate) const CONFIG: &str = "config.json";
/// Settings of generation.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";
/// Weights, as this crate writes them.
pub const WEIGHTS: &str = "model.safetensors";
/// Weights, as this crate reads them, in order of preference.
pub(crate) const WEIGHTS_FILES: [&str; 4] =
    [WEIGHTS, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];
