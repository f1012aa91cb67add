//! Errors of files and rows.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;

use super::{Encoding, FormatKind, Likely, MisplacedAnswer, SpanProblem};

/// A file or a row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A path, or a pattern with `*`, `?` or `[`, that matches no file.
    #[error("`{pattern}` matches no file, expected a file, a folder with files, or a pattern such as `data/*.txt`")]
    NoFile {
        /// The path or pattern of the settings.
        pattern: String,
    },
    /// An invalid pattern.
    #[error("`{pattern}` is not a pattern")]
    Pattern {
        /// The path or pattern of the settings.
        pattern: String,
        /// Description of the problem.
        source: glob::PatternError,
    },
    /// A folder that cannot be searched for files.
    #[error("cannot list `{}`", path.display())]
    List {
        /// The folder, or an entry of it.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file whose format cannot be guessed from its name.
    #[error("the file format of `{}` is unknown", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// Files of different formats, by their names.
    #[error(
        "the input files have different formats: `{}` is {first_format}, `{}` is {format}",
        first.display(),
        path.display()
    )]
    MixedFormats {
        /// The first file.
        first: PathBuf,
        /// Format of that file.
        first_format: FormatKind,
        /// The first file of another format.
        path: PathBuf,
        /// Format of that file.
        format: FormatKind,
    },
    /// An option that does not apply to the format.
    #[error("`{option}` cannot be used with the input format `{kind}`, only with {}", listed(fitting))]
    OptionDoesNotFit {
        /// The option.
        option: &'static str,
        /// The format.
        kind: FormatKind,
        /// The formats that it applies to.
        fitting: &'static [FormatKind],
    },
    /// A column name where a column number is needed.
    #[error(
        "`{option}` is `{column}`, expected the number of a column, counted from 1: the format `conll` has no names for \
         them"
    )]
    NotAColumnNumber {
        /// The option.
        option: &'static str,
        /// Value of the option.
        column: String,
    },
    /// Parallel text needs as many files on one side as on the other.
    #[error(
        "found {sources} files of first texts and {targets} of second texts, expected equal numbers: they are paired in order"
    )]
    Unpaired {
        /// Files of the source side.
        sources: usize,
        /// Files of the target side.
        targets: usize,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: Arc<Path>,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The standard input is read once.
    #[error("the standard input was read before, and cannot be read again: write it to a file, and name that")]
    StdinGone,
    /// A compressed file is truncated, as after a broken download.
    #[error(
        "the compressed data of `{}` ends too early, within line {}, and nothing tells how many rows are missing, fetch the \
         file again",
        at.path.display(),
        at.number
    )]
    Torn {
        /// The line that is cut off.
        at: Place,
        /// Error of the decompressor.
        source: io::Error,
    },
    /// A compressed file is damaged.
    #[error(
        "the compressed data of `{}` is corrupt, within or before line {}, and nothing tells how many rows are missing, \
         fetch the file again",
        at.path.display(),
        at.number
    )]
    Corrupt {
        /// The line where it was noticed.
        at: Place,
        /// Error of the decompressor.
        source: io::Error,
    },
    /// A text file whose lines end as on old computers of Apple: read as it is, it would be one line.
    #[error(
        "`{}` ends its lines with a carriage return alone, expected a line feed: convert it, for instance with `tr '\\r' '\\n'`",
        path.display()
    )]
    CarriageReturns {
        /// The file.
        path: Arc<Path>,
    },
    /// A file of another kind than the settings say.
    #[error("`{}` is {found}, expected {expected}, {remedy}", path.display())]
    WrongKind {
        /// The file.
        path: Arc<Path>,
        /// Kind found.
        found: &'static str,
        /// Kind expected.
        expected: &'static str,
        /// Remedy.
        remedy: &'static str,
    },
    /// Text in another encoding.
    #[error("{at} is not UTF-8 from byte {byte} on{}", looks_like(likely.as_ref()))]
    NotUtf8 {
        /// The row.
        at: Place,
        /// The first byte that is wrong, counted from one at the beginning of the line or field.
        byte: usize,
        /// The encoding it may be in; `None` if the text before it is UTF-8.
        likely: Option<Likely>,
    },
    /// Text that is not in the encoding that the settings or the byte order mark name.
    #[error("{at} is not {encoding} from character {character} on, set `encoding` to that of the text")]
    NotEncoded {
        /// The row.
        at: Place,
        /// The encoding.
        encoding: Encoding,
        /// The first character that is wrong, counted from one at the beginning of the line or field.
        character: usize,
    },
    /// A file in an encoding that no row of it can be read without.
    #[error("`{}` looks like {likely}, expected {expected}, or a byte order mark: set `encoding` to `{likely}`", path.display())]
    OtherEncoding {
        /// The file.
        path: Arc<Path>,
        /// The encoding that the settings name.
        expected: Encoding,
        /// The encoding it may be in.
        likely: Encoding,
    },
    /// A control byte that does not occur in text.
    #[error("{at} holds the byte 0 (its byte {byte}), expected text")]
    Nul {
        /// The row.
        at: Place,
        /// Position in the line, counted from one.
        byte: usize,
    },
    /// A line, paragraph or row over the size limit.
    #[error("{at} begins a line, paragraph or row of more than {limit} bytes, expected shorter ones")]
    TooLong {
        /// First line.
        at: Place,
        /// Size limit, in bytes.
        limit: usize,
    },
    /// A file does not have a column that the settings name.
    #[error("`{}` has no column `{column}`, it has {}{}", path.display(), quoted(columns), separated(*delimiter))]
    MissingColumn {
        /// The file.
        path: Arc<Path>,
        /// The column asked for.
        column: String,
        /// The columns of the file.
        columns: Vec<String>,
        /// Another separator of fields, which the name of the only column looks as if it were full of.
        delimiter: Option<char>,
    },
    /// A file with several columns of a name that the settings use.
    #[error(
        "`{}` has several columns `{column}`, so it is not clear which one is meant: rename or remove all but one",
        path.display()
    )]
    RepeatedColumn {
        /// The file.
        path: Arc<Path>,
        /// The name.
        column: String,
    },
    /// Data in a Parquet file that would take more memory than any row needs.
    #[error(
        "`{}` has {found} {what} behind row {rows}, expected at most {limit}: write the file again with smaller pages and \
         shorter values",
        path.display()
    )]
    TooLargeInside {
        /// The file.
        path: Arc<Path>,
        /// Number of rows read before it.
        rows: u64,
        /// Number of rows that are lost with it.
        lost: u64,
        /// What there is too much of, in words.
        what: &'static str,
        /// How much.
        found: u64,
        /// Largest amount.
        limit: u64,
    },
    /// A row with another number of fields than the header, or than the first row where there is no header.
    #[error("{at} has {found} {}, expected {expected} as in the first row", if *found == 1 { "field" } else { "fields" })]
    FieldCount {
        /// The row.
        at: Place,
        /// Number of its fields.
        found: usize,
        /// Number of fields of the first row.
        expected: usize,
    },
    /// A row of tagged words that lacks a column.
    #[error("{at} has {found} {}, expected at least {expected}: a word and its tag", if *found == 1 { "column" } else { "columns" })]
    TooFewColumns {
        /// The row.
        at: Place,
        /// Number of its columns.
        found: usize,
        /// Number of columns needed.
        expected: usize,
    },
    /// A span of characters that does not fit its text.
    #[error("`{field}` in {at} {problem}")]
    BadSpan {
        /// The row.
        at: Place,
        /// The field with the span.
        field: String,
        /// What is wrong with it.
        problem: Box<SpanProblem>,
    },
    /// A row with a list of words and a list of tags of another length.
    #[error("{at} has {words} words and {tags} tags, expected equal numbers")]
    WordCount {
        /// The row.
        at: Place,
        /// Number of words.
        words: usize,
        /// Number of tags.
        tags: usize,
    },
    /// A question with a list of answers and a list of their beginnings of another length.
    #[error("{at} has {texts} answers and {starts} beginnings, expected equal numbers")]
    AnswerCount {
        /// The row.
        at: Place,
        /// Number of texts.
        texts: usize,
        /// Number of beginnings.
        starts: usize,
    },
    /// An answer that is not where the file says.
    #[error("{at}: {problem}")]
    AnswerPlace {
        /// The row.
        at: Place,
        /// What is wrong with it.
        problem: Box<MisplacedAnswer>,
    },
    /// An object of a SQuAD file that is neither a paragraph nor a question.
    #[error(
        "{at} begins an object without `{missing}`, it has {}: expected the JSON of SQuAD, or rows whose columns the settings \
         name",
        quoted(found)
    )]
    NotSquad {
        /// Where it begins.
        at: Place,
        /// What it lacks.
        missing: &'static str,
        /// The keys that it has.
        found: Vec<String>,
    },
    /// A format that cannot hold answers.
    #[error("the input format `{kind}` holds no questions with answers, expected squad, jsonl or parquet")]
    NoAnswers {
        /// The format.
        kind: FormatKind,
    },
    /// A quote that is opened but not closed before the file ends.
    #[error(
        "{at} opens a quote that is never closed and takes {} with it, expected another `\"`, or `\"\"` for a quote within \
         the text",
        lines(at.rows)
    )]
    UnclosedQuote {
        /// The row.
        at: Place,
    },
    /// A quote over several lines that is closed where a field goes on: most likely it is the first quote of another row.
    #[error(
        "{at} opens a quote that is closed within a field of line {end}, which would take {} with it, expected `\"\"` for a \
         quote within the text",
        lines(at.rows)
    )]
    StrayQuote {
        /// The row.
        at: Place,
        /// The line with the quote that closes it.
        end: u64,
    },
    /// A line that is not JSON.
    #[error("{at} is not JSON at column {column}: {reason}")]
    NotJson {
        /// The line.
        at: Place,
        /// The byte in the line, counted from one.
        column: usize,
        /// Error of the parser.
        reason: String,
    },
    /// A line that is JSON, but no object.
    #[error("{at} holds {found}, expected an object such as `{{\"text\": \"…\"}}`")]
    NotObject {
        /// The line.
        at: Place,
        /// Type found, in words.
        found: &'static str,
    },
    /// JSON of which it is not clear what its rows are.
    #[error(
        "`{}` {problem}, expected an object in each line, an array of objects, or one object with a list of objects: convert \
         it, for instance with `jq -c '.data[]'` for a list called `data`",
        path.display()
    )]
    NotJsonLines {
        /// The file.
        path: Arc<Path>,
        /// What it is.
        problem: String,
    },
    /// JSON whose brackets or quotes are not closed, or that lacks a comma.
    #[error("{at} is where {problem}: the rows behind it cannot be told apart")]
    BrokenJson {
        /// Where it was noticed.
        at: Place,
        /// What is wrong.
        problem: &'static str,
    },
    /// A row without a field that the settings name, or with null in it.
    #[error("{at} has no `{field}`")]
    MissingField {
        /// The row.
        at: Place,
        /// The field asked for.
        field: String,
    },
    /// An object without a key that the settings name.
    #[error("{at} has no `{field}`, it has {}", quoted(keys))]
    MissingKey {
        /// The row.
        at: Place,
        /// The key asked for.
        field: String,
        /// The keys of the object.
        keys: Vec<String>,
    },
    /// A row that is blank in one field but not in all that were asked for.
    #[error("{at} has an empty `{field}`")]
    BlankField {
        /// The row.
        at: Place,
        /// The field asked for.
        field: String,
    },
    /// A line of parallel text that is blank in one of the two files.
    #[error("{at} is blank, but the same line of `{}` is not", other.display())]
    BlankSide {
        /// The blank line.
        at: Place,
        /// The file that has text in this line.
        other: Arc<Path>,
    },
    /// A field that holds a value of the wrong type.
    #[error("`{field}` in {at} is {found}, expected {expected}")]
    WrongType {
        /// The row.
        at: Place,
        /// The field asked for.
        field: String,
        /// Type found, in words.
        found: &'static str,
        /// Type expected, in words.
        expected: &'static str,
    },
    /// A value of a label's column that says neither yes nor no.
    #[error("`{field}` in {at} is `{found}`, expected 0 or 1, which says whether the text has this label")]
    NotAFlag {
        /// The row.
        at: Place,
        /// The column of the label.
        field: String,
        /// The value.
        found: String,
    },
    /// Two files of parallel text that do not have the same number of lines.
    #[error(
        "`{}` has {lines} lines and `{}` {target_lines}, expected equal numbers: the files are line-aligned",
        path.display(),
        target.display()
    )]
    LineCount {
        /// The file of the source side.
        path: Arc<Path>,
        /// Its lines.
        lines: u64,
        /// The file of the target side.
        target: Arc<Path>,
        /// Its lines.
        target_lines: u64,
    },
    /// A Parquet file that is truncated, damaged or not supported.
    #[error("cannot read `{}` as Parquet, behind row {rows}{}", path.display(), rows_lost(*lost))]
    Parquet {
        /// The file.
        path: Arc<Path>,
        /// Number of rows before the error.
        rows: u64,
        /// Number of rows that are lost with it: the rest of a row group; `None` if that is unknown.
        lost: Option<u64>,
        /// Error of the parser.
        source: ParquetError,
    },
}

