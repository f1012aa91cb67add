//! From flags to a source: which format files have, and which flags fit it.

use anyhow::{Error, Result};
use burnformer::data::DataError;
use burnformer::data::readers::{Files, Format, FormatKind, FormatOptions, Input, ReadError};

use crate::args::{FormatArgs, TextsArgs};
use crate::errors::Advised;

/// The files that `paths` stand for, to be read as `args` say.
///
/// # Errors
/// If there are none, their format cannot be told, or a flag does not fit it.
pub(crate) fn open(paths: &[String], args: &FormatArgs) -> Result<Files> {
    Ok(resolve(paths, args, None)?.open()?)
}

/// [`open`], or if there are `pair_paths`, the lines of `paths` as pairs with theirs.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_pairs(paths: &[String], pair_paths: &[String], args: &FormatArgs) -> Result<Files> {
    if pair_paths.is_empty() {
        return open(paths, args);
    }
    let format = args.input_format.map(|_| "input_format");
    let given = || options(args).given().map(|(option, _)| option).find(|option| *option != "encoding");
    if let Some(option) = format.or_else(given) {
        let hint = "line-aligned files are plain text without columns: remove this flag";
        return Err(Advised::new(format!("`{}` cannot be combined with `--pair-input`", flag(option)), hint).into());
    }
    let input = Input::new(paths.to_vec(), Format::Parallel { target: pair_paths.to_vec() });
    Ok(Input { encoding: args.encoding, ..input }.open()?)
}

/// Whether the flags name second texts.
pub(crate) fn names_pairs(pair_paths: &[String], args: &FormatArgs) -> bool {
    !pair_paths.is_empty() || args.pair_column.is_some()
}

/// The settings for [`open`], with a column of negatives.
///
/// # Errors
/// As [`open`].
pub(crate) fn resolve(paths: &[String], args: &FormatArgs, negative_column: Option<&String>) -> Result<Input> {
    let options = FormatOptions { negative_column: negative_column.cloned(), ..options(args) };
    options.input(paths).map_err(|error| in_flags(error, flag))
}

/// The files of texts to be answered, one record for each row. The identifier of a row is its group.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_rows(args: &TextsArgs) -> Result<Files> {
    let Some(id_column) = &args.id_column else { return Ok(open(&args.input, &args.format)?.with_blank_rows()) };
    let options = FormatOptions { group_column: Some(id_column.clone()), ..options(&args.format) };
    let flag = |option: &str| if option == "group_column" { "--id-column".to_owned() } else { flag(option) };
    let input = options.input(&args.input).map_err(|error| in_flags(error, flag))?;
    Ok(input.open()?.with_blank_rows())
}

/// The settings for questions in `paths`, with their answers if they `have_answers`.
///
/// # Errors
/// As [`open`], and if the format holds no answers.
pub(crate) fn resolve_questions(paths: &[String], args: &FormatArgs, have_answers: bool) -> Result<Input> {
    options(args).questions(paths, have_answers).map_err(|error| in_flags(error, flag))
}

/// The files of questions to be answered, one record for each. The identifier of a question is its group.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_questions(args: &TextsArgs) -> Result<Files> {
    let given = options(&args.format);
    let options = FormatOptions { group_column: args.id_column.clone().or(given.group_column.clone()), ..given };
    let flag = |option: &str| match (option, &args.id_column) {
        ("group_column", Some(_)) => "--id-column".to_owned(),
        _ => flag(option),
    };
    Ok(options.questions(&args.input, false).map_err(|error| in_flags(error, flag))?.open()?)
}

/// Refuses the standard input as data of a run, which is read again when the run is resumed.
///
/// # Errors
/// If it is among `paths`.
pub(crate) fn check_for_run<'a>(paths: impl IntoIterator<Item = &'a String>) -> Result<()> {
    if paths.into_iter().all(|path| path != "-") {
        return Ok(());
    }
    let message = "the data of a run cannot come from standard input, since a resumed run reads it again";
    Err(Advised::new(message, "write it to a file, and name that").into())
}

fn options(args: &FormatArgs) -> FormatOptions {
    FormatOptions {
        kind: args.input_format,
        layout: args.layout,
        text_column: args.text_column.clone(),
        pair_column: args.pair_column.clone(),
        label_column: args.label_column.clone(),
        label_columns: args.label_columns.clone(),
        label_separator: args.label_separator.clone(),
        group_column: args.group_column.clone(),
        negative_column: None,
        no_header: args.no_header,
        delimiter: args.delimiter,
        encoding: args.encoding,
    }
}

/// The flag of an option.
fn flag(option: &str) -> String {
    format!("--{}", option.replace('_', "-"))
}

/// What the library says of options, in terms of flags.
fn in_flags(error: DataError, flag: impl Fn(&str) -> String) -> Error {
    let DataError::Read(cause) = &error else { return error.into() };
    let (message, hint) = match cause {
        ReadError::UnknownFormat { .. } => {
            (error.to_string(), "set `--input-format` to text, jsonl, csv, tsv, parquet, conll or squad".to_owned())
        }
        ReadError::MixedFormats { .. } => {
            (error.to_string(), "use files of one format, or set `--input-format`".to_owned())
        }
        ReadError::OptionDoesNotFit { option, kind, fitting } => {
            let message = format!("`{}` cannot be used with the input format `{kind}`", flag(option));
            let fitting = fitting.iter().map(FormatKind::to_string).collect::<Vec<_>>().join(", ");
            (message, format!("remove it, or set `--input-format` if the files are {fitting}"))
        }
        ReadError::NotAColumnNumber { option, column } => {
            let message = format!("`{}` is `{column}`, expected the number of a column, counted from 1", flag(option));
            (message, "columns of the input format `conll` have no names".to_owned())
        }
        _ => return error.into(),
    };
    Advised::new(message, hint).into()
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn resolve(line: &str) -> Result<Input> {
        let command = FormatArgs::augment_args(Command::new("test").no_binary_name(true));
        let args = FormatArgs::from_arg_matches(&command.get_matches_from(line.split_whitespace())).unwrap();
        super::resolve(&["a".to_owned()], &args, None)
    }

    #[test]
    fn flags_become_the_settings_of_a_format() {
        let Format::Csv { columns, header, delimiter } =
            resolve("--input-format csv --delimiter \\t --text-column body --label-column x").unwrap().format
        else {
            panic!("no csv")
        };
        assert_eq!(
            (columns.text.as_str(), columns.label.as_deref(), header, delimiter),
            ("body", Some("x"), true, '\t')
        );
        let conll = Format::Conll { word_column: 2, tag_column: None };
        assert_eq!(resolve("--input-format conll --text-column 2").unwrap().format, conll);
    }

    #[test]
    fn a_flag_that_means_nothing_is_refused() {
        for line in [
            "--input-format text --label-column a",
            "--input-format jsonl --layout lines",
            "--input-format tsv --delimiter ;",
            "--input-format parquet --no-header",
            "--input-format parquet --encoding latin1",
            "--input-format conll --group-column a",
        ] {
            let error = resolve(line).unwrap_err().to_string();
            let format = line.split_whitespace().nth(1).unwrap();
            let flag = line.split_whitespace().nth(2).unwrap();
            assert_eq!(error, format!("`{flag}` cannot be used with the input format `{format}`"));
        }
        let error = resolve("--input-format conll --label-column ner").unwrap_err().to_string();
        assert_eq!(error, "`--label-column` is `ner`, expected the number of a column, counted from 1");
    }
}
