//! Tables of text: CSV, where quotes may hold anything, and TSV as GLUE has it, where quotes are characters like
//! others.
//!
//! Rows are cut here and not by the crate `csv`, since that would follow a quote which is never closed through the
//! whole file and hold all of it in memory.

use super::columns::{Asked, Cell, Each};
use super::lines::Lines;
use super::{Place, ReadError};
use crate::Record;

/// Dialect of a table.
pub(super) struct Dialect {
    /// Separator of fields: one byte of ASCII.
    pub delimiter: u8,
    /// `true` if a field that begins with a quote continues to the next quote, across delimiters and lines.
    pub quotes: bool,
    /// `true` if the first row names the columns.
    pub header: bool,
}

/// The rows of a file as records. Blank lines are skipped.
pub(super) struct Rows {
    lines: Lines,
    dialect: Dialect,
    columns: Asked,
    /// Number of fields of a row, and the requested ones. Known from the first row on.
    shape: Option<(usize, Each<usize>)>,
    row: Row,
}

impl Rows {
    /// The rows in `lines`.
    pub(super) fn new(lines: Lines, dialect: Dialect, columns: impl Into<Asked>) -> Self {
        Self { lines, dialect, columns: columns.into(), shape: None, row: Row::default() }
    }

    /// Reads the next row into `self.row` and returns its first line.
    fn read_row(&mut self) -> Option<Result<u64, ReadError>> {
        self.row.clear();
        let mut first = None;
        // Each line that a quote takes with it may have been a row.
        let (mut taken, mut stray) = (0, None);
        loop {
            let Some(read) = self.lines.read_bytes() else {
                return first.map(|first| Err(ReadError::UnclosedQuote { at: self.rows(first, taken) }));
            };
            let (number, line) = match read {
                Ok((_, line)) if line.trim_ascii().is_empty() && first.is_none() => continue,
                Ok(line) => line,
                Err(ReadError::TooLong { at, limit }) => {
                    let first = first.unwrap_or(at.number);
                    return Some(Err(ReadError::TooLong { at: Place { number: first, rows: taken + 1, ..at }, limit }));
                }
                Err(error) => return Some(Err(error)),
            };
            let first = *first.get_or_insert(number);
            taken += u64::from(!line.trim_ascii().is_empty());
            let has_ended = self.row.add_line(line, &self.dialect);
            stray = stray.or_else(|| self.row.is_stray.then_some(number));
            if has_ended {
                return Some(match stray {
                    Some(end) => Err(ReadError::StrayQuote { at: self.rows(first, taken), end }),
                    None => Ok(first),
                });
            }
            let limit = self.lines.max_bytes();
            if self.row.bytes.len() > limit {
                return Some(Err(ReadError::TooLong { at: self.rows(first, taken), limit }));
            }
        }
    }

    /// The place of several rows, from line `first` on.
    fn rows(&self, first: u64, rows: u64) -> Place {
        Place { rows, ..self.lines.place(first) }
    }

    /// The separator that the first line of a CSV file names, as in `sep=;` by Excel.
    fn named_delimiter(&self) -> Option<u8> {
        let is_first = self.shape.is_none() && self.dialect.quotes;
        // A comma would have cut it in two.
        let line = &self.row.bytes[..];
        match line.strip_prefix(b"sep=").filter(|_| is_first) {
            Some([]) if self.row.ends.len() == 2 => Some(self.dialect.delimiter),
            Some(&[delimiter]) if self.row.ends.len() == 1 && delimiter.is_ascii() => Some(delimiter),
            _ => None,
        }
    }

