//! Writing the adapter of a model, in place of the model.

use super::attach::Plan;
use super::{ADAPTER_WEIGHTS, AdapterConfig};
use crate::hf::pretty;
use crate::weights::{Place, save_some};
use crate::{ModelError, stats};
use burn::module::Module;
use burnformer_core::adapter::ADAPTER_CONFIG;
use burnformer_core::atomic_write_bytes;
use std::cell::RefCell;
use std::path::Path;

thread_local! {
    static ADAPTER: RefCell<Option<AdapterConfig>> = const { RefCell::new(None) };
}

/// Calls `body`, in which models on this thread that have an adapter are saved as this adapter: in place of their weights
/// `adapter_config.json` and `adapter_model.safetensors` are written, which peft reads. Outside of it a model with an adapter
/// cannot be saved, unless burn's `Module::materialize` has made it part of the weights.
///
/// `config` are the settings by which the adapter was attached.
pub fn with_adapter<R>(config: &AdapterConfig, body: impl FnOnce() -> R) -> R {
    /// Restores the former choice when dropped, also during a panic.
    struct Restore(Option<AdapterConfig>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ADAPTER.set(self.0.take());
        }
    }
    let _before = Restore(ADAPTER.replace(Some(config.clone())));
    body()
}

/// Writes the adapter of `module` into `folder`, if it has one; `false` if it has none.
///
/// # Errors
/// [`ModelError::UnmergedAdapter`] outside of [`with_adapter`], or if the files cannot be written.
pub(crate) fn save_attached<M: Module>(
    module: &M,
    place: impl Fn(&str) -> Place,
    folder: &Path,
) -> Result<bool, ModelError> {
    if !stats::parameters(module).iter().any(|(path, _)| path.ends_with(".lora.a")) {
        return Ok(false);
    }
    let Some(config) = ADAPTER.with_borrow(Clone::clone) else { return Err(ModelError::UnmergedAdapter) };
    let plan = Plan::of(module, place, &config)?;
    if plan.is_shared() {
        return Err(ModelError::UnmergedAdapter);
    }
    save_some(module, |path| plan.place(path), Vec::new(), &folder.join(ADAPTER_WEIGHTS))?;
    atomic_write_bytes(&folder.join(ADAPTER_CONFIG), pretty(&config.to_json()))?;
    Ok(true)
}
