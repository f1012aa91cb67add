//! Inspection of model folders: architecture, parameters, training history, attention.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burnformer_core::adapter::{adapter_base, is_adapter};
use burnformer_models::{AdapterConfig, Head, ModelClass, ModelError, ModelSize, Outputs, Targets, registry};
use burnformer_ops::DeviceChoice;
use burnformer_tasks::AttentionMap;
use burnformer_train::{History, HistoryEntry, RunFolder, TrainError};
use serde::Serialize;

use crate::RecipeError;

/// Lines of the course of training that are shown.
const LINES: usize = 12;

/// Description of a model.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Folder of the model.
    pub folder: PathBuf,
    /// Name of the class in transformers.
    pub architecture: String,
    /// Settings of the model, by name.
    pub config: serde_json::Value,
    /// Number and sizes of the layers.
    #[serde(skip)]
    pub size: ModelSize,
    /// Names of a classifier's classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What a classifier of texts gives a text, where that is not one class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<&'static str>,
    /// The adapter that makes the model of its base, if the folder holds one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterFacts>,
    /// Number of weights.
    pub parameters: usize,
    /// Number of weights in each part of the model.
    pub blocks: Vec<Block>,
    /// Training history: the evaluations of the run, or the logged training metrics if there are none.
    pub history: Vec<Point>,
    /// Attention weights over a text, of one head or of all heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionMap>,
    /// Number of that head, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<usize>,
}

/// A low-rank adapter.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterFacts {
    /// Folder of the base model.
    pub base: PathBuf,
    /// Rank.
    pub r: usize,
    /// Factor of the adapter, divided by the rank.
    pub lora_alpha: f64,
    /// Modules with an adapter.
    pub target_modules: Targets,
    /// Modules that were trained as a whole.
    pub modules_to_save: Vec<String>,
}

impl AdapterFacts {
    fn of(folder: &Path) -> Result<Option<Self>, RecipeError> {
        if !is_adapter(folder) {
            return Ok(None);
        }
        let base = adapter_base(folder).map_err(ModelError::from)?;
        let AdapterConfig { rank, alpha, targets, modules_to_save, .. } = AdapterConfig::read(folder)?;
        Ok(Some(Self { base, r: rank, lora_alpha: alpha, target_modules: targets, modules_to_save }))
    }
}

/// A part of a model.
#[derive(Clone, Debug, Serialize)]
pub struct Block {
    /// Path that its parameters have in common.
    pub name: String,
    /// Number of weights.
    pub parameters: usize,
}

/// Metrics of one step.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Updates before it.
    pub step: u64,
    /// `train` or `validation`.
    pub split: String,
    /// Numbers by name.
    #[serde(flatten)]
    pub values: BTreeMap<String, f64>,
}

impl Inspection {
    /// Inspects the model in `folder`, and its attention weights over `text`: of one `head`, counted from 1, or of all heads.
    ///
    /// # Errors
    /// If there is no model that can be loaded, no such head, or nothing attends to a text alone.
    pub fn of(
        folder: &Path,
        text: Option<&str>,
        head: Option<usize>,
        device: DeviceChoice,
    ) -> Result<Self, RecipeError> {
        let device = device.open()?;
        let class = ModelClass::of(folder)?;
        let model = registry::open_known(folder, &device)?;
        if class.head() == Head::Seq2Seq && text.is_some() {
            return Err(RecipeError::AttentionOfTranslator { folder: folder.to_owned() });
        }
        let architecture = match model.check_hugging_face() {
            Ok(()) => class.to_string(),
            Err(_) => "encoder–decoder without a transformers class".to_owned(),
        };
        let size = model.size();
        if let Some(head) = head.filter(|head| !(1..=size.n_heads).contains(head)) {
            return Err(RecipeError::NoHead { folder: folder.to_owned(), head, n_heads: size.n_heads });
        }
        let shapes: Vec<Counted> =
            model.parameters().into_iter().map(|(path, shape)| (path, shape.iter().product())).collect();
        let mut attention = text.map(|text| AttentionMap::of_model(&model, folder, text, &device)).transpose()?;
        if let (Some(map), Some(head)) = (&mut attention, head) {
            map.weights.iter_mut().for_each(|heads| *heads = vec![heads.swap_remove(head - 1)]);
        }
        Ok(Self {
            folder: folder.to_owned(),
            architecture,
            labels: model.labels().to_vec(),
            outputs: model.outputs().filter(|it| *it != Outputs::Classes).map(Outputs::noun),
            parameters: shapes.iter().map(|(_, n)| n).sum(),
            blocks: blocks(&shapes),
            adapter: AdapterFacts::of(folder)?,
            history: history(folder)?,
            attention,
            head,
            config: model.config(),
            size,
        })
    }
}

/// The path of a parameter, and its number of elements.
type Counted = (String, usize);

/// Parameters put together by the part of the model they belong to, layers by number.
fn blocks(shapes: &[Counted]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (path, n) in shapes {
        let parts: Vec<&str> = path.split('.').collect();
        let depth = match parts.as_slice() {
            ["bert", "encoder", "layers", ..] | ["transformer", _, "layers", ..] => 4,
            ["bert", "embeddings", ..] => 3,
            _ => 1,
        };
        let name = parts[..depth.min(parts.len())].join(".");
        match blocks.last_mut() {
            Some(block) if block.name == name => block.parameters += n,
            _ => blocks.push(Block { name, parameters: *n }),
        }
    }
    blocks
}

/// The evaluations of a run, or lines of training if there are none; a few of them if there are many.
fn history(folder: &Path) -> Result<Vec<Point>, RecipeError> {
    let file = RunFolder::metrics_file(folder);
    if !file.is_file() {
        return Ok(Vec::new());
    }
    let entries = History::read(&file).map_err(TrainError::from)?;
    let evaluations: Vec<&HistoryEntry> = entries.iter().filter(|entry| entry.split == "validation").collect();
    let shown = if evaluations.is_empty() { entries.iter().collect() } else { evaluations };
    let stride = shown.len().div_ceil(LINES).max(1);
    let last = shown.len().saturating_sub(1);
    let kept = shown.into_iter().enumerate().filter(|(index, _)| (last - index).is_multiple_of(stride));
    let point = |entry: &HistoryEntry| Point {
        step: entry.step,
        split: entry.split.clone(),
        values: entry.values.iter().cloned().collect(),
    };
    Ok(kept.map(|(_, entry)| point(entry)).collect())
}
