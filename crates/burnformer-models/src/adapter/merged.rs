//! The weights of a base model with those of an adapter, read as one model.

use super::attach::Plan;
use super::{ADAPTER_WEIGHTS, AdapterConfig, ENDS, MATRICES, Modules, PREFIX, is_repeated, open_weights};
use crate::class::is_of_head;
use crate::folder::{CONFIG, config_file};
use crate::hf::ConfigJson;
use crate::weights::{Place, Weights};
use crate::{Architecture, Head, ModelClass, ModelError};
use burn::module::Module;
use burn::tensor::TensorData;
use burnformer_core::adapter::{ADAPTER_CONFIG, adapter_base, is_adapter};
use burnformer_nn::{Lora, LoraConfig, LoraKind};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Ends of the names of classifiers, whose rows are the classes.
const CLASSIFIERS: [&str; 3] = ["classifier.weight", "classifier.out_proj.weight", "score.weight"];

/// Ends of the names of tables of tokens.
const TOKENS: [&str; 4] = ["word_embeddings.weight", "wte.weight", "shared.weight", "embed_tokens.weight"];

/// End of the name of a bias that is trained with an adapter.
const BASE_BIAS: &str = ".base_layer.bias";

/// What an adapter makes of the weights of its base.
#[derive(Debug)]
pub(crate) struct Merged {
    file: Box<Weights>,
    /// What is added, by the name of the base's weight.
    deltas: BTreeMap<String, Delta>,
    /// Names in the file of weights that take the place of the base's, or stand beside them.
    replaced: BTreeMap<String, String>,
    /// Names of heads of the base that the model does not have.
    hidden: BTreeSet<String>,
    /// `true` if the base's weights stay as they are, and the model gets adapters.
    is_apart: bool,
    config: AdapterConfig,
}

/// A product of two matrices.
#[derive(Debug)]
struct Delta {
    /// Names of both in the file.
    names: [String; 2],
    config: LoraConfig,
    /// `true` if the weight is stored as `[d_in, d_out]`.
    transposed: bool,
}

impl Merged {
    /// Opens the adapter in `folder`, which belongs to a model with the weights `base`.
    ///
    /// # Errors
    /// If its files cannot be read, or do not belong to such a model.
    pub(crate) fn open(folder: &Path, base_folder: &Path, base: &Weights) -> Result<Self, ModelError> {
        let config = AdapterConfig::read(folder)?;
        let modules = Modules::new(&config)?;
        let file = open_weights(folder)?;
        let names = base.names();
        let is_conv1d = Architecture::of(base_folder)? == Architecture::Gpt2;
        let (mut deltas, mut replaced, mut left_over) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for stored in file.names().into_iter().filter(|name| !is_repeated(name)) {
            let Some(name) = stored.strip_prefix(PREFIX) else {
                left_over.push(stored);
                continue;
            };
            let of_pair = ENDS.iter().flatten().find_map(|end| Some((*end, name.strip_suffix(end)?)));
            let Some((end, module)) = of_pair else {
                let name = match name.strip_suffix(BASE_BIAS) {
                    Some(module) => format!("{module}.bias"),
                    None => name.to_owned(),
                };
                replaced.insert(in_base(&names, &name).cloned().unwrap_or(name), stored);
                continue;
            };
            let is_table = end.starts_with(".lora_embedding");
            let [a, b] = ENDS[usize::from(is_table)].map(|end| format!("{PREFIX}{module}{end}"));
            let Some(weight) = in_base(&names, &format!("{module}.weight")) else {
                left_over.push(stored);
                continue;
            };
            let shape = base.shape(weight).unwrap_or_default();
            // A table is stored as the transposed of what the product is.
            let transposed = is_table || is_conv1d;
            let &[n_rows, n_columns] = shape else {
                left_over.push(stored);
                continue;
            };
            let [d_out, d_in] = if transposed { [n_columns, n_rows] } else { [n_rows, n_columns] };
            // peft has adapters where the settings say it, and nowhere else.
            let is_linear = !is_table && !CLASSIFIERS.iter().any(|end| weight.ends_with(end));
            if !modules.is_target(module, is_linear) {
                left_over.push(stored);
                continue;
            }
            let rank = modules.rank(module);
            for (name, expected) in [(&a, [rank, d_in]), (&b, [d_out, rank])] {
                match file.shape(name) {
                    None => return Err(file.missing(name)),
                    Some(found) if found != expected => {
                        return Err(file.wrong_shape(name, found.to_vec(), expected.to_vec()));
                    }
                    Some(_) => {}
                }
            }
            let kind = if is_table { LoraKind::Embedding } else { LoraKind::Linear };
            let lora = LoraConfig { kind, rank, scale: modules.scale(module), dropout: 0.0 };
            let delta = Delta { names: [a, b], config: lora, transposed };
            deltas.insert(weight.clone(), delta);
        }
        if !left_over.is_empty() {
            return Err(ModelError::WeightNames { path: folder.join(ADAPTER_WEIGHTS), missing: Vec::new(), left_over });
        }
        let head = ModelClass::of(folder)?.head();
        let is_tied = matches!(head, Head::CausalLm | Head::MaskedLm | Head::PreTraining | Head::Seq2Seq);
        let is_token_table = |name: &&String| TOKENS.iter().any(|end| name.ends_with(end));
        if let Some(name) = deltas.keys().find(is_token_table).filter(|_| is_tied) {
            let json = ConfigJson::read_file(folder.join(ADAPTER_CONFIG))?;
            let expected = "no table of tokens, which is the output layer of a language model too".to_owned();
            return Err(json.setting("target_modules", Some(&json!(name)), expected));
        }
        let has_head = head == ModelClass::of(base_folder)?.head();
        let is_hidden = |name: &&String| !has_head && is_of_head(name) && !replaced.contains_key(*name);
        let hidden = names.iter().filter(is_hidden).cloned().collect();
        drop(modules);
        Ok(Self { file: Box::new(file), deltas, replaced, hidden, is_apart: false, config })
    }

