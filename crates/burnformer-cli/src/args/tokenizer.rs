//! `burnformer tokenizer`.

use std::path::PathBuf;

use burnformer::data::tokenizer::TokenizerKind;
use clap::{Args, Subcommand};

use super::names::names;
use super::numbers::whole;
use super::paths::folder_to_write;
use super::{FormatArgs, ReportArgs, SettingsArgs};

/// Train tokenizers
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  burnformer tokenizer train --input texts --input-format text --out tokenizer"
)]
pub(crate) struct TokenizerArgs {
    #[command(subcommand)]
    pub(crate) command: TokenizerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenizerCommand {
    Train(TrainArgs),
}

/// Train a tokenizer on text
///
/// Writes Hugging Face's format. The same text gives the same tokenizer, bit for bit. Settings: `kind`, `vocab_size`,
/// `min_frequency`, `lowercase`, `strip_accents`, `split_chinese`, `limit_alphabet`. Flags override `--set`, which overrides
/// `--config`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer tokenizer train --input 'texts/*.txt' --out tokenizer
  burnformer tokenizer train --input reviews.csv --kind byte-level-bpe --vocab-size 600 --cased --out tokenizer-bpe
  burnformer tokenizer train --input texts --set min_frequency=3 --out tokenizer-small")]
pub(crate) struct TrainArgs {
    /// Training text: files, folders or glob patterns
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(crate) input: Vec<String>,

    /// Tokenizer algorithm [default: word-piece]
    #[arg(long, value_name = "KIND", value_parser = names::<TokenizerKind, _>([
        ("word-piece", "WordPiece, as in BERT"),
        ("byte-level-bpe", "Byte-level BPE, as in GPT-2 and RoBERTa"),
        ("unigram", "Unigram, as in XLM-R and T5; learned on one thread"),
        ("word-level", "One token per word"),
    ]))]
    pub(crate) kind: Option<TokenizerKind>,

    /// Maximum vocabulary size, special tokens included [default: 8192]
    #[arg(long, value_name = "NUMBER", value_parser = whole::<usize>(..))]
    pub(crate) vocab_size: Option<usize>,

    /// Keep upper and lower case distinct
    #[arg(long)]
    pub(crate) cased: bool,

    /// Maximum number of distinct characters in a WordPiece or Unigram vocabulary, most frequent first [default: 6000]
    #[arg(long, value_name = "NUMBER", value_parser = whole::<usize>(..))]
    pub(crate) limit_alphabet: Option<usize>,

    /// Output folder for the tokenizer; must not exist
    #[arg(long, value_name = "FOLDER", value_parser = folder_to_write())]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}
