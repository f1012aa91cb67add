//! A model folder written anew: with today's names, and in another type if wanted.

use crate::bert::copy_body;
use crate::folder::{CONFIG, ConfigJson, WEIGHTS, pretty};
use crate::weights::{self, WeightType, Weights};
use crate::{
    BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, ModelError, ModelKind, Seq2Seq, Seq2SeqConfig,
};
use burn::tensor::Device;
use burnformer_core::atomic_write_bytes;
use serde_json::Value;
use std::path::Path;

/// Loads the model in `folder`, and saves it into `out`, which exists, with its weights as `weight_type`: so that whatever
/// names and files it had, it is a folder that transformers loads by the class in `architectures`.
///
/// # Errors
/// If the folder holds no model of a kind that is saved here, Hugging Face has no class for it, a weight is beyond the
/// range of the type, or something cannot be written.
pub fn export(folder: &Path, out: &Path, weight_type: WeightType, device: &Device) -> Result<(), ModelError> {
    match ModelKind::of(folder)? {
        ModelKind::PreTraining => {
            let (model, config) = BertForPreTraining::load(folder, device)?;
            model.save(&config, out)
        }
        ModelKind::MaskedLm => {
            let (model, config) = BertForMaskedLM::load(folder, device)?;
            model.save(&config, out)
        }
        ModelKind::SequenceClassification => {
            let (model, config, labels) = BertForSequenceClassification::load(folder, device)?;
            model.save(&config, &labels, out)
        }
        ModelKind::Body => return export_body(folder, out, weight_type, device),
        ModelKind::Seq2Seq => {
            let class = Seq2SeqConfig::load(folder)?.hugging_face_class();
            class.map_err(|source| ModelError::NoClass { folder: folder.to_owned(), source })?;
            let (model, config) = Seq2Seq::load(folder, device)?;
            model.save(&config, out)
        }
        _ => ModelKind::expect(
            &[ModelKind::PreTraining, ModelKind::MaskedLm, ModelKind::SequenceClassification, ModelKind::Body],
            folder,
        ),
    }?;
    convert(out, weight_type)
}

/// [`export`] of the body alone, whatever head the model has; with its pooler, where it has one.
///
/// # Errors
/// As [`export`].
pub fn export_body(folder: &Path, out: &Path, weight_type: WeightType, device: &Device) -> Result<(), ModelError> {
    copy_body(folder, out, device)?;
    convert(out, weight_type)
}

/// Rewrites the weights that lie in `folder`, and says so in its `config.json`.
fn convert(folder: &Path, weight_type: WeightType) -> Result<(), ModelError> {
    if weight_type == WeightType::F32 {
        return Ok(());
    }
    let path = folder.join(WEIGHTS);
    weights::write_as(&mut Weights::open(&path)?, weight_type, &path)?;
    let mut config = ConfigJson::read(folder)?.settings;
    // Before its fifth version transformers looked for the second name.
    for key in ["dtype", "torch_dtype"] {
        config.insert(key.to_owned(), Value::from(weight_type.pytorch_name()));
    }
    Ok(atomic_write_bytes(&folder.join(CONFIG), pretty(&config))?)
}
