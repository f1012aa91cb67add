//! Export of a model folder: Hugging Face's current weight names, in a chosen type.

use crate::folder::{CONFIG, INT8_WEIGHTS, WEIGHTS};
use crate::hf::{ConfigJson, pretty};
use crate::registry::{self, AnyModel};
use crate::weights::{self, WeightType, Weights};
use crate::{ModelError, ModelSize};
use burn::tensor::Device;
use burnformer_core::{FileError, atomic_write_bytes};
use serde_json::Value;
use std::path::Path;

/// Loads the model in `folder` and saves it into the existing folder `out`, with weights of `weight_type`. Whatever
/// names and files the source has, transformers loads `out` by the class in `architectures`; with [`WeightType::Int8`] this
/// crate alone does, and others find no `model.safetensors`. Returns the sizes of the model.
///
/// # Errors
/// If the folder holds no model of a class that is implemented here, Hugging Face has no class for it, a weight is
/// beyond the range of the type, or something cannot be written.
pub fn export(folder: &Path, out: &Path, weight_type: WeightType, device: &Device) -> Result<ModelSize, ModelError> {
    write(&registry::open(folder, device)?, folder, out, weight_type)
}

/// [`export`] of the body without its head, with the pooler if the body has one.
///
/// # Errors
/// As [`export`], or if no class exists for the body of this architecture.
pub fn export_body(
    folder: &Path,
    out: &Path,
    weight_type: WeightType,
    device: &Device,
) -> Result<ModelSize, ModelError> {
    write(&registry::open_body(folder, device)?, folder, out, weight_type)
}

fn write(model: &AnyModel, folder: &Path, out: &Path, weight_type: WeightType) -> Result<ModelSize, ModelError> {
    model.check_hugging_face().map_err(|source| ModelError::NoClass { folder: folder.to_owned(), source })?;
    model.save(out)?;
    convert(out, weight_type)?;
    Ok(model.size())
}

/// Converts the weights in `folder`, and records the type in its `config.json`.
fn convert(folder: &Path, weight_type: WeightType) -> Result<(), ModelError> {
    if weight_type == WeightType::F32 {
        return Ok(());
    }
    let path = folder.join(WEIGHTS);
    if weight_type == WeightType::Int8 {
        weights::write_as(&mut Weights::open(&path)?, weight_type, &folder.join(INT8_WEIGHTS))?;
        return std::fs::remove_file(&path).map_err(|source| FileError::Io { attempt: "remove", path, source }.into());
    }
    weights::write_as(&mut Weights::open(&path)?, weight_type, &path)?;
    let mut config = ConfigJson::read(folder)?.settings;
    // Before its fifth version transformers looked for the second name.
    for key in ["dtype", "torch_dtype"] {
        config.insert(key.to_owned(), Value::from(weight_type.float().pytorch_name()));
    }
    Ok(atomic_write_bytes(&folder.join(CONFIG), pretty(&config))?)
}
