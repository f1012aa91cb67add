//! `burnformer finetune`.

use std::path::PathBuf;

use clap::Args;

use super::numbers::whole;
use super::{FormatArgs, RunArgs};

/// Fine-tune a pretrained model to tell classes of texts
///
/// The classes are those of the training texts. The best model by macro-F1 on the validation texts is kept. With `--test` it
/// is measured on texts that nothing was chosen by, and with `--baseline` beside always answering the most frequent class
/// and a bag of words.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer finetune --model runs/mini --train train.csv --text-column text --label-column category --out runs/intents
  burnformer finetune --model runs/mini --train train.jsonl --label-column label --test test.jsonl --baseline --out runs/a
  burnformer finetune --model runs/mini --train train.tsv --label-column label --from-scratch --epochs 10 --out runs/b
  burnformer finetune --out runs/intents --resume", mut_arg("resume", |resume| resume.conflicts_with("FormatArgs")))]
pub(crate) struct FinetuneArgs {
    /// Folder of the pretrained model
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) model: Option<PathBuf>,

    /// Files, folders or patterns of texts to learn from
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) train: Vec<String>,

    /// Files of the same format to choose the best model by; by default a tenth of the training texts
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "resume")]
    pub(crate) validation: Vec<String>,

    /// Files of the same format to measure the best model on
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) test: Vec<String>,

    /// Measure simple methods on the test texts too
    #[arg(long, requires = "test")]
    pub(crate) baseline: bool,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    /// Times that every text is learnt from; decides on `train.steps`
    #[arg(long, value_name = "N", default_value_t = 3.0, conflicts_with = "resume")]
    pub(crate) epochs: f64,

    /// Longest text in tokens, special ones included; longer ones are cut
    #[arg(long, value_name = "TOKENS", default_value_t = 128, conflicts_with = "resume", value_parser = whole::<usize>(..))]
    pub(crate) max_seq_length: usize,

    /// Learn from so many texts of each class at most
    #[arg(long, value_name = "N", conflicts_with = "resume", value_parser = whole::<usize>(..))]
    pub(crate) max_per_class: Option<usize>,

    /// Begin with fresh weights instead of the pretrained ones, to see what these are worth
    #[arg(long, conflicts_with = "resume")]
    pub(crate) from_scratch: bool,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}
