//! `burnformer train-seq2seq`.

use std::path::PathBuf;

use burnformer::models::Seq2SeqConfig;
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::RunArgs;

/// Train an encoder–decoder (seq2seq) model on text pairs, such as translations
///
/// Build the corpus with `burnformer data build` and `--pair-input` or `--pair-column`. Keeps the model with the lowest
/// validation perplexity, or with the best validation BLEU (`--set choose_by=bleu`). Writes a run folder: `run.toml` with all
/// settings, `metrics.jsonl`, `learning_curves.svg`, checkpoints, and at its top level the best model in Hugging Face's
/// format. Ctrl-C writes a checkpoint and stops. `--resume` continues with exactly the numbers of an uninterrupted run.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer train-seq2seq --corpus pairs --epochs 20 --out runs/de-en
  burnformer train-seq2seq --corpus pairs --validation pairs-dev --preset transformer-base --epochs 30 --out runs/base
  burnformer train-seq2seq --corpus pairs --set train.micro_batch_tokens=2048 --set model.dropout=0.3 --out runs/a --dry-run
  burnformer train-seq2seq --corpus pairs --init runs/de-en --epochs 3 --out runs/de-en-more
  burnformer train-seq2seq --out runs/de-en --resume")]
pub(crate) struct TrainSeq2SeqArgs {
    /// Corpus folder of text pairs, made by `burnformer data build`
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) corpus: Option<PathBuf>,

    /// Validation corpus folder, built with the same tokenizers, to select the best model [default: a share of `--corpus`]
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    pub(crate) validation: Option<PathBuf>,

    /// Model size [default: transformer-small]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Seq2SeqConfig::PRESETS), conflicts_with_all = ["resume", "init"])]
    pub(crate) preset: Option<String>,

    /// Initialise the weights from this model folder of a translation model; the corpus must have its tokenizers
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    pub(crate) init: Option<PathBuf>,

    /// Number of passes over the training data; sets `train.steps`
    #[arg(long, value_name = "N", default_value_t = 10.0, conflicts_with_all = ["resume", "steps"])]
    pub(crate) epochs: f64,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}
