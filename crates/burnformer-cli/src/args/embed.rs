//! `burnformer embed` and `similarity`: commands that use text embeddings.

use std::path::PathBuf;

use burnformer::models::Pooling;
use clap::Args;

use super::names::names;
use super::{DeviceArgs, ReportArgs, TextsArgs};

/// How a text becomes a vector.
#[derive(Args, Debug)]
pub(crate) struct EmbeddingArgs {
    /// Model folder: a sentence-transformers model or any BERT
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Pooling of token vectors into one text vector [default: as the model folder says, else mean]
    #[arg(long, value_name = "POOLING", value_parser = names::<Pooling, _>([
        ("mean", "Mean over all tokens"),
        ("cls", "Vector of the first token"),
    ]))]
    pub(crate) pooling: Option<Pooling>,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// Compute text embeddings
///
/// Reads texts from the command line, from files, or from standard input (one per line). Prints JSON lines with text and
/// vector, or writes a `.npy` file with `--out`. The vectors are L2-normalised, unless a sentence-transformers folder has no
/// normalisation.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer embed runs/mini 'My card has not arrived.'
  burnformer embed runs/mini --input questions.txt --out questions.npy
  burnformer embed runs/mini --pooling cls --input questions.txt")]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,

    #[command(flatten)]
    pub(crate) texts: TextsArgs,

    /// Write the vectors to this `.npy` file, one row per text; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Rank texts by similarity to the first text
///
/// Reads texts from the command line or from standard input (one per line). Prints one line per other text: cosine
/// similarity of the two embeddings (1 = same direction) and text, most similar first.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer similarity runs/mini 'My card is lost.' 'Where is my card?' 'What does it cost?'")]
pub(crate) struct SimilarityArgs {
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,

    /// Texts; the first is compared with all others
    #[arg(value_name = "TEXT")]
    pub(crate) texts: Vec<String>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
