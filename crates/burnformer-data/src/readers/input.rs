//! Settings of an input: files and format.

use burnformer_core::config::{ConfigError, Validate};
use serde::{Deserialize, Serialize};

use super::columns::repeated;
use super::input_file::STDIN;
use super::{Columns, Encoding, Files, ReadError, TextLayout};
use crate::DataError;
use crate::source::{BytesRead, Source};

/// Files and format of an input. [`Self::open`] returns a [`Source`](crate::source::Source).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Files, folders, and patterns such as `data/**/*.txt`, read in this order; the matches of one folder or pattern
    /// are sorted by path. A folder stands for all files below it, except for hidden ones. A file that matches twice is
    /// read once. `-` stands for the standard input.
    pub paths: Vec<String>,
    /// Format of the files. Each may be compressed with gzip, zstd, bzip2 or xz, whatever its name, or with Brotli if its name
    /// ends in `.br`, except for Parquet files.
    pub format: Format,
    /// Encoding of the text of files without a byte order mark; absent for UTF-8. Parquet files have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
}

/// Format of files, with its options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// Running text.
    Text {
        /// How lines form paragraphs and documents.
        #[serde(default)]
        layout: TextLayout,
    },
    /// Parallel text: line N of `paths` and line N of `target` are a pair. Lines that are blank on both sides
    /// are skipped. A line has at most 8 MiB.
    Parallel {
        /// Files of the other side, as many as `paths`, paired in order.
        target: Vec<String>,
    },
    /// JSON: an object in each line (JSON lines), an array of objects, objects one after another, or one object whose only list of
    /// objects holds the rows.
    Jsonl {
        /// Fields with text, pair, label, group and negatives.
        columns: Columns,
    },
    /// Comma-separated values: a field that begins with `"` continues to the next `"`, across commas and lines.
    Csv {
        /// Columns with text, pair, label, group and negatives.
        columns: Columns,
        /// `true` if the first row names the columns.
        #[serde(default = "yes")]
        header: bool,
        /// Separator of fields.
        #[serde(default = "comma")]
        delimiter: char,
    },
    /// Tab-separated values, where quotes mean nothing, as in GLUE.
    Tsv {
        /// Columns with text, pair, label, group and negatives.
        columns: Columns,
        /// `true` if the first row names the columns.
        #[serde(default = "yes")]
        header: bool,
    },
    /// Questions about contexts with their answers: the JSON of SQuAD 1.1 and 2.0, or rows of JSON with the fields `context`,
    /// `question`, `answers` and `id`. A paragraph with its questions has at most 8 MiB.
    Squad,
    /// Parquet.
    Parquet {
        /// Columns with text, pair, label, group and negatives.
        columns: Columns,
        /// `true` if classes have the names that Hugging Face's `datasets` keeps in the file for their numbers. Absent in the
        /// settings of runs of version 0.1.0, whose classes are the numbers.
        #[serde(default, skip_serializing_if = "is_false")]
        class_names: bool,
    },
    /// Tagged words, one per line, as in the shared tasks of CoNLL. A blank line ends a sentence, as does one that
    /// begins with `-DOCSTART-`. Columns are separated by tabs, or in a line without a tab by white space. A line in
    /// front of a sentence that begins with `# ` and holds no tag is a comment. Tags are those of entities in
    /// any [scheme](crate::tag_scheme::TagScheme), or others, such as parts of speech.
    Conll {
        /// The number of the column with the words, counted from one.
        #[serde(default = "one")]
        word_column: usize,
        /// The number of the column with the tags, counted from one; absent for the last column.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag_column: Option<usize>,
    },
}

impl Input {
    /// Files in UTF-8.
    #[must_use]
    pub fn new(paths: Vec<String>, format: Format) -> Self {
        Self { paths, format, encoding: None }
    }

    /// The columns of the first file, for messages: its header, the keys of its first object, or its schema. None if the format
    /// has no names for them, or the file cannot be read twice or at all.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        // The error about a column that no file has lists those that there are.
        let none = || Columns { text: "\0".to_owned(), ..Columns::default() };
        let format = match &self.format {
            Format::Jsonl { .. } => Format::Jsonl { columns: none() },
            Format::Csv { header: true, delimiter, .. } => {
                Format::Csv { columns: none(), header: true, delimiter: *delimiter }
            }
            Format::Tsv { header: true, .. } => Format::Tsv { columns: none(), header: true },
            Format::Parquet { class_names, .. } => Format::Parquet { columns: none(), class_names: *class_names },
            _ => return Vec::new(),
        };
        if self.paths.iter().any(|path| path == STDIN) {
            return Vec::new();
        }
        let files = Self { format, ..self.clone() }.open();
        match files.ok().and_then(|files| files.read(0, &BytesRead::default()).next()) {
            Some(Err(DataError::Read(
                ReadError::MissingColumn { columns: names, .. } | ReadError::MissingKey { keys: names, .. },
            ))) => names,
            _ => Vec::new(),
        }
    }

    /// Finds the files.
    ///
    /// # Errors
    /// [`DataError::Config`] as [`Validate::validate`], and [`DataError::Read`] if one of the paths or patterns
    /// matches no file. Errors in the files occur when they are read.
    pub fn open(&self) -> Result<Files, DataError> {
        self.validate()?;
        Ok(Files::find(self)?)
    }
}

