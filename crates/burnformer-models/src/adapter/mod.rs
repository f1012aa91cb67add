//! Adapters of models in the files of peft: `adapter_config.json` and `adapter_model.safetensors`.

mod attach;
mod config;
mod merged;
mod modules;
mod pattern;
mod save;
mod shared;

use crate::ModelError;
use crate::weights::Weights;
use std::path::Path;

pub use attach::Adapter;
pub(crate) use config::unknown_keys;
pub use config::{AdapterBias, AdapterConfig, Targets};
pub(crate) use merged::Merged;
pub(crate) use merged::config as merged_config;
pub(crate) use modules::Modules;
pub(crate) use save::save_attached;
pub use save::with_adapter;
pub use shared::SharedBase;

/// Weights of an adapter.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// Its name in the format of PyTorch, which is only read.
const ADAPTER_WEIGHTS_PYTORCH: &str = "adapter_model.bin";

/// The weights of the adapter in `folder`.
///
/// # Errors
/// If they cannot be read.
fn open_weights(folder: &Path) -> Result<Weights, ModelError> {
    let files = [ADAPTER_WEIGHTS, ADAPTER_WEIGHTS_PYTORCH].map(|file| folder.join(file));
    Weights::open(files.iter().find(|file| file.exists()).unwrap_or(&files[0]))
}

/// What stands before all names in the weights of an adapter.
const PREFIX: &str = "base_model.model.";

/// Path of an adapter's matrices behind that of its weight.
const MATRICES: [&str; 2] = [".lora.a", ".lora.b"];

/// Ends of names in the weights of an adapter, of a linear map and of a table.
const ENDS: [[&str; 2]; 2] = [[".lora_A.weight", ".lora_B.weight"], [".lora_embedding_A", ".lora_embedding_B"]];

/// `true` for what peft repeats under a second name if all biases are trained.
fn is_repeated(name: &str) -> bool {
    [".modules_to_save.", ".original_module."].iter().any(|part| name.contains(part))
}