    /// The layout from the first row: number of fields, and the requested ones.
    fn shape_of_first(&self) -> Result<(usize, Each<usize>), ReadError> {
        let n_fields = self.row.ends.len();
        let columns: Vec<String> = if self.dialect.header {
            (0..n_fields).map(|field| String::from_utf8_lossy(self.row.field(field)).into_owned()).collect()
        } else {
            (1..=n_fields).map(|number| number.to_string()).collect()
        };
        let names = self.columns.names();
        let mut asked = vec![None; names.len()];
        for (asked, name) in asked.iter_mut().zip(names) {
            let Some(name) = name else { continue };
            let mut places = columns.iter().enumerate().filter(|(_, column)| *column == name).map(|(place, _)| place);
            *asked = places.next();
            if places.next().is_some() {
                let (path, column) = (self.lines.path().clone(), name.to_owned());
                return Err(ReadError::RepeatedColumn { path, column });
            }
            if asked.is_none() {
                let (path, column) = (self.lines.path().clone(), name.to_owned());
                let delimiter = likely_delimiter(&columns);
                return Err(ReadError::MissingColumn { path, column, columns, delimiter });
            }
        }
        Ok((n_fields, asked))
    }

    /// The record of the row that begins at line `number`.
    fn record(&self, number: u64, expected: usize, asked: &Each<usize>) -> Result<Option<Record>, ReadError> {
        let (at, found) = (self.lines.place(number), self.row.ends.len());
        if found != expected {
            return Err(ReadError::FieldCount { at, found, expected });
        }
        let cell = |field: &Option<usize>| {
            let text = |field| self.lines.checks().check(self.row.field(field), || at.clone());
            field.map(|field| Ok(Cell::Text(text(field)?.to_owned()))).transpose()
        };
        let cells = asked.iter().map(cell).collect::<Result<_, ReadError>>()?;
        self.columns.record(at, cells)
    }
}

impl Iterator for Rows {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let number = match self.read_row()? {
                Ok(number) => number,
                Err(error) => return Some(Err(error)),
            };
            if let Some(delimiter) = self.named_delimiter() {
                self.dialect.delimiter = delimiter;
                continue;
            }
            if self.shape.is_none() {
                match self.shape_of_first() {
                    Err(error) => return Some(Err(error)),
                    Ok(shape) => self.shape = Some(shape),
                }
                if self.dialect.header {
                    continue;
                }
            }
            let Some((n_fields, asked)) = &self.shape else { continue };
            if let Some(row) = self.record(number, *n_fields, asked).transpose() {
                return Some(row);
            }
        }
    }
}

/// The separator that the only field of the first row is full of.
fn likely_delimiter(fields: &[String]) -> Option<char> {
    let [field] = fields else { return None };
    let count = |delimiter: &char| field.matches(*delimiter).count();
    [',', ';', '\t', '|'].into_iter().rev().filter(|delimiter| count(delimiter) > 0).max_by_key(count)
}

/// The fields of a row.
#[derive(Default)]
struct Row {
    bytes: Vec<u8>,
    /// End of each field in `bytes`; each begins at the end of the one before.
    ends: Vec<usize>,
    /// `true` if a quote is open.
    is_quoted: bool,
    /// `true` if a quote of an earlier line was closed within a field. RFC 4180 has a separator or the end behind it.
    is_stray: bool,
}