impl Validate for Input {
    fn validate(&self) -> Result<(), ConfigError> {
        check("paths", &"empty", !self.paths.is_empty(), "at least one path")?;
        let is_text = !matches!(self.format, Format::Parquet { .. });
        let encoding = self.encoding.map_or_else(String::new, |encoding| encoding.to_string());
        check("encoding", &encoding, is_text || self.encoding.is_none(), "none for the format `parquet`")?;
        self.format.validate().map_err(|error| error.within("format"))
    }
}

impl Validate for Format {
    fn validate(&self) -> Result<(), ConfigError> {
        let (columns, header) = match self {
            Self::Text { .. } | Self::Squad => return Ok(()),
            Self::Parallel { target } => {
                return check("target", &"empty", !target.is_empty(), "at least one path");
            }
            Self::Conll { word_column, tag_column } => {
                let columns = [("word_column", Some(*word_column)), ("tag_column", *tag_column)];
                for (key, column) in columns.into_iter().filter_map(|(key, column)| Some((key, column?))) {
                    check(key, &column, column > 0, "the number of a column, counted from 1")?;
                }
                return check(
                    "tag_column",
                    &word_column,
                    *tag_column != Some(*word_column),
                    "another column than `word_column`",
                );
            }
            Self::Csv { delimiter, .. } if !delimiter.is_ascii() || matches!(delimiter, '"' | '\r' | '\n') => {
                return check("delimiter", delimiter, false, "a character of ASCII other than a quote or a line's end");
            }
            Self::Csv { columns, header, .. } | Self::Tsv { columns, header } => (columns, *header),
            Self::Jsonl { columns } | Self::Parquet { columns, .. } => (columns, true),
        };
        let flags = std::iter::repeat_n("label_columns", columns.label_columns.len());
        let keys = ["text", "pair", "label", "group"].into_iter().chain(flags).chain(["negative"]);
        for (key, name) in keys.zip(columns.names()) {
            let (Some(name), key) = (name, format!("columns.{key}")) else { continue };
            check(&key, &"empty", !name.is_empty(), "the name of a column")?;
            let is_number = name.parse::<usize>().is_ok_and(|number| number > 0);
            check(
                &key,
                &name,
                header || is_number,
                "the number of a column, counted from 1, since there is no header",
            )?;
        }
        let Columns { label, label_columns, label_separator, .. } = columns;
        let twice = repeated(label_columns.iter().map(String::as_str)).unwrap_or_default();
        check("columns.label_columns", &twice, twice.is_empty(), "each column once")?;
        let (label, separator) = (label.as_deref().unwrap_or_default(), label_separator.as_deref());
        let alone = label.is_empty() || label_columns.is_empty();
        check("columns.label", &label, alone, "no such setting beside `label_columns`, which hold the labels")?;
        let is_of_use = separator.is_none() || !label.is_empty();
        let expected = "no such setting without `label`, whose cells it separates";
        check("columns.label_separator", &separator.unwrap_or_default(), is_of_use, expected)?;
        check("columns.label_separator", &"empty", separator != Some(""), "at least one character")
    }
}

fn check(field: &str, value: &impl ToString, holds: bool, range: &'static str) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::OutOfRange { field: field.to_owned(), value: value.to_string(), range })
}

fn yes() -> bool {
    true
}

fn is_false(value: &bool) -> bool {
    !value
}

fn one() -> usize {
    1
}

fn comma() -> char {
    ','
}

#[cfg(test)]
mod tests {
    use burnformer_core::settings;

    use super::super::testing::columns;
    use super::*;

    fn input(format: Format) -> Input {
        Input::new(vec!["a".to_owned()], format)
    }

