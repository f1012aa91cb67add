//! `burnformer export`.

use std::path::PathBuf;

use burnformer::models::Pooling;
use burnformer::models::weights::WeightType;
use clap::{Args, ValueEnum};

use super::DeviceArgs;
use super::embed::poolings;
use super::names::names;
use super::paths::folder_to_write;

/// Layout of the exported folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// For transformers: loaded by the class that `architectures` in `config.json` names
    Transformers,
    /// For sentence-transformers: the encoder without its head, with pooling and all other settings of such a folder
    SentenceTransformers,
}

/// Export a model for Python, or with smaller weights
///
/// The transformers library can load every run folder directly. An export has the model alone, without checkpoints and
/// metrics, with current weight names and, if wanted, another weight type. Every model folder that can be loaded can be
/// exported.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer export runs/intents --out intents-f16 --dtype f16
  burnformer export runs/intents --out intents-int8 --dtype int8
  burnformer export runs/mini --out mini-vectors --layout sentence-transformers
  burnformer export runs/mini --out mini-cls --layout sentence-transformers --pooling cls --normalize false")]
pub(crate) struct ExportArgs {
    /// Model folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Base model of an adapter [default: as `adapter_config.json` in the folder says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) base: Option<PathBuf>,

    /// Output folder; must not exist
    #[arg(long, value_name = "DIR", value_parser = folder_to_write())]
    pub(crate) out: PathBuf,

    /// Number type of the exported weights
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = names::<WeightType, _>([
        ("f32", "Single precision"),
        ("f16", "Half precision, largest value 65504"),
        ("bf16", "bfloat16: the range of f32 with fewer digits"),
        ("int8", "Matrices as 8-bit integers with a scale for each output, for burnformer alone"),
    ]))]
    pub(crate) dtype: WeightType,

    /// Folder layout [default: that of the model folder]
    #[arg(long, value_enum, value_name = "LAYOUT")]
    pub(crate) layout: Option<Layout>,

    /// Pooling of token vectors into one text vector, with `--layout sentence-transformers` [default: as the model folder
    /// says, else mean]
    #[arg(long, value_name = "POOLING", value_parser = poolings())]
    pub(crate) pooling: Option<Pooling>,

    /// L2-normalise the embeddings, with `--layout sentence-transformers` [default: as the model folder says, else true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) normalize: Option<bool>,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
