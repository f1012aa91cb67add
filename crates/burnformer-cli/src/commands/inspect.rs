//! `burnformer inspect`: what a model is, how it came about, and where it looks.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use anyhow::Result;
use burnformer::models::{Head, ModelClass, ModelSize, registry};
use burnformer::tasks::AttentionMap;
use burnformer::train::{History, HistoryEntry, RunFolder};
use indicatif::HumanCount;
use serde::Serialize;

use super::training::number;
use super::{Context, Outcome, heat_map};
use crate::args::InspectArgs;
use crate::errors::Advised;
use crate::output::fact;

/// Lines of the course of training that are shown.
const LINES: usize = 12;

/// What there is to know of a model.
#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    architecture: String,
    /// The settings, by name.
    config: serde_json::Value,
    #[serde(skip)]
    size: ModelSize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    parameters: usize,
    /// Of each part of the model.
    blocks: Vec<Block>,
    /// The evaluations of its run, the last ones of training without them.
    history: Vec<Point>,
    /// Over the text: of one head, counted from 1, or of all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    attention: Option<AttentionMap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<usize>,
}

#[derive(Serialize)]
struct Block {
    name: String,
    parameters: usize,
}

/// A line of metrics.
#[derive(Serialize)]
struct Point {
    step: u64,
    split: String,
    #[serde(flatten)]
    values: BTreeMap<String, f64>,
}

pub(super) fn run(args: &InspectArgs, context: &Context) -> Result<Outcome> {
    let device = args.device.device.open()?;
    let folder = &args.folder;
    let class = ModelClass::of(folder)?;
    let model = registry::open_known(folder, &device)?;
    if class.head() == Head::Seq2Seq && args.text.is_some() {
        let hint = format!("draw it with `burnformer translate {} --attention DIR`", folder.display());
        let message = "`--text` shows the attention of encoders only, and this is a translation model";
        return Err(Advised::new(message, hint).into());
    }
    let head = args.head.map(|head| head as usize);
    let architecture = match model.check_hugging_face() {
        Ok(()) => class.to_string(),
        Err(_) => "encoder–decoder without a transformers class".to_owned(),
    };
    let size = model.size();
    if let Some(head) = head.filter(|&head| head > size.n_heads) {
        let hint = format!("set `--head` to 1 to {}, or omit it for the mean over all heads", size.n_heads);
        return Err(Advised::new(format!("`{}` has no head {head}", folder.display()), hint).into());
    }
    let shapes: Vec<Counted> =
        model.parameters().into_iter().map(|(path, shape)| (path, shape.iter().product())).collect();
    let mut attention = args.text.as_ref().map(|text| AttentionMap::of(folder, text, &device)).transpose()?;
    if let (Some(map), Some(head)) = (&mut attention, head) {
        map.weights.iter_mut().for_each(|heads| *heads = vec![heads.swap_remove(head - 1)]);
    }
    let report = Report {
        folder: folder.clone(),
        architecture,
        labels: model.labels().to_vec(),
        parameters: shapes.iter().map(|(_, n)| n).sum(),
        blocks: blocks(&shapes),
        history: history(folder)?,
        attention,
        head,
        config: model.config(),
        size,
    };
    context.terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
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
fn history(folder: &Path) -> Result<Vec<Point>> {
    let file = RunFolder::metrics_file(folder);
    if !file.is_file() {
        return Ok(Vec::new());
    }
    let entries = History::read(&file)?;
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

/// Lines on the sizes of a model.
fn write_size(f: &mut Formatter<'_>, size: &ModelSize) -> fmt::Result {
    let count = |n: usize| HumanCount(n as u64).to_string();
    let is_pair = size.n_encoder_layers > 0 && size.n_decoder_layers > 0;
    let layers = match is_pair {
        true => format!("{} encoder, {} decoder", size.n_encoder_layers, size.n_decoder_layers),
        false => (size.n_encoder_layers + size.n_decoder_layers).to_string(),
    };
    let source = count(size.vocab_size);
    let vocabulary = match size.target_vocab_size {
        Some(target) => format!("{source} source tokens, {} target tokens", count(target)),
        None if is_pair => format!("{source} tokens for both sides"),
        None => format!("{source} tokens"),
    };
    fact(f, "layers", layers)?;
    let ModelSize { d_model, n_heads, d_ff, max_seq_length, .. } = size;
    fact(f, "width", format_args!("{d_model}, {n_heads} heads, feed-forward {d_ff}"))?;
    fact(f, "vocabulary", vocabulary)?;
    fact(f, "longest sequence", format_args!("{max_seq_length} tokens"))
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fact(f, "model", self.folder.display())?;
        fact(f, "architecture", &self.architecture)?;
        write_size(f, &self.size)?;
        if !self.labels.is_empty() {
            fact(f, "classes", self.labels.join(", "))?;
        }
        writeln!(f, "\nparameters")?;
        for block in &self.blocks {
            let share = 100.0 * block.parameters as f64 / self.parameters as f64;
            writeln!(f, "  {:<32} {:>14} {share:>6.1} %", block.name, HumanCount(block.parameters as u64).to_string())?;
        }
        writeln!(f, "  {:<32} {:>14}", "all", HumanCount(self.parameters as u64).to_string())?;
        if !self.history.is_empty() {
            writeln!(f, "\ntraining history")?;
            for point in &self.history {
                let values = point.values.iter().map(|(name, value)| format!("{name} {}", number(*value)));
                let values = values.collect::<Vec<_>>().join("  ");
                writeln!(f, "  step {:>8} {:<11} {values}", point.step, point.split)?;
            }
        }
        if let Some(map) = &self.attention {
            for layer in 0..map.weights.len() {
                let of = self.head.map_or_else(|| "mean over heads".to_owned(), |head| format!("head {head}"));
                writeln!(f, "\nattention of layer {} ({of}): rows are queries, columns are keys", layer + 1)?;
                heat_map::write(f, &map.tokens, &map.mean_over_heads(layer))?;
            }
        }
        Ok(())
    }
}
