//! `burnformer tokenizer`.

use std::path::PathBuf;

use burnformer::data::tokenizer::TokenizerKind;
use clap::{Args, Subcommand};

use super::names::names;
use super::numbers::whole;
use super::{FormatArgs, ReportArgs, SettingsArgs};

/// Make tokenizers
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

/// Learn a vocabulary from text
///
/// The same text gives the same tokenizer, bit by bit. It is written in Hugging Face's format. The settings are `kind`,
/// `vocab_size`, `min_frequency`, `lowercase`, `strip_accents`, `split_chinese` and `limit_alphabet`; flags go before `--set`,
/// and `--set` before the file.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer tokenizer train --input 'texts/*.txt' --out tokenizer
  burnformer tokenizer train --input reviews.csv --kind byte-level-bpe --vocab-size 600 --cased --out tokenizer-bpe
  burnformer tokenizer train --input texts --set min_frequency=3 --out tokenizer-small")]
pub(crate) struct TrainArgs {
    /// Files, folders or patterns to learn from
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(crate) input: Vec<String>,

    /// How text is cut into tokens [default: word-piece]
    #[arg(long, value_name = "KIND", value_parser = names::<TokenizerKind, _>([
        ("word-piece", "The longest known pieces of each word, as in BERT"),
        ("byte-level-bpe", "Merged pairs of bytes, as in GPT-2 and RoBERTa"),
        ("word-level", "Whole words"),
    ]))]
    pub(crate) kind: Option<TokenizerKind>,

    /// The greatest number of tokens, special ones included [default: 8192]
    #[arg(long, value_name = "NUMBER", value_parser = whole::<usize>(..))]
    pub(crate) vocab_size: Option<usize>,

    /// Tell upper and lower case apart
    #[arg(long)]
    pub(crate) cased: bool,

    /// How many different characters WordPiece knows, the commonest ones [default: 6000]
    #[arg(long, value_name = "NUMBER", value_parser = whole::<usize>(..))]
    pub(crate) limit_alphabet: Option<usize>,

    /// Folder to be made, with the tokenizer in it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}
