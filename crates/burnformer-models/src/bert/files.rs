//! Saving and loading the files of a BERT model.

use super::BertConfig;
use super::hugging_face::ConfigFile;
use super::names::{hugging_face_name, is_obsolete, other_names};
use crate::folder::{CONFIG, WEIGHTS};
use crate::weights::{self, Weights};
use crate::{ModelError, stats};
use burn::module::Module;
use burnformer_core::atomic_write_bytes;
use std::path::Path;

pub(super) fn save<M: Module>(model: &M, config: &ConfigFile, folder: &Path) -> Result<(), ModelError> {
    weights::save(model, hugging_face_name, Vec::new(), &folder.join(WEIGHTS))?;
    Ok(atomic_write_bytes(&folder.join(CONFIG), config.to_json())?)
}

/// Makes a model and sets all of it from the weights in `folder`, of which none may be left over.
pub(super) fn load<M: Module>(config: &BertConfig, folder: &Path, new: impl FnOnce() -> M) -> Result<M, ModelError> {
    let mut file = open(config, folder)?;
    let names = file.names();
    let name_of = |path: &str| find(&names, path).unwrap_or_else(|| hugging_face_name(path));
    // The second names of what is one weight with another; transformers writes the first ones only.
    let tied = [
        ("cls.predictions.decoder.weight", name_of("bert.embeddings.token.weight")),
        ("cls.predictions.decoder.bias", name_of("mlm.bias")),
    ];
    let ignore = |name: &str| is_obsolete(name) || tied.iter().any(|(second, _)| *second == name);
    let model = file.fill(new(), |path| Some(name_of(path)), ignore)?;
    tied.iter().try_for_each(|(second, first)| file.expect_tied(second, first))?;
    Ok(model)
}

/// Makes a model and sets its body, and its pooler if both have one, from the weights in `folder`; the other heads' are left
/// over. Also returns the paths that were not set.
pub(super) fn load_body<M: Module>(
    config: &BertConfig,
    folder: &Path,
    new: impl FnOnce() -> M,
) -> Result<(M, Vec<String>), ModelError> {
    let mut file = open(config, folder)?;
    let names = file.names();
    let model = new();
    let has_pooler = find(&names, "pooler.dense.weight").is_some();
    let takes_pooler = stats::parameters(&model).iter().any(|(path, _)| path.starts_with("pooler."));
    let is_set = |path: &str| path.starts_with("bert.") || (has_pooler && path.starts_with("pooler."));
    let name_of = |path: &str| is_set(path).then(|| find(&names, path).unwrap_or_else(|| hugging_face_name(path)));
    // In a file of the body alone, everything is the body's.
    let is_whole = names.iter().any(|name| name.starts_with("bert."));
    let is_head = |name: &str| match name.strip_prefix("bert.") {
        None if is_whole => true,
        rest => !takes_pooler && rest.unwrap_or(name).starts_with("pooler."),
    };
    let model = file.fill(model, name_of, |name| is_obsolete(name) || is_head(name))?;
    let fresh = stats::parameters(&model).into_iter().map(|(path, _)| path).filter(|path| !is_set(path)).collect();
    Ok((model, fresh))
}

fn open(config: &BertConfig, folder: &Path) -> Result<Weights, ModelError> {
    let file = Weights::in_folder(folder)?;
    // Layers that the file cannot fill are not even counted out, so that no number in `config.json` is believed.
    if config.n_layers > file.names().len() {
        let path = format!("bert.encoder.layers.{}.attention.query.weight", config.n_layers - 1);
        return Err(file.missing(&hugging_face_name(&path)));
    }
    Ok(file)
}

/// The name in the file of the parameter at `path`.
fn find(names: &[String], path: &str) -> Option<String> {
    let name = hugging_face_name(path);
    let others = other_names(&name);
    std::iter::once(name).chain(others).find(|name| names.contains(name))
}
