//! `burnformer data`.

use std::path::PathBuf;

use burnformer::data::sentences::Language;
use burnformer::data::split::SplitBy;
use clap::{Args, Subcommand};

use super::names::names;
use super::numbers::whole;
use super::{FormatArgs, ReportArgs, SeedArgs};

/// Turn text into what models learn from
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

/// Tokenise text into a corpus: memory-mapped shards to train on
///
/// The same command again goes on with a build that was interrupted, or uses what is there if neither text nor tokenizer
/// have changed. A corpus of other text in that folder is replaced, which is said; any other file in it is an error.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer data build --input 'texts/*.txt' --tokenizer tokenizer --out corpus
  burnformer data build --input reviews.csv --label-column label --on-bad-row skip --tokenizer tokenizer --out labelled
  burnformer data build --input train.de --pair-input train.en --tokenizer tokenizer --out pairs
  burnformer data build --input pairs.tsv --text-column de --pair-column en --tokenizer de --pair-tokenizer en --out pairs")]
pub(crate) struct BuildArgs {
    /// Files, folders or patterns to tokenise
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(crate) input: Vec<String>,

    /// As many files, each with the second text of a pair in the line in which that of `--input` has the first
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) pair_input: Vec<String>,

    /// Folder of the tokenizer
    #[arg(long, value_name = "FOLDER")]
    pub(crate) tokenizer: PathBuf,

    /// Folder of the tokenizer for the second text of a pair, if its vocabulary is another one
    #[arg(long, value_name = "FOLDER")]
    pub(crate) pair_tokenizer: Option<PathBuf>,

    /// Language by whose rules sentences end, such as `en`, `zh` or `pt-br`
    #[arg(long, value_name = "CODE", default_value = "en", value_parser = language)]
    pub(crate) language: Language,

    /// Folder of the corpus
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// Count what is in a corpus
///
/// Reads every token, and so finds damage anywhere. The share of padding is that of an epoch of BERT's pretraining, in batches
/// of 32 sequences.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer data stats corpus
  burnformer data stats corpus --seq-length 64 --format json")]
pub(crate) struct StatsArgs {
    /// Folder of the corpus
    #[arg(value_name = "CORPUS")]
    pub(crate) corpus: PathBuf,

    /// Longest sequence in tokens, special ones included, for the share of padding
    #[arg(long, value_name = "TOKENS", default_value_t = 128, value_parser = whole::<u32>(5..=1 << 20))]
    pub(crate) seq_length: u32,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Divide text into training, validation and test
///
/// Writes `train.jsonl`, `validation.jsonl` and `test.jsonl` with the fields `text`, `pair`, `label` and `group`, as far as
/// there are any. Which part a text belongs to depends on the text and the seed. A text that occurred before is left out, so
/// that none is in two parts. Pieces of a document of more than a mebibyte stay together, each in a row of its own.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer data split --input reviews.csv --label-column label --by label --out parts
  burnformer data split --input reviews.csv --group-column author --by group --test 0.2 --out parts-by-author")]
pub(crate) struct SplitArgs {
    /// Files, folders or patterns to divide
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(crate) input: Vec<String>,

    /// What stays together, or is balanced
    #[arg(long, value_name = "WHAT", default_value = "document", value_parser = names::<SplitBy, _>([
        ("document", "Each document goes its own way"),
        ("group", "Documents of one group stay together"),
        ("label", "Each label has the same shares of its documents in each part"),
    ]))]
    pub(crate) by: SplitBy,

    /// Share of the validation part, in [0, 1)
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub(crate) validation: f64,

    /// Share of the test part, in [0, 1)
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub(crate) test: f64,

    #[command(flatten)]
    pub(crate) seed: SeedArgs,

    /// Folder to be made, with a file for each part in it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// Collect the documentation of Rust crates as text
///
/// Writes `documents.jsonl`, a document for each file with the fields `text`, `group` (the repository) and `path`, and
/// `items.jsonl`, a row for each documented item with `text`, `label` (its kind) and `group`. No text occurs twice. The printed
/// hash names the collection: the same crates give the same hash on every machine.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer data rust-docs --project . --out rust-docs
  burnformer data rust-docs --source-tree src --kinds fn,struct,enum --out rust-docs-of-src")]
pub(crate) struct RustDocsArgs {
    /// Folder of a project, or its `Cargo.toml`: all that it depends on is read
    #[arg(long, value_name = "PATH", default_value = ".", conflicts_with = "source_tree")]
    pub(crate) project: PathBuf,

    /// Folder of sources: all crates below it are read
    #[arg(long, value_name = "FOLDER")]
    pub(crate) source_tree: Option<PathBuf>,

    /// The most text that one crate contributes, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 10, value_parser = whole::<usize>(..))]
    pub(crate) max_bytes_per_crate: usize,

    /// Kinds of items to write, separated by commas; all if none is named
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = ITEM_KINDS)]
    pub(crate) kinds: Vec<String>,

    /// Folder to be made, with the two files in it
    #[arg(long, value_name = "FOLDER")]
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
