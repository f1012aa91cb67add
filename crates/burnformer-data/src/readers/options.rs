//! Guessing a format from file names and options.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::compression::ENDINGS as PACKED;
use super::input_file::STDIN;
use super::{Columns, Encoding, Format, Input, ReadError, TextLayout};
use crate::DataError;
use crate::source::Source;

/// Kind of a file format, without its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FormatKind {
    /// Running text.
    Text,
    /// JSON lines, or an array of objects.
    Jsonl,
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// Parquet.
    Parquet,
    /// Tagged words in columns (CoNLL).
    Conll,
    /// Questions with answers, in the JSON of SQuAD.
    Squad,
}

/// File name extensions of each format.
const ENDINGS: [(FormatKind, &[&str]); 6] = [
    (FormatKind::Text, &["txt", "text", "md"]),
    (FormatKind::Jsonl, &["jsonl", "ndjson", "json"]),
    (FormatKind::Csv, &["csv"]),
    (FormatKind::Tsv, &["tsv"]),
    (FormatKind::Parquet, &["parquet", "pq"]),
    (FormatKind::Conll, &["conll", "conllu", "iob", "bio"]),
];

impl FormatKind {
    /// The format of the file `name`, by its extension, which may be followed by one of a compression, such as `.gz`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let plain = PACKED.iter().find_map(|packed| name.strip_suffix(*packed)).unwrap_or(&name);
        let (_, ending) = plain.rsplit_once('.')?;
        ENDINGS.iter().find(|(_, endings)| endings.contains(&ending)).map(|(format, _)| *format)
    }

    /// The format of the files of `paths` (files, folders and patterns, as in [`Input::paths`]), guessed from their
    /// names.
    ///
    /// # Errors
    /// [`ReadError::UnknownFormat`] or [`ReadError::MixedFormats`] if the names are not of one format; if there are no
    /// files.
    pub fn guess(paths: &[String]) -> Result<Self, DataError> {
        if let Some(path) = paths.iter().find(|path| *path == STDIN) {
            return Err(ReadError::UnknownFormat { path: path.into() }.into());
        }
        // The files behind folders and patterns do not depend on the format.
        let any = Format::Text { layout: TextLayout::default() };
        let files = Input::new(paths.to_vec(), any).open()?;
        let mut guessed: Option<(Self, &str)> = None;
        for part in files.parts() {
            let name = part.name.as_str();
            let format = Self::of_name(name).ok_or_else(|| ReadError::UnknownFormat { path: name.into() })?;
            match guessed {
                Some((first_format, first)) if first_format != format => {
                    let (first, path) = (first.into(), name.into());
                    return Err(ReadError::MixedFormats { first, first_format, path, format }.into());
                }
                Some(_) => {}
                None => guessed = Some((format, name)),
            }
        }
        // Every path stands for at least one file, so this is the error of no paths.
        guessed.map(|(format, _)| format).ok_or_else(|| ReadError::NoFile { pattern: paths.join(" ") }.into())
    }
}

impl fmt::Display for FormatKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Parquet => "parquet",
            Self::Conll => "conll",
            Self::Squad => "squad",
        })
    }
}

/// Explicit options of reading. Absent options have defaults, and options that do not apply to the format are
/// refused. [`Self::input`] returns an [`Input`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormatOptions {
    /// The format; by default guessed from the file names.
    pub kind: Option<FormatKind>,
    /// How lines of text form paragraphs and documents.
    pub layout: Option<TextLayout>,
    /// The column with the text; by default `text`, or the first one without header. In `conll`, its number.
    pub text_column: Option<String>,
    /// The column with the second text of a pair.
    pub pair_column: Option<String>,
    /// The column with the label. In `conll`, the number of the column with the tags; by default the last one.
    pub label_column: Option<String>,
    /// In place of `label_column`: one column of 0 and 1 for each label that a text may have.
    pub label_columns: Vec<String>,
    /// Separator of the labels in a cell of the label's column; absent if a cell is one class.
    pub label_separator: Option<String>,
    /// The column with the group of a row.
    pub group_column: Option<String>,
    /// The column with a text that does not go together with the first one, or with a list of such texts.
    pub negative_column: Option<String>,
    /// `true` if the first row of a table is no header, so that columns have numbers.
    pub no_header: bool,
    /// Separator of the fields of a CSV file, by default a comma.
    pub delimiter: Option<char>,
    /// Encoding of text without a byte order mark, by default UTF-8.
    pub encoding: Option<Encoding>,
}

