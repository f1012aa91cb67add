//! `burnformer embed` and `similarity`: what is done with the vectors of texts.

use std::path::PathBuf;

use burnformer::models::Pooling;
use clap::Args;

use super::names::names;
use super::{DeviceArgs, FormatArgs, ReportArgs};

/// How texts become vectors.
#[derive(Args, Debug)]
pub(crate) struct EmbeddingArgs {
    /// Folder of the model: one of sentence-transformers, or any BERT
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// How the vectors of tokens become that of a text [default: as the folder says, else mean]
    #[arg(long, value_name = "POOLING", value_parser = names::<Pooling, _>([
        ("mean", "The mean over all tokens"),
        ("cls", "The vector of the first token"),
    ]))]
    pub(crate) pooling: Option<Pooling>,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// Make vectors of texts
///
/// Texts come from the command line, from files, or line by line from the standard input. The answers are JSON lines of text
/// and vector, or with `--out` a `.npy` file. Vectors have length one, unless a folder of sentence-transformers leaves
/// them as they are.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer embed runs/mini 'My card has not arrived.'
  burnformer embed runs/mini --input questions.txt --out questions.npy
  burnformer embed runs/mini --pooling cls --input questions.txt")]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,

    /// Texts
    #[arg(value_name = "TEXT", conflicts_with = "input")]
    pub(crate) texts: Vec<String>,

    /// Files, folders or patterns of texts; in running text each line is one, unless `--layout` says otherwise
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) input: Vec<String>,

    /// Write the vectors to this `.npy` file, a row for each text
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// Compare a text with others
///
/// The first text is compared with all others, from the command line or line by line from the standard input. The answers are
/// lines of similarity (the cosine of the angle between two vectors, 1 for the same) and text, the most similar first.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer similarity runs/mini 'My card is lost.' 'Where is my card?' 'What does it cost?'")]
pub(crate) struct SimilarityArgs {
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,

    /// Texts
    #[arg(value_name = "TEXT")]
    pub(crate) texts: Vec<String>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
