//! `burnformer pretrain`.

use std::path::PathBuf;

use burnformer::models::{BertConfig, GptConfig};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::RunArgs;

/// Pretrain BERT with masked language modelling, or GPT-2 with causal language modelling
///
/// Writes a run folder: `run.toml` with all settings, `metrics.jsonl`, `learning_curves.svg`, checkpoints, and at its top
/// level the best model in Hugging Face's format. Ctrl-C writes a checkpoint and stops. `--resume` continues with exactly the
/// numbers of an uninterrupted run.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer pretrain --corpus corpus --preset bert-mini --steps 5000 --out runs/mini
  burnformer pretrain --corpus corpus --out runs/tiny --set train.micro_batch_size=64 --dry-run
  burnformer pretrain --objective causal-lm --corpus corpus --preset gpt-mini --out runs/gpt
  burnformer pretrain --out runs/mini --resume
  burnformer pretrain --corpus more-text --init runs/mini --out runs/mini-more")]
pub(crate) struct PretrainArgs {
    /// Corpus folder, made by `burnformer data build`
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) corpus: Option<PathBuf>,

    /// Training objective
    #[arg(long, value_enum, value_name = "NAME", default_value_t, conflicts_with = "resume")]
    pub(crate) objective: ObjectiveName,

    /// Model size [default: bert-tiny, or gpt-tiny for causal-lm]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(BertConfig::PRESETS.into_iter().chain(GptConfig::PRESETS)), conflicts_with_all = ["resume", "init"])]
    pub(crate) preset: Option<String>,

    /// Initialise the weights from this model folder: any encoder of the BERT family for masked-lm, a GPT-2 for causal-lm
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    pub(crate) init: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Training objectives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectiveName {
    /// Masked language modelling, of a BERT with next-sentence prediction
    #[default]
    MaskedLm,
    /// Causal language modelling (prediction of the next token), as GPT-2
    CausalLm,
}