impl FormatOptions {
    /// The settings for reading `paths`.
    ///
    /// # Errors
    /// As [`FormatKind::guess`]; [`ReadError::OptionDoesNotFit`] for an option that does not apply to the format, and
    /// [`ReadError::NotAColumnNumber`] for a column name where a number is needed.
    pub fn input(&self, paths: &[String]) -> Result<Input, DataError> {
        let kind = self.kind.map_or_else(|| FormatKind::guess(paths), Ok)?;
        Ok(Input { encoding: self.encoding, ..Input::new(paths.to_vec(), self.format(kind)?) })
    }

    /// The settings for reading questions from `paths`. Files that are JSON by their names are in the form of SQuAD unless a
    /// column is named; columns without a name are called `context`, `question` and `id`, and `answers` if they
    /// `have_answers`.
    ///
    /// # Errors
    /// As [`Self::input`]; [`ReadError::NoAnswers`] for a format that cannot hold answers, if there must be some.
    pub fn questions(&self, paths: &[String], have_answers: bool) -> Result<Input, DataError> {
        let has_columns = self.given().any(|(option, _)| option.ends_with("_column"));
        let kind = match self.kind {
            Some(kind) => kind,
            None => match FormatKind::guess(paths)? {
                FormatKind::Jsonl if !has_columns => FormatKind::Squad,
                kind => kind,
            },
        };
        let options = match kind {
            FormatKind::Squad => self.clone(),
            FormatKind::Jsonl | FormatKind::Parquet => self.with_question_columns(have_answers),
            FormatKind::Csv | FormatKind::Tsv if !have_answers && !self.no_header => self.with_question_columns(false),
            FormatKind::Csv | FormatKind::Tsv if !have_answers => self.clone(),
            kind => return Err(ReadError::NoAnswers { kind }.into()),
        };
        Ok(Input { encoding: self.encoding, ..Input::new(paths.to_vec(), options.format(kind)?) })
    }

    fn with_question_columns(&self, have_answers: bool) -> Self {
        let or = |given: &Option<String>, name: &str| Some(given.clone().unwrap_or_else(|| name.to_owned()));
        Self {
            text_column: or(&self.text_column, "context"),
            pair_column: or(&self.pair_column, "question"),
            label_column: if have_answers { or(&self.label_column, "answers") } else { self.label_column.clone() },
            group_column: if have_answers { or(&self.group_column, "id") } else { self.group_column.clone() },
            ..self.clone()
        }
    }

