//! `burnformer data`.

use std::path::PathBuf;

use burnformer::data::sentences::Language;
use burnformer::data::split::SplitBy;
use clap::{Args, Subcommand};

use super::names::names;
use super::numbers::whole;
use super::paths::folder_to_write;
use super::{FormatArgs, ReportArgs, SeedArgs};

/// Prepare training data: build, count and split corpora
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  burnformer data rust-docs --source-tree . --out rust-docs
  burnformer data split --input reviews.csv --label-column label --by label --out reviews"
)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    Build(BuildArgs),
    Stats(StatsArgs),
    Split(SplitArgs),
    RustDocs(RustDocsArgs),
}

/// Tokenise text into a corpus: shards of tokens for training
///
/// Run the same command again to continue an interrupted build. If text and tokenizer have not changed, the existing corpus
/// is kept. A corpus of other text in the output folder is replaced when the new one is complete, with a note; until then the
/// new one is in `.NAME.building` beside it. Any other file in the folder is an error.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer data build --input 'texts/*.txt' --tokenizer tokenizer --out corpus
  burnformer data build --input reviews.csv --label-column label --on-bad-row skip --tokenizer tokenizer --out labelled
  burnformer data build --input train.de --pair-input train.en --tokenizer tokenizer --out pairs
  burnformer data build --input pairs.tsv --text-column de --pair-column en --tokenizer de --pair-tokenizer en --out pairs")]
pub(crate) struct BuildArgs {
    /// Files, folders or glob patterns to tokenise
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(crate) input: Vec<String>,

    /// Files with the second text of each pair, line-aligned with `--input`
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) pair_input: Vec<String>,

    /// Tokenizer folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) tokenizer: PathBuf,

    /// Tokenizer folder for the second text of each pair [default: the same as `--tokenizer`; of an OPUS-MT
    /// model that of its targets]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) pair_tokenizer: Option<PathBuf>,

    /// Language whose rules split text into sentences, such as `en`, `zh` or `pt-br`
    #[arg(long, value_name = "CODE", default_value = "en", value_parser = language)]
    pub(crate) language: Language,

    /// Output folder for the corpus
    #[arg(long, value_name = "FOLDER", value_parser = folder_to_write())]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// Print the statistics of a corpus and verify it
///
/// Reads every token and checks every checksum, so damage is found anywhere. The share of padding is measured over one epoch
/// of BERT pretraining samples in batches of 32 sequences.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer data stats corpus
  burnformer data stats corpus --seq-length 64 --format json")]
pub(crate) struct StatsArgs {
    /// Corpus folder
    #[arg(value_name = "CORPUS")]
    pub(crate) corpus: PathBuf,

    /// Maximum sequence length in tokens, special tokens included, for the share of padding
    #[arg(long, value_name = "TOKENS", default_value_t = 128, value_parser = whole::<u32>(5..=1 << 20))]
    pub(crate) seq_length: u32,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Split text into training, validation and test sets
///
/// Writes `train.jsonl`, `validation.jsonl` and `test.jsonl` with the fields `text`, `pair`, `label` and `group`, where
/// present. The part of a text depends only on the text and the seed. Duplicates are dropped, so no text is in two parts.
/// A text with several labels is kept once with each, all in one part, and reported as a conflict.
/// A document above 1 MiB is written as several rows, all in the same part.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer data split --input reviews.csv --label-column label --by label --out parts
  burnformer data split --input reviews.csv --group-column author --by group --test 0.2 --out parts-by-author")]
pub(crate) struct SplitArgs {
    /// Files, folders or glob patterns to split
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(crate) input: Vec<String>,

    /// Unit of the split
    #[arg(long, value_name = "WHAT", default_value = "document", value_parser = names::<SplitBy, _>([
        ("document", "Assign each document on its own"),
        ("group", "Keep all documents of a group (`--group-column`) in one part"),
        ("label", "Stratified: give each label the same shares in every part"),
    ]))]
    pub(crate) by: SplitBy,

    /// Share of the data for validation, in [0, 1)
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub(crate) validation: f64,

    /// Share of the data for testing, in [0, 1)
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub(crate) test: f64,

    #[command(flatten)]
    pub(crate) seed: SeedArgs,

    /// Output folder, with one file per part; must not exist
    #[arg(long, value_name = "FOLDER", value_parser = folder_to_write())]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// Extract the documentation of Rust crates as training text
///
/// Writes `documents.jsonl`, one document per source file with `text`, `group` (the repository) and `path`, and
/// `items.jsonl`, one row per documented item with `text`, `label` (the kind of item) and `group`. Duplicates are dropped.
/// Prints a hash of the result: the same crates give the same hash on every machine.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer data rust-docs --project . --out rust-docs
  burnformer data rust-docs --source-tree src --kinds fn,struct,enum --out rust-docs-of-src")]
pub(crate) struct RustDocsArgs {
    /// Project folder or `Cargo.toml`; reads the project and all its dependencies
    #[arg(long, value_name = "PATH", default_value = ".", conflicts_with = "source_tree")]
    pub(crate) project: PathBuf,

    /// Source folder; reads all crates below it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) source_tree: Option<PathBuf>,

    /// Maximum text per crate, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 10, value_parser = whole::<usize>(..))]
    pub(crate) max_bytes_per_crate: usize,

    /// Kinds of items to write, comma-separated [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = ITEM_KINDS)]
    pub(crate) kinds: Vec<String>,

    /// Output folder, with both files; must not exist
    #[arg(long, value_name = "FOLDER", value_parser = folder_to_write())]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// The labels of [`burnformer::data::rust_docs::ItemKind`].
const ITEM_KINDS: [&str; 13] =
    ["const", "enum", "field", "fn", "impl", "macro", "mod", "static", "struct", "trait", "type", "union", "variant"];

fn language(code: &str) -> Result<Language, String> {
    Language::try_from(code.to_owned()).map_err(|error| error.to_string())
}
