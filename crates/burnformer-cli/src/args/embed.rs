//! `burnformer embed` and `similarity`: commands that use text embeddings.

use std::path::PathBuf;

use burnformer::models::Pooling;
use clap::Args;
use clap::builder::TypedValueParser;

use super::names::names;
use super::numbers::whole;
use super::{DeviceArgs, EncodingArgs, ReportArgs, SpecialTokensArgs, TextsArgs, WeightsArgs};

/// The values of `--pooling`.
pub(crate) fn poolings() -> impl TypedValueParser<Value = Pooling> {
    names::<Pooling, _>([
        ("mean", "Mean over all tokens"),
        ("cls", "Vector of the first token"),
        ("max", "Greatest number of each dimension"),
        ("mean_sqrt_len_tokens", "Sum over all tokens, divided by the square root of their number"),
        ("weightedmean", "Mean over all tokens, weighted by position"),
        ("lasttoken", "Vector of the last token"),
    ])
}

/// How a text becomes a vector.
#[derive(Args, Debug)]
pub(crate) struct EmbeddingArgs {
    /// Model folder: a sentence-transformers model or any BERT
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Base model of an adapter [default: as `adapter_config.json` in the folder says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) base: Option<PathBuf>,

    /// Pooling of token vectors into one text vector [default: as the model folder says, else mean]
    #[arg(long, value_name = "POOLING", value_parser = poolings())]
    pub(crate) pooling: Option<Pooling>,

    /// Put the prompt with this name in front of each text [default: the model's `default_prompt_name`]
    #[arg(long, value_name = "NAME", conflicts_with = "prompt")]
    pub(crate) prompt_name: Option<String>,

    /// Put this text in front of each text, in place of the model's default prompt; empty for no prompt
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,

    /// Keep only the first dimensions of each vector, which is not normalised again [default: as the model folder says,
    /// else all]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..))]
    pub(crate) dimensions: Option<u32>,

    #[command(flatten)]
    pub(crate) special_tokens: SpecialTokensArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) weights: WeightsArgs,
}

/// Compute text embeddings
///
/// Reads texts from the command line, from files, or from standard input (one per line). Prints JSON lines with row, text
/// and vector, or writes a `.npy` file with `--out`. A sentence-transformers folder says how vectors are made: longest text,
/// lower-casing, prompt, pooling, dense layers, normalisation, number of dimensions. Those of any other folder are L2-normalised.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer embed runs/mini 'My card has not arrived.'
  burnformer embed runs/mini --input questions.txt --out questions.npy
  burnformer embed runs/mini --pooling cls --input questions.txt
  burnformer embed runs/mini --prompt 'query: ' --dimensions 16 'Where is my card?'")]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,

    #[command(flatten)]
    pub(crate) texts: TextsArgs,

    /// Write the vectors to this `.npy` file, one row per text, in their order; `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "id_column")]
    pub(crate) out: Option<PathBuf>,
}

/// Rank texts by similarity to the first text
///
/// Reads texts from the command line or from standard input (one per line). Prints one line per other text: similarity of the
/// two embeddings and text, most similar first. The similarity is the cosine (1 = same direction), unless a
/// sentence-transformers folder names another.
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
    pub(crate) encoding: EncodingArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
