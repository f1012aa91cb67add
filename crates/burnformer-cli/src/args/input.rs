//! Flags that select the format of input files.

use burnformer::data::readers::{Encoding, FormatKind, TextLayout};
use burnformer::data::source::OnBadRow;
use clap::Args;

use super::names::names;

/// How files are read, whichever flag names them. To be flattened behind a command's own flags, which would else get the
/// heading too.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input")]
pub(crate) struct FormatArgs {
    /// File format [default: taken from the file name]
    ///
    /// Known endings are `.txt`, `.md`, `.jsonl`, `.csv`, `.tsv`, `.parquet` and, for CoNLL columns, `.conll`, `.conllu`, `.bio` and `.iob`, each with `.gz`, `.zst`, `.bz2`, `.xz` or `.br` too.
    #[arg(long, value_name = "FORMAT", value_parser = names::<FormatKind, _>([
        ("text", "Plain text"),
        ("jsonl", "JSON: one object per line, or an array of objects"),
        ("csv", "Comma-separated values"),
        ("tsv", "Tab-separated values"),
        ("parquet", "Parquet"),
        ("conll", "CoNLL columns: one word and its tag per line, blank lines between sentences"),
        ("squad", "Questions with answers, in the JSON of SQuAD"),
    ]))]
    pub(crate) input_format: Option<FormatKind>,

    /// How plain-text files are divided into documents and paragraphs [default: lines]
    #[arg(long, value_name = "LAYOUT", value_parser = names::<TextLayout, _>([
        ("lines", "Each file is a document, each line a paragraph"),
        ("blank-lines", "Blank lines separate documents, each line is a paragraph"),
        ("file", "Each file is a document, blank lines separate paragraphs"),
    ]))]
    pub(crate) layout: Option<TextLayout>,

    /// Column of the text [default: text, or 1 with `--no-header`]
    ///
    /// In JSON and Parquet, this and the other column flags also take paths such as `meta.title`; for token classification they
    /// name a list of words and one of tags. In CoNLL files it is the number of the column of the words [default: 1].
    #[arg(long, value_name = "NAME")]
    pub(crate) text_column: Option<String>,

    /// Column of the second text of a pair
    #[arg(long, value_name = "NAME")]
    pub(crate) pair_column: Option<String>,

    /// Column of the label; in CoNLL files the number of the column of the tags [default: the last]
    #[arg(long, value_name = "NAME")]
    pub(crate) label_column: Option<String>,

    /// Columns of 0 and 1, one for each label that a text may have, in place of `--label-column`
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with_all = ["label_column", "label_separator"])]
    pub(crate) label_columns: Vec<String>,

    /// Separator of the labels in a cell of `--label-column` that holds several or none
    #[arg(long, value_name = "TEXT", requires = "label_column")]
    pub(crate) label_separator: Option<String>,

    /// Column of the group, such as the author: rows with the same value belong together
    #[arg(long, value_name = "NAME")]
    pub(crate) group_column: Option<String>,

    /// Read CSV or TSV files without a header row; columns are named 1, 2, …
    #[arg(long)]
    pub(crate) no_header: bool,

    /// Field separator of CSV files [default: ,]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub(crate) delimiter: Option<char>,

    /// Encoding of text without a byte order mark, such as utf-16, windows-1252, gb18030 or euc-jp [default: utf-8]
    // Not flattened: then the group of these flags, with which others conflict, would be empty.
    #[arg(long, value_name = "NAME")]
    pub(crate) encoding: Option<Encoding>,

    /// What to do with a row that cannot be used
    #[arg(long, value_name = "POLICY", default_value = "error", value_parser = names::<OnBadRow, _>([
        ("error", "Stop with an error"),
        ("skip", "Skip the row and count it, with all rows that are lost with it"),
    ]))]
    pub(crate) on_bad_row: OnBadRow,
}

/// The encoding of texts, for commands that read no other files.
#[derive(Args, Clone, Debug)]
pub(crate) struct EncodingArgs {
    /// Encoding of text without a byte order mark, such as utf-16, windows-1252, gb18030 or euc-jp [default: utf-8]
    #[arg(long, value_name = "NAME")]
    pub(crate) encoding: Option<Encoding>,
}

/// Texts to apply a model to.
#[derive(Args, Debug)]
pub(crate) struct TextsArgs {
    /// Texts
    #[arg(value_name = "TEXT", conflicts_with = "input")]
    pub(crate) texts: Vec<String>,

    /// Input files, folders or glob patterns; in plain text each line is one text, unless `--layout` says otherwise
    ///
    /// Every row has its answer, blank ones too. JSON carries the number of the row: its place among all rows of the input, from
    /// 1, headers of tables not counted, rows that `--on-bad-row skip` leaves out counted.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) input: Vec<String>,

    /// Identifier column, printed first on each line, or as `id` in JSON
    #[arg(long, value_name = "NAME", requires = "input", conflicts_with = "group_column")]
    pub(crate) id_column: Option<String>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// How special tokens in texts are read.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct SpecialTokensArgs {
    /// Read special tokens written in a text, such as `[SEP]`, as text [default: as the tokenizer's files say, else as special
    /// tokens]
    #[arg(long)]
    pub(crate) split_special_tokens: bool,
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