    /// The options that were given, each with the formats that it fits.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &'static [FormatKind])> {
        use FormatKind::{Conll, Csv, Jsonl, Parquet, Squad, Text, Tsv};
        const COLUMNS: &[FormatKind] = &[Jsonl, Csv, Tsv, Parquet];
        const OR_CONLL: &[FormatKind] = &[Jsonl, Csv, Tsv, Parquet, Conll];
        const ENCODED: &[FormatKind] = &[Text, Jsonl, Csv, Tsv, Conll, Squad];
        let options: [(_, _, &[FormatKind]); 11] = [
            ("layout", self.layout.is_some(), &[Text]),
            ("text_column", self.text_column.is_some(), OR_CONLL),
            ("pair_column", self.pair_column.is_some(), COLUMNS),
            ("label_column", self.label_column.is_some(), OR_CONLL),
            ("label_columns", !self.label_columns.is_empty(), COLUMNS),
            ("label_separator", self.label_separator.is_some(), COLUMNS),
            ("group_column", self.group_column.is_some(), COLUMNS),
            ("negative_column", self.negative_column.is_some(), COLUMNS),
            ("no_header", self.no_header, &[Csv, Tsv]),
            ("delimiter", self.delimiter.is_some(), &[Csv]),
            ("encoding", self.encoding.is_some(), ENCODED),
        ];
        options.into_iter().filter(|(_, is_given, _)| *is_given).map(|(option, _, fitting)| (option, fitting))
    }

    fn format(&self, kind: FormatKind) -> Result<Format, ReadError> {
        if let Some((option, fitting)) = self.given().find(|(_, fitting)| !fitting.contains(&kind)) {
            return Err(ReadError::OptionDoesNotFit { option, kind, fitting });
        }
        let columns = Columns {
            text: self.text_column.clone().unwrap_or_else(|| if self.no_header { "1" } else { "text" }.to_owned()),
            pair: self.pair_column.clone(),
            label: self.label_column.clone(),
            group: self.group_column.clone(),
            label_columns: self.label_columns.clone(),
            label_separator: self.label_separator.clone(),
            negative: self.negative_column.clone(),
        };
        let header = !self.no_header;
        Ok(match kind {
            FormatKind::Text => Format::Text { layout: self.layout.unwrap_or_default() },
            FormatKind::Jsonl => Format::Jsonl { columns },
            FormatKind::Csv => Format::Csv { columns, header, delimiter: self.delimiter.unwrap_or(',') },
            FormatKind::Tsv => Format::Tsv { columns, header },
            FormatKind::Parquet => Format::Parquet { columns, class_names: true },
            FormatKind::Squad => Format::Squad,
            FormatKind::Conll => Format::Conll {
                word_column: number("text_column", self.text_column.as_deref())?.unwrap_or(1),
                tag_column: number("label_column", self.label_column.as_deref())?,
            },
        })
    }
}

