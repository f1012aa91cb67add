//! Saving and loading the weights of a BERT model.

use super::BertConfig;
use crate::class::is_of_head;
use crate::folder::{WEIGHTS, config_file};
use crate::hf::pretty;
use crate::weights::{self, Weights, is_former_buffer};
use crate::{Loaded, ModelError, stats};
use burn::module::Module;
use burn::tensor::TensorData;
use burnformer_core::atomic_write_bytes;
use burnformer_nn::init;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Writes the weights, `extra` ones behind them, and the content of `config.json`.
pub(crate) fn save<M: Module>(
    model: &M,
    extra: Vec<(String, TensorData)>,
    config: &BertConfig,
    json: &impl Serialize,
    folder: &Path,
) -> Result<(), ModelError> {
    let names = config.variant.details().names;
    weights::save(model, |path| names.place(path), extra, &folder.join(WEIGHTS))?;
    Ok(atomic_write_bytes(&config_file(folder), pretty(json))?)
}

/// Allocates a model and loads all of its weights from `folder`. No weight of the file may be left over except pooler
/// and next-sentence head.
pub(crate) fn load<M: Module>(config: &BertConfig, folder: &Path, new: impl FnOnce() -> M) -> Result<M, ModelError> {
    let mut file = open(config, folder)?;
    let names = Names::new(config, &file);
    let variant = config.variant;
    let name_of = |path: &str| names.find(path).unwrap_or_else(|| variant.weight_name(path));
    let tied = names.tied();
    let has_extra_bias = !config.tied_embeddings;
    let ignore = |name: &str| {
        is_former_buffer(name)
            || tied.iter().any(|(second, _)| second == name)
            || (has_extra_bias && name == variant.weight_name("mlm.bias"))
            || name.starts_with("cls.seq_relationship.")
            || name.strip_prefix(&variant.body_prefix()).unwrap_or(name).starts_with("pooler.")
    };
    let model = file.fill(new(), |path| Some(name_of(path)), ignore)?;
    tied.iter().try_for_each(|(second, first)| file.expect_tied(second, first))?;
    Ok(model)
}

/// Allocates a model and loads its body, its pooler if both have one, and those of its `heads` that the file has; weights of
/// other heads are left over. A head is the beginning of the paths of its parameters.
pub(crate) fn load_body<M: Module>(
    config: &BertConfig,
    folder: &Path,
    heads: &[&str],
    new: impl FnOnce() -> M,
) -> Result<Loaded<M>, ModelError> {
    let mut file = open(config, folder)?;
    let names = Names::new(config, &file);
    let (variant, prefix) = (config.variant, config.variant.body_prefix());
    let model = new();
    let paths: Vec<String> = stats::parameters(&model).into_iter().map(|(path, _)| path).collect();
    // The pooler where it is the body's, not the classifier's.
    let pooler = variant.weight_name("pooler.").starts_with(&prefix).then_some("pooler.");
    let has = |head: &str| paths.iter().any(|path| path.starts_with(head) && names.find(path).is_some());
    let heads: Vec<&str> = heads.iter().copied().chain(pooler).filter(|head| has(head)).collect();
    let is_set = |path: &str| {
        path.starts_with("bert.") || path.starts_with("body_pooler.") || heads.iter().any(|head| path.starts_with(head))
    };
    let name_of = |path: &str| is_set(path).then(|| names.find(path).unwrap_or_else(|| variant.weight_name(path)));
    let taken: BTreeSet<String> = paths.iter().filter_map(|path| name_of(path)).collect();
    // In a file of the body alone, everything but a pooler that is not wanted is the body's. A head may stand beside it
    // where a wrapper has a body and a head.
    let is_whole = names.found.iter().any(|name| name.starts_with(&prefix));
    let may_be_left = |name: &str| match name.strip_prefix(&prefix) {
        None if is_whole => true,
        rest => rest.unwrap_or(name).starts_with("pooler.") || is_of_head(name),
    };
    let model = file.fill(model, name_of, |name| is_former_buffer(name) || may_be_left(name))?;
    let tied = if heads.contains(&"mlm.") { names.tied() } else { Vec::new() };
    tied.iter().try_for_each(|(second, first)| file.expect_tied(second, first))?;
    let is_second = |name: &str| tied.iter().any(|(second, _)| second == name);
    let is_left = |name: &String| !is_former_buffer(name) && !is_second(name) && !taken.contains(name);
    let left_over = file.names().into_iter().filter(is_left).collect();
    let fresh = paths.into_iter().filter(|path| !is_set(path)).collect();
    Ok(Loaded { model, fresh, left_over })
}

/// [`load_body`], with initial weights from `seed` where the folder has none.
pub(crate) fn load_with_fresh_head<M: Module>(
    config: &BertConfig,
    folder: &Path,
    seed: u64,
    heads: &[&str],
    new: impl FnOnce() -> M,
) -> Result<Loaded<M>, ModelError> {
    let Loaded { model, fresh, left_over } = load_body(config, folder, heads, new)?;
    let rule = init::truncated_normal(config.init_std);
    let rule = |path: &str, shape: &[usize]| match fresh.iter().any(|fresh| fresh == path) {
        true => rule(path, shape),
        false => init::Init::Keep,
    };
    Ok(Loaded { model: init::by_name(model, seed, rule), fresh, left_over })
}

const TOKEN: &str = "bert.embeddings.token.weight";

/// `true` if the body in `folder` has a pooler of its own.
pub(crate) fn has_pooler(config: &BertConfig, folder: &Path) -> Result<bool, ModelError> {
    let file = open(config, folder)?;
    Ok(Names::new(config, &file).find("body_pooler.dense.weight").is_some())
}

fn open(config: &BertConfig, folder: &Path) -> Result<Weights, ModelError> {
    let file = Weights::in_folder(folder)?;
    // Layers that the file cannot fill are not even counted out, so that no number in `config.json` is believed.
    if config.n_layers > file.names().len() {
        let path = format!("bert.encoder.layers.{}.attention.query.weight", config.n_layers - 1);
        return Err(file.missing(&config.variant.weight_name(&path)));
    }
    Ok(file)
}

/// Names as they are in one file.
struct Names<'a> {
    config: &'a BertConfig,
    found: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn new(config: &'a BertConfig, file: &Weights) -> Self {
        Self { config, found: file.names().into_iter().collect() }
    }

    /// The second names of what is one weight with another, and the first ones, which are all that transformers writes.
    fn tied(&self) -> Vec<(String, String)> {
        if !self.config.tied_embeddings {
            return Vec::new();
        }
        let variant = self.config.variant;
        let name_of = |path: &str| self.find(path).unwrap_or_else(|| variant.weight_name(path));
        let table = (variant.weight_name("mlm.decoder.weight"), name_of(TOKEN));
        let bias = variant.decoder_bias().map(|second| (second, name_of("mlm.bias")));
        [table].into_iter().chain(bias).collect()
    }

    /// The name in the file of the parameter at `path`.
    fn find(&self, path: &str) -> Option<String> {
        let variant = self.config.variant;
        let name = variant.weight_name(path);
        // The bias of an output layer of its own is what is added; its first name is then a mere leftover.
        let first = variant.decoder_bias().filter(|_| path == "mlm.bias" && !self.config.tied_embeddings);
        let others = variant.other_names(&name);
        first.into_iter().chain([name]).chain(others).find(|name| self.found.contains(name.as_str()))
    }
}