    /// The names of all weights; `base` are those of the base.
    pub(crate) fn names(&self, base: Vec<String>) -> Vec<String> {
        let known: BTreeSet<&String> = base.iter().collect();
        let new: Vec<String> = self.replaced.keys().filter(|name| !known.contains(name)).cloned().collect();
        base.into_iter().filter(|name| !self.hidden.contains(name)).chain(new).collect()
    }

    /// `true` if the base's weight `name` is not the model's.
    pub(crate) fn hides(&self, name: &str) -> bool {
        self.hidden.contains(name)
    }

    /// The adapter's file and the name in it, if it has the weight `name` as a whole.
    pub(crate) fn whole(&self, name: &str) -> Option<(&Weights, &str)> {
        self.replaced.get(name).map(|stored| (&*self.file, stored.as_str()))
    }

    /// The adapter's weight `name`, if it has it as a whole.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read_whole(&mut self, name: &str) -> Option<Result<TensorData, ModelError>> {
        let stored = self.replaced.get(name)?.clone();
        Some(self.file.read(&stored))
    }

    /// Leaves the base's weights as they are, for [`Self::attach`].
    pub(crate) fn keep_apart(&mut self) {
        self.is_apart = true;
    }

    /// Refuses an adapter that lacks the matrices of a module of `model`, whose weights are at the places of `place_of`.
    ///
    /// # Errors
    /// [`ModelError::WeightNames`] with the names of the first matrices that are not there.
    pub(crate) fn check_complete<M: Module>(
        &self,
        model: &M,
        place_of: &dyn Fn(&str) -> Option<Place>,
    ) -> Result<(), ModelError> {
        let elsewhere = |path: &str| Place { name: path.to_owned(), part: None, transposed: false };
        let place = |path: &str| place_of(path).unwrap_or_else(|| elsewhere(path));
        // Without any target there is nothing to miss: it may be a part of a model.
        let Ok(plan) = Plan::of(model, place, &self.config) else { return Ok(()) };
        let lacks = |(path, module): (&str, &str)| {
            let weight = place_of(path)?.name;
            // Models of some heads have no pooler, which their base has.
            let is_missing = !module.contains("pooler.") && !self.deltas.contains_key(&weight);
            is_missing.then(|| format!("{PREFIX}{module}{}", ENDS[0][0]))
        };
        let missing: Vec<String> = plan.modules().filter_map(lacks).collect();
        if missing.is_empty() { Ok(()) } else { Err(self.file.lacks(missing)) }
    }

    /// `module`, whose weights of the base are at the places of `place_of`, with the adapters that are kept apart.
    ///
    /// # Errors
    /// If their weights cannot be read.
    pub(crate) fn attach<M: Module>(
        &mut self,
        module: M,
        place_of: &dyn Fn(&str) -> Option<Place>,
    ) -> Result<M, ModelError> {
        if !self.is_apart {
            return Ok(module);
        }
        let deltas = &self.deltas;
        let of = |path: &str| place_of(path).and_then(|place| Some((deltas.get(&place.name)?, place)));
        let module = Lora::attach(module, |path| of(path).map(|(delta, _)| delta.config));
        let place_of = |path: &str| {
            let (number, weight) =
                MATRICES.iter().enumerate().find_map(|(n, end)| Some((n, path.strip_suffix(end)?)))?;
            let (delta, place) = of(weight)?;
            // Maps that are one in the file share the first matrix, and each has its part of the second one.
            let part = place.part.filter(|_| number == 1);
            Some(Place { name: delta.names[number].clone(), part, transposed: false })
        };
        self.file.fill_places(module, &place_of, &|_| true)
    }

    /// Refuses values that are not finite in what the adapter has for the weight `name`.
    ///
    /// # Errors
    /// [`ModelError::NotFiniteWeight`], or if the adapter's weights cannot be read.
    pub(crate) fn check_finite(&mut self, name: &str) -> Result<(), ModelError> {
        let of_delta = self.deltas.get(name).filter(|_| !self.is_apart).map(|delta| &delta.names[..]);
        let stored: Vec<String> =
            self.replaced.get(name).into_iter().chain(of_delta.unwrap_or_default()).cloned().collect();
        stored.iter().try_for_each(|name| self.file.read_finite(name).map(drop))
    }

    /// The base's weight `name` with what the adapter adds.
    ///
    /// # Errors
    /// If the adapter's weights cannot be read.
    pub(crate) fn add(&mut self, name: &str, weight: TensorData) -> Result<TensorData, ModelError> {
        let delta = self.deltas.get(name).filter(|_| !self.is_apart);
        let Some(Delta { names: [a, b], config: LoraConfig { scale, .. }, transposed }) = delta else {
            return Ok(weight);
        };
        let (a, b) = (self.file.read(a)?, self.file.read(b)?);
        // Each row of the stored weight is a row of the first times the second.
        let (rows, columns) = if *transposed { (transpose(&a), transpose(&b)) } else { (floats(&b), floats(&a)) };
        let rank = if *transposed { a.shape()[0] } else { b.shape()[1] };
        let shape = weight.shape().clone();
        let mut values = floats(&weight);
        let n_columns = shape[1];
        values.par_chunks_mut(n_columns.max(1)).zip(rows.par_chunks(rank.max(1))).for_each(|(out, row)| {
            let mut sums = vec![0.0; n_columns];
            for (x, column) in row.iter().zip(columns.chunks(n_columns.max(1))) {
                sums.iter_mut().zip(column).for_each(|(sum, y)| *sum += x * y);
            }
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out += *scale as f32 * sum);
        });
        Ok(TensorData::new(values, shape))
    }
}

