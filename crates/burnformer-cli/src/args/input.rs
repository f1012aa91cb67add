//! Flags that say how files of text are read.

use burnformer::data::readers::TextLayout;
use burnformer::data::source::OnBadRow;
use clap::{Args, ValueEnum};

use super::names::names;

/// How files are read, whichever flag names them. To be flattened behind a command's own flags, which would else get the
/// heading too.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input")]
pub(crate) struct FormatArgs {
    /// Format of the files; by default their names tell it
    ///
    /// Names that do end with `.txt`, `.md`, `.jsonl`, `.csv`, `.tsv` or `.parquet`, perhaps followed by `.gz` or `.zst`.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) input_format: Option<InputFormat>,

    /// How lines of text make up paragraphs and documents [default: lines]
    #[arg(long, value_name = "LAYOUT", value_parser = names::<TextLayout, _>([
        ("lines", "A file is a document, and each line a paragraph"),
        ("blank-lines", "Blank lines separate documents, and each line is a paragraph"),
        ("file", "A file is a document, and blank lines separate paragraphs"),
    ]))]
    pub(crate) layout: Option<TextLayout>,

    /// Column with the text [default: text, without header 1]
    ///
    /// In JSON lines and Parquet this and the others may be paths, such as `meta.title`.
    #[arg(long, value_name = "NAME")]
    pub(crate) text_column: Option<String>,

    /// Column with the second text of a pair
    #[arg(long, value_name = "NAME")]
    pub(crate) pair_column: Option<String>,

    /// Column with the label
    #[arg(long, value_name = "NAME")]
    pub(crate) label_column: Option<String>,

    /// Column with what rows have in common that belong together, such as an author
    #[arg(long, value_name = "NAME")]
    pub(crate) group_column: Option<String>,

    /// The first row of a CSV or TSV file is no header; columns are called 1, 2, …
    #[arg(long)]
    pub(crate) no_header: bool,

    /// What separates the fields of a CSV file [default: ,]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub(crate) delimiter: Option<char>,

    /// What happens to a row that cannot be used
    #[arg(long, value_name = "POLICY", default_value = "error", value_parser = names::<OnBadRow, _>([
        ("error", "End with an error"),
        ("skip", "Leave it out and count it"),
    ]))]
    pub(crate) on_bad_row: OnBadRow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    /// Running text
    Text,
    /// JSON lines: an object in each line
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