/// The number of a column, counted from one.
fn number(option: &'static str, column: Option<&str>) -> Result<Option<usize>, ReadError> {
    let parse = |column: &str| match column.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(ReadError::NotAColumnNumber { option, column: column.to_owned() }),
    };
    column.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(options: &FormatOptions, kind: FormatKind) -> Result<Format, String> {
        options.format(kind).map_err(|error| error.to_string())
    }

    #[test]
    fn names_tell_the_format_compressed_or_not() {
        for (name, format) in [
            ("a.txt", FormatKind::Text),
            ("b/README.MD", FormatKind::Text),
            ("a.b.jsonl.gz", FormatKind::Jsonl),
            ("a.csv.zst", FormatKind::Csv),
            ("a.csv.BZ2", FormatKind::Csv),
            ("a.md.xz", FormatKind::Text),
            ("a.json.br", FormatKind::Jsonl),
            ("a.tsv", FormatKind::Tsv),
            ("a.parquet", FormatKind::Parquet),
            ("a.conll.gz", FormatKind::Conll),
        ] {
            assert_eq!(FormatKind::of_name(name), Some(format), "{name}");
        }
        for name in ["a", "a.gz", "folder.txt/a", ".txt/", "a.docx", ""] {
            assert_eq!(FormatKind::of_name(name), None, "{name}");
        }
    }

    #[test]
    fn all_files_have_one_format_or_it_has_to_be_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["a.csv", "b.csv.gz", "c.txt", "d"] {
            std::fs::write(path(name), "").unwrap();
        }
        let guess = |names: &[&str]| {
            let paths: Vec<String> = names.iter().map(|name| path(name)).collect();
            FormatKind::guess(&paths).map_err(|error| error.to_string().replace(&path(""), ""))
        };
        assert_eq!(guess(&["a.csv", "b.csv.gz"]), Ok(FormatKind::Csv));
        assert_eq!(guess(&["a.csv", "d"]), Err("the file format of `d` is unknown".to_owned()));
        let mixed = "the input files have different formats: `a.csv` is csv, `c.txt` is text";
        assert_eq!(guess(&["a.csv", "c.txt"]), Err(mixed.to_owned()));
    }

    #[test]
    fn columns_have_names_or_without_header_numbers() {
        let columns = |text: &str, label: Option<&str>| Columns {
            text: text.to_owned(),
            label: label.map(str::to_owned),
            ..Columns::default()
        };
        let default = FormatOptions::default;
        assert_eq!(format(&default(), FormatKind::Jsonl), Ok(Format::Jsonl { columns: columns("text", None) }));
        let options =
            FormatOptions { delimiter: Some(';'), no_header: true, label_column: Some("2".to_owned()), ..default() };
        let csv = Format::Csv { columns: columns("1", Some("2")), header: false, delimiter: ';' };
        assert_eq!(format(&options, FormatKind::Csv), Ok(csv));
        let options = FormatOptions { layout: Some(TextLayout::File), ..default() };
        assert_eq!(format(&options, FormatKind::Text), Ok(Format::Text { layout: TextLayout::File }));
        let conll = Format::Conll { word_column: 1, tag_column: None };
        assert_eq!(format(&default(), FormatKind::Conll), Ok(conll));
        let options =
            FormatOptions { text_column: Some("2".to_owned()), label_column: Some("4".to_owned()), ..default() };
        let conll = Format::Conll { word_column: 2, tag_column: Some(4) };
        assert_eq!(format(&options, FormatKind::Conll), Ok(conll));
        let options = FormatOptions { label_column: Some("tag".to_owned()), ..default() };
        let message = "`label_column` is `tag`, expected the number of a column, counted from 1: the format `conll` has no \
                       names for them";
        assert_eq!(format(&options, FormatKind::Conll), Err(message.to_owned()));
    }

    #[test]
    fn questions_are_in_the_form_of_squad_or_in_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["a.json", "a.csv", "a.parquet"] {
            std::fs::write(path(name), "").unwrap();
        }
        let format = |options: &FormatOptions, name: &str, have_answers| {
            let input = options.questions(&[path(name)], have_answers);
            input.map(|input| input.format).map_err(|error| error.to_string())
        };
        let default = FormatOptions::default;
        assert_eq!(format(&default(), "a.json", true), Ok(Format::Squad));
        let columns = |text: &str, label: Option<&str>, group: Option<&str>| Columns {
            text: text.to_owned(),
            pair: Some("question".to_owned()),
            label: label.map(str::to_owned),
            group: group.map(str::to_owned),
            ..Columns::default()
        };
        let named = FormatOptions { text_column: Some("body".to_owned()), ..default() };
        let jsonl = Format::Jsonl { columns: columns("body", Some("answers"), Some("id")) };
        assert_eq!(format(&named, "a.json", true), Ok(jsonl));
        let parquet = Format::Parquet { columns: columns("context", None, None), class_names: true };
        assert_eq!(format(&default(), "a.parquet", false), Ok(parquet));
        let csv = Format::Csv { columns: columns("context", None, None), header: true, delimiter: ',' };
        assert_eq!(format(&default(), "a.csv", false), Ok(csv));
        let refused = "the input format `csv` holds no questions with answers, expected squad, jsonl or parquet";
        assert_eq!(format(&default(), "a.csv", true), Err(refused.to_owned()));
    }

    #[test]
    fn an_option_that_means_nothing_is_refused() {
        let default = FormatOptions::default;
        let check = |options: FormatOptions, kind, message: &str| {
            assert_eq!(format(&options, kind), Err(message.to_owned()));
        };
        let name = || Some("a".to_owned());
        let label = FormatOptions { label_column: name(), ..default() };
        check(
            label,
            FormatKind::Text,
            "`label_column` cannot be used with the input format `text`, only with jsonl, csv, tsv, parquet, conll",
        );
        let layout = FormatOptions { layout: Some(TextLayout::Lines), ..default() };
        check(layout, FormatKind::Jsonl, "`layout` cannot be used with the input format `jsonl`, only with text");
        let delimiter = FormatOptions { delimiter: Some(';'), ..default() };
        check(delimiter, FormatKind::Tsv, "`delimiter` cannot be used with the input format `tsv`, only with csv");
        let group = FormatOptions { group_column: name(), ..default() };
        check(
            group,
            FormatKind::Conll,
            "`group_column` cannot be used with the input format `conll`, only with jsonl, csv, tsv, parquet",
        );
    }
}