    fn load(toml: &str) -> Result<Input, String> {
        settings::reload_text("a.toml", toml, &[])
            .map_err(|error| std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let text = load("paths = ['a']\nformat.kind = 'text'").unwrap();
        assert_eq!(text, input(Format::Text { layout: TextLayout::Lines }));
        let csv = load("paths = ['a']\nformat = { kind = 'csv', columns.text = 't', columns.label = 'l' }").unwrap();
        assert_eq!(csv, input(Format::Csv { columns: columns("t", "", "l", ""), header: true, delimiter: ',' }));
        let tsv = load("paths = ['a']\nformat = { kind = 'tsv', columns.text = 't' }").unwrap();
        assert_eq!(tsv, input(Format::Tsv { columns: columns("t", "", "", ""), header: true }));
    }

    #[test]
    fn settings_come_back_from_toml() {
        let columns = || columns("1", "2", "3", "4");
        for format in [
            Format::Text { layout: TextLayout::BlankLines },
            Format::Text { layout: TextLayout::File },
            Format::Parallel { target: vec!["b".to_owned()] },
            Format::Jsonl { columns: columns() },
            Format::Csv { columns: columns(), header: false, delimiter: ';' },
            Format::Tsv { columns: columns(), header: false },
            Format::Squad,
            Format::Parquet { columns: columns(), class_names: true },
            Format::Parquet { columns: columns(), class_names: false },
            Format::Conll { word_column: 2, tag_column: Some(4) },
            Format::Conll { word_column: 1, tag_column: None },
        ] {
            let encoding = "gb18030".parse().ok().filter(|_| !matches!(format, Format::Parquet { .. }));
            let input = Input { encoding, ..input(format) };
            assert_eq!(load(&settings::to_toml(&input).unwrap()), Ok(input));
        }
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let check = |input: Input, message: &str| assert_eq!(input.open().unwrap_err().to_string(), message);
        let no_paths = Input { paths: vec![], ..input(Format::Text { layout: TextLayout::Lines }) };
        check(no_paths, "`paths` is empty, expected at least one path");
        check(input(Format::Parallel { target: vec![] }), "`format.target` is empty, expected at least one path");
        let csv = |columns, header, delimiter| input(Format::Csv { columns, header, delimiter });
        check(
            csv(columns("t", "", "", ""), true, '；'),
            "`format.delimiter` is ；, expected a character of ASCII other than a quote or a line's end",
        );
        let numbered = "expected the number of a column, counted from 1, since there is no header";
        check(csv(columns("1", "", "l", ""), false, ','), &format!("`format.columns.label` is l, {numbered}"));
        let tsv = Format::Tsv { columns: columns("0", "", "", ""), header: false };
        check(input(tsv), &format!("`format.columns.text` is 0, {numbered}"));
        let conll = |word_column, tag_column| input(Format::Conll { word_column, tag_column });
        let expected = "expected the number of a column, counted from 1";
        check(conll(0, None), &format!("`format.word_column` is 0, {expected}"));
        check(conll(1, Some(0)), &format!("`format.tag_column` is 0, {expected}"));
        check(conll(3, Some(3)), "`format.tag_column` is 3, expected another column than `word_column`");
        let parquet = Format::Parquet { columns: columns("t", "", "", ""), class_names: false };
        let encoded = Input { encoding: "cp1252".parse().ok(), ..input(parquet) };
        check(encoded, "`encoding` is windows-1252, expected none for the format `parquet`");
        let labels = |label: &str, names: [&str; 2], separator: Option<&str>| {
            let label_columns = names.map(str::to_owned).into_iter().filter(|name| !name.is_empty()).collect();
            let label_separator = separator.map(str::to_owned);
            csv(Columns { label_columns, label_separator, ..columns("t", "", label, "") }, true, ',')
        };
        check(labels("", ["a", "a"], None), "`format.columns.label_columns` is a, expected each column once");
        check(
            labels("l", ["a", "b"], None),
            "`format.columns.label` is l, expected no such setting beside `label_columns`, which hold the labels",
        );
        check(
            labels("", ["a", "b"], Some(";")),
            "`format.columns.label_separator` is ;, expected no such setting without `label`, whose cells it separates",
        );
        check(
            labels("l", ["", ""], Some("")),
            "`format.columns.label_separator` is empty, expected at least one character",
        );
        let jsonl = Format::Jsonl { columns: columns("", "", "", "") };
        check(input(jsonl), "`format.columns.text` is empty, expected the name of a column");
    }

    #[test]
    fn the_columns_of_a_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let names = |name: &str, content: &str, format: Format| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            Input::new(vec![path.display().to_string()], format).column_names().join(" ")
        };
        let columns = || columns("text", "", "", "");
        let csv = |header| Format::Csv { columns: columns(), header, delimiter: ',' };
        assert_eq!(names("a.csv", "id,text,class\n1,a,b\n", csv(true)), "id text class");
        assert_eq!(names("b.csv", "1,a,b\n", csv(false)), "");
        assert_eq!(names("a.jsonl", "{\"t\": 1, \"l\": 2}\n", Format::Jsonl { columns: columns() }), "l t");
        assert_eq!(names("b.jsonl", "", Format::Jsonl { columns: columns() }), "");
        assert_eq!(Input::new(vec!["-".to_owned()], csv(true)).column_names(), Vec::<String>::new());
    }
}