fn floats(data: &TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}

fn transpose(data: &TensorData) -> Vec<f32> {
    let (values, n_columns) = (floats(data), data.shape()[1]);
    (0..n_columns)
        .flat_map(|column| values.iter().skip(column).step_by(n_columns).copied().collect::<Vec<_>>())
        .collect()
}

/// The name of the base's weight that the adapter calls `name`: one of the two may have the body under a prefix.
fn in_base<'a>(names: &'a [String], name: &str) -> Option<&'a String> {
    let is_end = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('.'));
    let same = names.iter().find(|it| *it == name);
    same.or_else(|| names.iter().find(|it| is_end(it, name) || is_end(name, it)))
}

/// The settings of the model that the adapter in `folder` makes of its base, if there is one and the folder has no
/// `config.json`.
///
/// # Errors
/// If the files of adapter or base cannot be read.
pub(crate) fn config(folder: &Path) -> Result<Option<ConfigJson>, ModelError> {
    if !is_adapter(folder) {
        return Ok(None);
    }
    let own = config_file(folder);
    if own.exists() {
        return ConfigJson::read_file(own).map(Some);
    }
    if folder.join(CONFIG).exists() {
        return Ok(None);
    }
    let adapter = AdapterConfig::read(folder)?;
    let base = adapter_base(folder)?;
    let mut json = ConfigJson::read(&base)?;
    let Some(head) = adapter.head() else { return Ok(Some(json)) };
    let architecture = Architecture::of(&base)?;
    let Some(class) = ModelClass::new(architecture, head) else {
        let json = ConfigJson::read_file(folder.join(ADAPTER_CONFIG))?;
        let expected = format!("a task of models of type `{}`", architecture.model_type());
        return Err(json.setting("task_type", Some(&json!(adapter.task_type)), expected));
    };
    json.settings.insert("architectures".to_owned(), json!([class.to_string()]));
    if matches!(head, Head::SequenceClassification | Head::TokenClassification) {
        let file = open_weights(folder)?;
        let rows = file.names().into_iter().find(|name| CLASSIFIERS.iter().any(|end| name.ends_with(end)));
        let rows = rows.and_then(|name| file.shape(&name).and_then(|shape| shape.first().copied()));
        let labels = json.settings.get("id2label").and_then(Value::as_object).map(serde_json::Map::len);
        if rows.is_some() && rows != labels {
            for key in ["id2label", "label2id", "num_labels"] {
                json.settings.remove(key);
            }
        }
    }
    Ok(Some(json))
}
