//! Flags that select the format of input files.

use burnformer::data::readers::TextLayout;
use burnformer::data::source::OnBadRow;
use clap::{Args, ValueEnum};

use super::names::names;

/// How files are read, whichever flag names them. To be flattened behind a command's own flags, which would else get the
/// heading too.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input")]
pub(crate) struct FormatArgs {
    /// File format [default: taken from the file name]
    ///
    /// Known endings are `.txt`, `.md`, `.jsonl`, `.csv`, `.tsv` and `.parquet`, each with `.gz` or `.zst` too.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) input_format: Option<InputFormat>,

    /// How plain-text files are divided into documents and paragraphs [default: lines]
    #[arg(long, value_name = "LAYOUT", value_parser = names::<TextLayout, _>([
        ("lines", "Each file is a document, each line a paragraph"),
        ("blank-lines", "Blank lines separate documents, each line is a paragraph"),
        ("file", "Each file is a document, blank lines separate paragraphs"),
    ]))]
    pub(crate) layout: Option<TextLayout>,

    /// Column of the text [default: text, or 1 with `--no-header`]
    ///
    /// In JSON lines and Parquet, this and the other column flags also take paths such as `meta.title`.
    #[arg(long, value_name = "NAME")]
    pub(crate) text_column: Option<String>,

    /// Column of the second text of a pair
    #[arg(long, value_name = "NAME")]
    pub(crate) pair_column: Option<String>,

    /// Column of the label
    #[arg(long, value_name = "NAME")]
    pub(crate) label_column: Option<String>,

    /// Column of the group, such as the author: rows with the same value belong together
    #[arg(long, value_name = "NAME")]
    pub(crate) group_column: Option<String>,

    /// Read CSV or TSV files without a header row; columns are named 1, 2, …
    #[arg(long)]
    pub(crate) no_header: bool,

    /// Field separator of CSV files [default: ,]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub(crate) delimiter: Option<char>,

    /// What to do with a row that cannot be used
    #[arg(long, value_name = "POLICY", default_value = "error", value_parser = names::<OnBadRow, _>([
        ("error", "Stop with an error"),
        ("skip", "Skip the row and count it"),
    ]))]
    pub(crate) on_bad_row: OnBadRow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    /// Plain text
    Text,
    /// JSON lines: one object per line
    Jsonl,
    /// Comma-separated values
    Csv,
    /// Tab-separated values
    Tsv,
    /// Parquet
    Parquet,
}

/// A character as it is, or `\t`, which is hard to type.
fn delimiter(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Ok(character),
        _ if text == "\\t" => Ok('\t'),
        _ => Err("expected one character, or `\\t`".to_owned()),
    }
}
