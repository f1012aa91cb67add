//! `burnformer export`: model folders for other programs.

use std::path::PathBuf;

use burnformer::models::Pooling;
use burnformer::models::weights::WeightType;
use clap::{Args, ValueEnum};

use super::DeviceArgs;
use super::names::names;

/// Whose folders are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// One that the class in `architectures` loads
    Transformers,
    /// The body alone, with a pooling, for vectors of texts
    SentenceTransformers,
}

/// Write a model for Python, or with smaller weights
///
/// Every run folder is one of transformers already; an export is the model alone, without checkpoints and metrics, with
/// today's names of weights, and if wanted in another type. Folders of any origin can be exported.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer export runs/intents --out intents-f16 --dtype f16
  burnformer export runs/mini --out mini-vectors --layout sentence-transformers
  burnformer export runs/mini --out mini-cls --layout sentence-transformers --pooling cls --normalize false")]
pub(crate) struct ExportArgs {
    /// Folder of the model
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Folder to be written, where nothing may be
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Type of the weights
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = names::<WeightType, _>([
        ("f32", "Single precision"),
        ("f16", "Half precision, up to 65504"),
        ("bf16", "The range of single precision with fewer digits"),
    ]))]
    pub(crate) dtype: WeightType,

    /// Whose folder it becomes
    #[arg(long, value_enum, value_name = "LAYOUT", default_value = "transformers")]
    pub(crate) layout: Layout,

    /// With `--layout sentence-transformers`: how the vectors of tokens become that of a text [default: as the folder says,
    /// else mean]
    #[arg(long, value_name = "POOLING", value_parser = names::<Pooling, _>([
        ("mean", "The mean over all tokens"),
        ("cls", "The vector of the first token"),
    ]))]
    pub(crate) pooling: Option<Pooling>,

    /// With `--layout sentence-transformers`: whether vectors are made one long [default: as the folder says, else true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) normalize: Option<bool>,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
