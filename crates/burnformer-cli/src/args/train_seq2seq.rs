//! `burnformer train-seq2seq`.

use std::path::PathBuf;

use burnformer::models::Seq2SeqConfig;
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::RunArgs;

/// Train an encoder–decoder on pairs of texts, such as sentences and their translations
///
/// The corpus comes from `burnformer data build` with `--pair-input` or `--pair-column`. The best model by its perplexity on
/// the validation pairs is kept, or with `--set choose_by=bleu` by how well it translates them. The folder of the run gets `run.toml` with every setting, `metrics.jsonl`,
/// `learning_curves.svg` and checkpoints. Ctrl-C writes a checkpoint and leaves; `--resume` goes on as if nothing had been.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer train-seq2seq --corpus pairs --epochs 20 --out runs/de-en
  burnformer train-seq2seq --corpus pairs --validation pairs-dev --preset transformer-base --epochs 30 --out runs/base
  burnformer train-seq2seq --corpus pairs --set train.micro_batch_tokens=2048 --set model.dropout=0.3 --out runs/a --dry-run
  burnformer train-seq2seq --out runs/de-en --resume")]
pub(crate) struct TrainSeq2SeqArgs {
    /// Folder of the corpus of pairs, from `burnformer data build`
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) corpus: Option<PathBuf>,

    /// Folder of a corpus, built with the same tokenizers, to choose the best model by; by default a share of the first
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    pub(crate) validation: Option<PathBuf>,

    /// Size of the model [default: transformer-small]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Seq2SeqConfig::PRESETS), conflicts_with = "resume")]
    pub(crate) preset: Option<String>,

    /// Times that every pair is learnt from; decides on `train.steps`
    #[arg(long, value_name = "N", default_value_t = 10.0, conflicts_with_all = ["resume", "steps"])]
    pub(crate) epochs: f64,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}