impl Row {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        (self.is_quoted, self.is_stray) = (false, false);
    }

    fn field(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }

    /// Adds the fields of `line`; returns whether the row ends with it.
    fn add_line(&mut self, mut line: &[u8], dialect: &Dialect) -> bool {
        let mut is_start = !self.is_quoted;
        // `true` while the quote is open that an earlier line opened.
        let mut is_taken = self.is_quoted;
        loop {
            let mark = match line.first() {
                Some(b'"') if is_start && dialect.quotes => {
                    self.is_quoted = true;
                    line = &line[1..];
                    b'"'
                }
                _ if self.is_quoted => b'"',
                _ => dialect.delimiter,
            };
            is_start = false;
            let Some(index) = line.iter().position(|&byte| byte == mark) else {
                self.bytes.extend_from_slice(line);
                if self.is_quoted {
                    self.bytes.push(b'\n');
                } else {
                    self.ends.push(self.bytes.len());
                }
                return !self.is_quoted;
            };
            self.bytes.extend_from_slice(&line[..index]);
            line = &line[index + 1..];
            if !self.is_quoted {
                self.ends.push(self.bytes.len());
                is_start = true;
            } else if line.first() == Some(&b'"') {
                self.bytes.push(b'"');
                line = &line[1..];
            } else {
                self.is_quoted = false;
                self.is_stray |= is_taken && line.first().is_some_and(|&byte| byte != dialect.delimiter);
                is_taken = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use csv_core::ReadRecordResult;
    use proptest::prelude::*;

    use super::super::Columns;
    use super::super::testing::{columns, lines, shown};
    use super::*;

    const CSV: Dialect = Dialect { delimiter: b',', quotes: true, header: true };
    const TSV: Dialect = Dialect { delimiter: b'\t', quotes: false, header: true };

    fn read(content: impl AsRef<[u8]>, dialect: Dialect, columns: Columns) -> Vec<String> {
        shown(Rows::new(lines(content, 40), dialect, columns))
    }

    #[test]
    fn a_name_of_several_columns_is_refused() {
        let error =
            "error: `a` has several columns `t`, so it is not clear which one is meant: rename or remove all but one";
        assert_eq!(read("t,u,t\na,b,c\n", CSV, columns("t", "", "", "")), [error]);
        assert_eq!(read("t,u,t\na,b,c\n", CSV, columns("u", "", "", "")), [r#"2 "b""#]);
    }

    #[test]
    fn quotes_hold_anything_in_csv_and_mean_nothing_in_tsv() {
        let content = "id,text,label\r\n1,\"one, \"\"two\"\"\r\n\r\nthree\",x\r\n\r\n2,5\" nail,\"\"\"\"\r\n";
        let rows = [r#"2 "one, \"two\"\n\nthree" label="x""#, r#"6 "5\" nail" label="\"""#];
        assert_eq!(read(content, CSV, columns("text", "", "label", "")), rows);
        let content = "id\ttext\n1\t\"one\n2\ttwo\" \n\n3\t \n";
        assert_eq!(
            read(content, TSV, columns("text", "", "", "id")),
            [r#"2 "\"one" group="1""#, r#"3 "two\" " group="2""#]
        );
    }

    #[test]
    fn a_table_without_header_has_numbered_columns() {
        let dialect = Dialect { header: false, delimiter: b';', ..CSV };
        assert_eq!(read("a;b\nc;d", dialect, columns("2", "", "1", "")), [r#"1 "b" label="a""#, r#"2 "d" label="c""#]);
        let dialect = Dialect { header: false, ..TSV };
        let read = read("a\tb", dialect, columns("3", "", "1", ""));
        assert_eq!(read[0], "error: `a` has no column `3`, it has `1`, `2`");
    }

    #[test]
    fn a_missing_column_is_more_than_a_bad_row() {
        let rows = |content: &str| Rows::new(lines(content, 1000), CSV, columns("text", "", "label", "")).next();
        let error = rows("id,text\n1,a\n").unwrap().unwrap_err();
        assert_eq!(error.to_string(), "`a` has no column `label`, it has `id`, `text`");
        assert!(!error.is_bad_row());
        let many: Vec<String> = (1..=30).map(|n| n.to_string()).collect();
        let error = rows(&many.join(",")).unwrap().unwrap_err();
        assert!(error.to_string().ends_with("`19`, `20` and 10 more"), "{error}");
        assert!(rows("").is_none());
    }

    #[test]
    fn a_separator_that_the_file_names_is_used() {
        for (content, delimiter) in [("sep=;\ntext;label\na,b;x\n", b','), ("sep=;\r\ntext;label\r\na,b;x\r\n", b';')] {
            let dialect = Dialect { delimiter, ..CSV };
            assert_eq!(read(content, dialect, columns("text", "", "label", "")), [r#"3 "a,b" label="x""#]);
        }
        assert_eq!(read("sep=\nsep=;\n", CSV, columns("sep=", "", "", "")), [r#"2 "sep=;""#]);
    }

    #[test]
    fn another_separator_is_named() {
        for (content, dialect, name) in [
            ("text;label\n", CSV, "`;`"),
            ("text\tlabel\n", CSV, "a tab"),
            ("text|label\n", CSV, "`|`"),
            ("text,label\n", TSV, "`,`"),
        ] {
            let header = content.trim_end();
            let error = format!(
                "error: `a` has no column `text`, it has `{header}`, which looks separated by {name}: set the format `csv` and \
                 `delimiter` to that"
            );
            assert_eq!(read(content, dialect, columns("text", "", "", "")), [error]);
        }
        // The name of the only column is wrong, and nothing looks like a separator.
        assert_eq!(read("txt\n", CSV, columns("text", "", "", "")), ["error: `a` has no column `text`, it has `txt`"]);
    }

    #[test]
    fn a_bad_row_is_left_alone() {
        let content = b"text,label\na\nb,x,y\n\"c\nc\xff\",\"z\"\nd,x\0\ne,\xff\nf,x\n";
        let likely = |text| {
            format!("it looks like windows-1252, as which it reads `{text}`: set `encoding` to that if this is right")
        };
        let likely = [likely("c cÿ"), likely("ÿ")];
        assert_eq!(
            read(content, CSV, columns("text", "", "label", "")),
            [
                "error: line 2 of `a` has 1 field, expected 2 as in the first row".to_owned(),
                "error: line 3 of `a` has 3 fields, expected 2 as in the first row".to_owned(),
                format!("error: line 4 of `a` is not UTF-8 from byte 4 on, {}", likely[0]),
                "error: line 6 of `a` holds the byte 0 (its byte 2), expected text".to_owned(),
                format!("error: line 7 of `a` is not UTF-8 from byte 1 on, {}", likely[1]),
                r#"8 "f" label="x""#.to_owned(),
            ]
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_is_not_followed_for_ever() {
        let message = "opens a quote that is never closed and takes 2 lines with it, expected another `\"`, or `\"\"` for a \
                       quote within the text";
        let unclosed = read("text\na\n\"b\nc\n", CSV, columns("text", "", "", ""));
        assert_eq!(unclosed, [r#"2 "a""#.to_owned(), format!("error: line 3 of `a` {message}")]);
        let content = format!("text\n\"b\n{}a\n", "twenty bytes of text\n".repeat(2));
        let error = "error: line 2 of `a` begins a line, paragraph or row of more than 40 bytes, expected shorter ones";
        assert_eq!(read(content, CSV, columns("text", "", "", "")), [error, r#"5 "a""#]);
    }

    /// Rows lost, row by row.
    fn lost(content: &str) -> Vec<Option<u64>> {
        let rows = Rows::new(lines(content, 1000), CSV, columns("text", "", "label", ""));
        rows.map(|row| row.err().map(|error| error.rows_lost().unwrap())).collect()
    }

    #[test]
    fn the_rows_that_a_quote_takes_with_it_are_counted() {
        assert_eq!(lost("text,label\na,x\n\"b,y\nc,x\n\nd,y\n"), [None, Some(3)]);
        // The first quote of another row closes it; what follows is whole again.
        let content = "text,label\n\"b,y\nc,x\n\nd \"e\" f,y\ng,x\n";
        assert_eq!(lost(content), [Some(3), None]);
        let error = "error: line 2 of `a` opens a quote that is closed within a field of line 5, which would take 3 lines \
                     with it, expected `\"\"` for a quote within the text";
        assert_eq!(read(content, CSV, columns("text", "", "label", ""))[0], error);
        // A text of several lines in a row that lacks a field is one row, and quotes within one line are let be.
        assert_eq!(lost("text,label\n\"a\n\nb\"\n\"a\"b,x\n"), [Some(1), None]);
        let long = format!("text,label\n\"b,y\nc,x\n{},x\nd,x\n", "a".repeat(2000));
        assert_eq!(lost(&long), [Some(3), None]);
    }

    /// What the crate `csv-core` reads of at most 64 bytes.
    fn by_csv_core(content: &str, quotes: bool) -> Vec<Vec<String>> {
        let mut reader = csv_core::ReaderBuilder::new().quoting(quotes).build();
        let (mut input, mut rows) = (content.as_bytes(), Vec::new());
        let (mut output, mut ends, mut n_bytes, mut n_fields) = ([0; 64], [0; 64], 0, 0);
        loop {
            let (result, n_read, n_written, n_ended) =
                reader.read_record(input, &mut output[n_bytes..], &mut ends[n_fields..]);
            (input, n_bytes, n_fields) = (&input[n_read..], n_bytes + n_written, n_fields + n_ended);
            match result {
                // Empty input, which the next call is given, is the end.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => {
                    let starts = [&[0], &ends[..n_fields]].concat();
                    let fields = starts.windows(2).map(|field| &output[field[0]..field[1]]);
                    rows.push(fields.map(|field| String::from_utf8(field.to_vec()).unwrap()).collect());
                    (n_bytes, n_fields) = (0, 0);
                }
                ReadRecordResult::End => return rows,
                full => panic!("{full:?}"),
            }
        }
    }

    /// What the crate `csv-core` writes for rows of two fields.
    fn written_by_csv_core(rows: &[[&str; 2]]) -> Vec<u8> {
        let (mut writer, mut content) = (csv_core::Writer::new(), Vec::new());
        let mut room = [0; 512];
        for [first, second] in rows {
            let mut n_bytes = writer.field(first.as_bytes(), &mut room).2;
            n_bytes += writer.delimiter(&mut room[n_bytes..]).1;
            n_bytes += writer.field(second.as_bytes(), &mut room[n_bytes..]).2;
            n_bytes += writer.terminator(&mut room[n_bytes..]).1;
            content.extend_from_slice(&room[..n_bytes]);
        }
        content
    }

    proptest! {
        #[test]
        fn rows_are_cut_as_by_the_crate_csv_core(content in "[a\",\n]{0,24}", quotes: bool) {
            let dialect = Dialect { quotes, ..CSV };
            let mut rows = Rows::new(lines(&content, 40), dialect, columns("1", "", "", ""));
            let mut wanted = by_csv_core(&content, quotes).into_iter();
            while let Some(row) = rows.read_row() {
                let wanted = wanted.next().unwrap();
                if row.is_ok() { // An open quote is none for that crate.
                    let field = |index| String::from_utf8_lossy(rows.row.field(index));
                    let fields: Vec<_> = (0..rows.row.ends.len()).map(field).collect();
                    prop_assert_eq!(fields, wanted);
                }
            }
            prop_assert_eq!(wanted.next(), None);
        }

        #[test]
        fn any_text_comes_back(
            texts in prop::collection::vec(("[^\r\0]{0,9}[a-z\"][^\r\0]{0,9}", "[^\r\0]{0,9}[a-z,]"), 0..6),
        ) {
            let rows = texts.iter().map(|(text, label)| [label.as_str(), text.as_str()]);
            let content = written_by_csv_core(&[["label", "text"]].into_iter().chain(rows).collect::<Vec<_>>());
            let rows = Rows::new(lines(content, 1000), CSV, columns("text", "", "label", ""));
            let read: Vec<_> = rows.map(|row| row.map(|row| (row.text.clone(), row.class().unwrap().to_owned())).unwrap()).collect();
            prop_assert_eq!(read, texts);
        }
    }
}
