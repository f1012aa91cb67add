//! `burnformer evaluate`, `predict`, `fill-mask` and `inspect`: what is done with a model folder.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::numbers::whole;
use super::{DeviceArgs, FormatArgs, GenerationArgs, Given, MetricArgs, ReportArgs};

/// Measure a model
///
/// A classifier is measured on texts with labels (`--input`), a pretrained model on the documents of a corpus (`--corpus`), a
/// model that translates on texts with their translations (`--input` with `--pair-input` or `--pair-column`).
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer evaluate runs/intents --input test.csv --label-column category
  burnformer evaluate runs/mini --corpus corpus --part test --format json
  burnformer evaluate runs/de-en --input test.de --pair-input test.en --beam 5 --out test.out")]
pub(crate) struct EvaluateArgs {
    /// Folder of the model
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Files, folders or patterns of texts with labels, or of texts to translate
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present = "corpus", conflicts_with = "corpus")]
    pub(crate) input: Vec<String>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    /// Folder of a corpus, split as the run of the model split it
    #[arg(long, value_name = "FOLDER", conflicts_with = "FormatArgs")]
    pub(crate) corpus: Option<PathBuf>,

    /// Part of the corpus
    #[arg(long, value_enum, value_name = "PART", default_value_t, conflicts_with = "input")]
    pub(crate) part: Part,

    /// Texts that go through the model at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = whole::<u32>(1..=65536))]
    pub(crate) batch_size: u32,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) translation: Given<TranslationArgs>,
}

/// What only models that translate are evaluated with. To be flattened behind a command's own flags, which would else get the
/// heading of [`GenerationArgs`] too.
#[derive(Args, Debug)]
pub(crate) struct TranslationArgs {
    /// As many files, each with the translations in the lines in which those of `--input` have the texts
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "input")]
    pub(crate) pair_input: Vec<String>,

    /// File to be written with the model's translations, a line for each pair; pairs that are blank or skipped have none
    #[arg(long, value_name = "FILE", requires = "input")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) metrics: MetricArgs,

    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What the model learnt from
    Train,
    /// What the best model was chosen by
    #[default]
    Validation,
    /// What nothing was chosen by
    Test,
    /// All documents
    All,
}

/// Tell the class of texts
///
/// Texts come from the command line, from files, or line by line from the standard input. The answers are lines of label,
/// probability and text, separated by tabs, or JSON lines.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer predict runs/intents 'My card has not arrived.'
  burnformer predict runs/intents --input questions.txt --format json
  burnformer predict runs/intents --top-k 3 --format json")]
pub(crate) struct PredictArgs {
    /// Folder of the model
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Texts
    #[arg(value_name = "TEXT", conflicts_with = "input")]
    pub(crate) texts: Vec<String>,

    /// Files, folders or patterns of texts; in running text each line is one, unless `--layout` says otherwise
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) input: Vec<String>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    /// How many classes are told in JSON
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u32>(1..))]
    pub(crate) top_k: u32,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Predict the tokens that `[MASK]` stands for
///
/// Texts come from the command line, from files, or line by line from the standard input. A model of another kind than BERT
/// may have another mask, such as `<mask>` in RoBERTa.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer fill-mask runs/mini 'The cat sat on the [MASK].'
  burnformer fill-mask runs/mini --input masked.txt --format json
  burnformer fill-mask runs/mini --top-k 10 --format json 'A [MASK] in the hand.'")]
pub(crate) struct FillMaskArgs {
    /// Folder of the model
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Texts
    #[arg(value_name = "TEXT", conflicts_with = "input")]
    pub(crate) texts: Vec<String>,

    /// Files, folders or patterns of texts; in running text each line is one, unless `--layout` says otherwise
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) input: Vec<String>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    /// How many tokens are told for each mask
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u32>(1..))]
    pub(crate) top_k: u32,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Show what a model is and how it came about
///
/// Architecture, parameters of each block, the course of training if the folder is that of a run, and with `--text` where
/// each layer looks.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer inspect runs/mini
  burnformer inspect runs/mini --text 'The cat sat on the mat.'
  burnformer inspect runs/mini --text 'The cat sat on the mat.' --head 2 --format json")]
pub(crate) struct InspectArgs {
    /// Folder of the model or run
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Show the attention over this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,

    /// Show this head instead of the mean over all of them, counted from 1
    #[arg(long, value_name = "N", requires = "text", value_parser = whole::<u32>(1..))]
    pub(crate) head: Option<u32>,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