impl ReadError {
    /// Number of rows that are lost if reading goes on behind the error; `None` if that is unknown, or every row has it.
    #[must_use]
    pub fn rows_lost(&self) -> Option<u64> {
        match self {
            Self::NotUtf8 { at, .. }
            | Self::NotEncoded { at, .. }
            | Self::Nul { at, .. }
            | Self::TooLong { at, .. }
            | Self::FieldCount { at, .. }
            | Self::TooFewColumns { at, .. }
            | Self::BadSpan { at, .. }
            | Self::WordCount { at, .. }
            | Self::AnswerCount { at, .. }
            | Self::AnswerPlace { at, .. }
            | Self::NotSquad { at, .. }
            | Self::UnclosedQuote { at }
            | Self::StrayQuote { at, .. }
            | Self::NotJson { at, .. }
            | Self::NotObject { at, .. }
            | Self::MissingField { at, .. }
            | Self::MissingKey { at, .. }
            | Self::BlankField { at, .. }
            | Self::BlankSide { at, .. }
            | Self::NotAFlag { at, .. }
            | Self::WrongType { at, .. } => Some(at.rows),
            Self::TooLargeInside { lost, .. } => Some(*lost),
            Self::Parquet { lost, .. } => *lost,
            _ => None,
        }
    }

