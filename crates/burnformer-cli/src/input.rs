//! From flags to a source: which format files have, and which flags fit it.

use std::fmt;

use anyhow::Result;
use burnformer::data::readers::{Columns, Files, Format, Input, TextLayout};
use burnformer::data::source::Source;

use crate::args::{FormatArgs, InputFormat};
use crate::errors::Advised;

/// What names of files end with, for each format.
const ENDINGS: [(InputFormat, &[&str]); 5] = [
    (InputFormat::Text, &["txt", "text", "md"]),
    (InputFormat::Jsonl, &["jsonl", "ndjson", "json"]),
    (InputFormat::Csv, &["csv"]),
    (InputFormat::Tsv, &["tsv"]),
    (InputFormat::Parquet, &["parquet", "pq"]),
];

/// The files that `paths` stand for, to be read as `args` say.
///
/// # Errors
/// If there are none, their format cannot be told, or a flag does not fit it.
pub(crate) fn open(paths: &[String], args: &FormatArgs) -> Result<Files> {
    Ok(resolve(paths, args)?.open()?)
}

/// [`open`], or if there are `pair_paths`, the lines of `paths` as pairs with theirs.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_pairs(paths: &[String], pair_paths: &[String], args: &FormatArgs) -> Result<Files> {
    if pair_paths.is_empty() {
        return open(paths, args);
    }
    let format = args.input_format.map(|_| "--input-format");
    if let Some(flag) = format.or_else(|| given(args).next().map(|(flag, _)| flag)) {
        let hint = "line-aligned files are plain text without columns: remove this flag";
        return Err(Advised::new(format!("`{flag}` cannot be combined with `--pair-input`"), hint).into());
    }
    Ok(Input { paths: paths.to_vec(), format: Format::Parallel { target: pair_paths.to_vec() } }.open()?)
}

/// Whether the flags name second texts.
pub(crate) fn names_pairs(pair_paths: &[String], args: &FormatArgs) -> bool {
    !pair_paths.is_empty() || args.pair_column.is_some()
}

/// The settings for [`open`].
///
/// # Errors
/// As [`open`].
pub(crate) fn resolve(paths: &[String], args: &FormatArgs) -> Result<Input> {
    let format = match args.input_format {
        Some(format) => format,
        None => guess(paths)?,
    };
    check_flags(format, args)?;
    let columns = Columns {
        text: args.text_column.clone().unwrap_or_else(|| if args.no_header { "1" } else { "text" }.to_owned()),
        pair: args.pair_column.clone(),
        label: args.label_column.clone(),
        group: args.group_column.clone(),
    };
    let header = !args.no_header;
    let format = match format {
        InputFormat::Text => Format::Text { layout: args.layout.unwrap_or_default() },
        InputFormat::Jsonl => Format::Jsonl { columns },
        InputFormat::Csv => Format::Csv { columns, header, delimiter: args.delimiter.unwrap_or(',') },
        InputFormat::Tsv => Format::Tsv { columns, header },
        InputFormat::Parquet => Format::Parquet { columns },
    };
    Ok(Input { paths: paths.to_vec(), format })
}

/// The format that all files have by their names.
fn guess(paths: &[String]) -> Result<InputFormat> {
    // The files behind folders and patterns do not depend on the format.
    let any = Format::Text { layout: TextLayout::default() };
    let files = Input { paths: paths.to_vec(), format: any }.open()?;
    let mut guessed: Option<(InputFormat, &str)> = None;
    for part in files.parts() {
        let name = part.name.as_str();
        let Some(format) = of_name(name) else {
            let hint = "set `--input-format` to text, jsonl, csv, tsv or parquet";
            return Err(Advised::new(format!("the file format of `{name}` is unknown"), hint).into());
        };
        match guessed {
            Some((other, first)) if other != format => {
                let message =
                    format!("the input files have different formats: `{first}` is {other}, `{name}` is {format}");
                return Err(Advised::new(message, "use files of one format, or set `--input-format`").into());
            }
            _ => guessed = Some((format, guessed.map_or(name, |(_, first)| first))),
        }
    }
    guessed.map(|(format, _)| format).ok_or_else(|| anyhow::anyhow!("there are no files"))
}

