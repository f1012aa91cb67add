//! The names of the files in a model folder.

use burnformer_core::adapter::is_adapter;
use std::path::{Path, PathBuf};

/// Settings of the model.
pub(crate) const CONFIG: &str = "config.json";
/// Settings of the model that an adapter makes of its base, with its labels. transformers takes a folder with an adapter and a
/// [`CONFIG`] for a whole model, so they have another name.
const ADAPTED_CONFIG: &str = "model_config.json";
/// Settings of generation.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";
/// Weights, as this crate writes them.
pub const WEIGHTS: &str = "model.safetensors";
/// Weights with matrices of integers, as this crate exports them. Programs that do not know the scales find no weights, rather than
/// taking the integers for weights.
pub(crate) const INT8_WEIGHTS: &str = "model.int8.safetensors";
/// Weights, as this crate reads them, in order of preference.
pub(crate) const WEIGHTS_FILES: [&str; 5] =
    [WEIGHTS, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json", INT8_WEIGHTS];

/// The file of a model's settings in `folder`, to which its weights or its adapter have been written.
pub(crate) fn config_file(folder: &Path) -> PathBuf {
    folder.join(if is_adapter(folder) { ADAPTED_CONFIG } else { CONFIG })
}