    /// The error of a stream that ends at this place.
    pub(super) fn of_stream(at: Place, source: io::Error) -> Self {
        if source.raw_os_error().is_some() {
            Self::Io { path: at.path, source }
        } else if source.kind() == io::ErrorKind::UnexpectedEof {
            Self::Torn { at, source }
        } else {
            Self::Corrupt { at, source }
        }
    }

    pub(crate) fn is_bad_row(&self) -> bool {
        self.rows_lost().is_some()
    }
}

/// Position of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: Arc<Path>,
    /// Unit of the position: `line` or `row`.
    pub unit: &'static str,
    /// The number of the row, counted from one.
    pub number: u64,
    /// Number of rows that an error at this place concerns: more than one if a quote takes the lines behind it with it.
    pub rows: u64,
}

impl Place {
    /// One row of `path`.
    pub(crate) fn new(path: &Arc<Path>, unit: &'static str, number: u64) -> Self {
        Self { path: Arc::clone(path), unit, number, rows: 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of `{}`", self.unit, self.number, self.path.display())
    }
}

fn looks_like(likely: Option<&Likely>) -> String {
    let said = |Likely { encoding, text }: &Likely| {
        format!(", it looks like {encoding}, as which it reads `{text}`: set `encoding` to that if this is right")
    };
    likely.map_or_else(String::new, said)
}

fn separated(delimiter: Option<char>) -> String {
    let name = match delimiter {
        None => return String::new(),
        Some('\t') => "a tab".to_owned(),
        Some(delimiter) => format!("`{delimiter}`"),
    };
    format!(", which looks separated by {name}: set the format `csv` and `delimiter` to that")
}

fn lines(n: u64) -> String {
    if n == 1 { "1 line".to_owned() } else { format!("{n} lines") }
}

/// What the message of a damaged file says of the rows that are lost.
fn rows_lost(lost: Option<u64>) -> String {
    match lost {
        Some(n) => format!(", with the loss of {n} rows"),
        None => String::new(),
    }
}

/// Formats, one behind the other.
fn listed(kinds: &[FormatKind]) -> String {
    kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The first names of a list, in backticks.
fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{} and {} more", shown.join(", "), n - SHOWN),
        _ => shown.join(", "),
    }
}