/// The format of the file `name`, by what it ends with.
fn of_name(name: &str) -> Option<InputFormat> {
    let name = name.to_lowercase();
    let plain = [".gz", ".zst", ".zstd"].iter().find_map(|packed| name.strip_suffix(packed)).unwrap_or(&name);
    let (_, ending) = plain.rsplit_once('.')?;
    ENDINGS.iter().find(|(_, endings)| endings.contains(&ending)).map(|(format, _)| *format)
}

/// Refuses flags that mean nothing for `format`.
fn check_flags(format: InputFormat, args: &FormatArgs) -> Result<()> {
    for (flag, fitting) in given(args) {
        if !fitting.contains(&format) {
            let fitting = fitting.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let hint = format!("remove it, or set `--input-format` if the files are {fitting}");
            return Err(Advised::new(format!("`{flag}` cannot be used with the input format `{format}`"), hint).into());
        }
    }
    Ok(())
}

/// The flags that were given, each with the formats that it fits.
fn given(args: &FormatArgs) -> impl Iterator<Item = (&'static str, &'static [InputFormat])> {
    use InputFormat::{Csv, Jsonl, Parquet, Text, Tsv};
    const COLUMNS: &[InputFormat] = &[Jsonl, Csv, Tsv, Parquet];
    let flags: [(_, _, &[InputFormat]); 7] = [
        ("--layout", args.layout.is_some(), &[Text]),
        ("--text-column", args.text_column.is_some(), COLUMNS),
        ("--pair-column", args.pair_column.is_some(), COLUMNS),
        ("--label-column", args.label_column.is_some(), COLUMNS),
        ("--group-column", args.group_column.is_some(), COLUMNS),
        ("--no-header", args.no_header, &[Csv, Tsv]),
        ("--delimiter", args.delimiter.is_some(), &[Csv]),
    ];
    flags.into_iter().filter(|(_, is_given, _)| *is_given).map(|(flag, _, fitting)| (flag, fitting))
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Parquet => "parquet",
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn args(line: &str) -> FormatArgs {
        let command = FormatArgs::augment_args(Command::new("test").no_binary_name(true));
        FormatArgs::from_arg_matches(&command.get_matches_from(line.split_whitespace())).unwrap()
    }

    fn format(line: &str) -> Format {
        resolve(&["a".to_owned()], &args(line)).unwrap().format
    }

    #[test]
    fn names_tell_the_format_compressed_or_not() {
        for (name, format) in [
            ("a.txt", InputFormat::Text),
            ("b/README.MD", InputFormat::Text),
            ("a.b.jsonl.gz", InputFormat::Jsonl),
            ("a.csv.zst", InputFormat::Csv),
            ("a.tsv", InputFormat::Tsv),
            ("a.parquet", InputFormat::Parquet),
        ] {
            assert_eq!(of_name(name), Some(format), "{name}");
        }
        for name in ["a", "a.gz", "folder.txt/a", ".txt/", "a.docx", ""] {
            assert_eq!(of_name(name), None, "{name}");
        }
    }

    #[test]
    fn columns_have_names_or_without_header_numbers() {
        let columns = |text: &str, label: Option<&str>| Columns {
            text: text.to_owned(),
            pair: None,
            label: label.map(str::to_owned),
            group: None,
        };
        assert_eq!(format("--input-format jsonl"), Format::Jsonl { columns: columns("text", None) });
        assert_eq!(
            format("--input-format csv --delimiter ; --no-header --label-column 2"),
            Format::Csv { columns: columns("1", Some("2")), header: false, delimiter: ';' }
        );
        let tab = Format::Csv { columns: columns("body", None), header: true, delimiter: '\t' };
        assert_eq!(format("--input-format csv --delimiter \\t --text-column body"), tab);
        assert_eq!(format("--input-format text --layout file"), Format::Text { layout: TextLayout::File });
    }

    #[test]
    fn a_flag_that_means_nothing_is_refused() {
        for line in [
            "--input-format text --label-column a",
            "--input-format jsonl --layout lines",
            "--input-format tsv --delimiter ;",
            "--input-format parquet --no-header",
        ] {
            let error = resolve(&["a".to_owned()], &args(line)).unwrap_err().to_string();
            let format = line.split_whitespace().nth(1).unwrap();
            let flag = line.split_whitespace().nth(2).unwrap();
            assert_eq!(error, format!("`{flag}` cannot be used with the input format `{format}`"));
        }
    }
}
