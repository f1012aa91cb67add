//! `burnformer pretrain`.

use std::path::PathBuf;

use burnformer::models::BertConfig;
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::RunArgs;

/// Pretrain BERT: masked language model and next-sentence prediction
///
/// The folder of the run gets `run.toml` with every setting, `metrics.jsonl`, `learning_curves.svg`, checkpoints, and at its
/// top the best model in Hugging Face's format. Ctrl-C writes a checkpoint and leaves; `--resume` goes on as if nothing had
/// been.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer pretrain --corpus corpus --preset bert-mini --steps 5000 --out runs/mini
  burnformer pretrain --corpus corpus --out runs/tiny --set train.micro_batch_size=64 --dry-run
  burnformer pretrain --out runs/mini --resume
  burnformer pretrain --corpus more-text --init runs/mini --out runs/mini-more")]
pub(crate) struct PretrainArgs {
    /// Folder of the corpus, from `burnformer data build`
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) corpus: Option<PathBuf>,

    /// Size of the model [default: bert-tiny]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(BertConfig::PRESETS), conflicts_with_all = ["resume", "init"])]
    pub(crate) preset: Option<String>,

    /// Model folder to begin with instead of fresh weights
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    pub(crate) init: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}
