//! The files of an input, as a source.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::hash::Hasher;
use std::io::{self, Read};
use std::iter;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use burnformer_core::progress::Interrupted;
use twox_hash::XxHash3_64;
use walkdir::WalkDir;

use super::columns::Asked;
use super::input_file::{InputFile, STDIN};
use super::lines::Lines;
use super::parallel::Pairs;
use super::patterns::{is_hidden, matching};
use super::table::Dialect;
use super::text::{Documents, EachLine};
use super::{Encoding, Format, Input, ReadError, TextLayout, conll, jsonl, parquet, squad, table};
use crate::source::{BytesRead, Part, RecordReader, Source};
use crate::{DataError, Record};

/// The files of an [`Input`]: one part per file, or per pair of files of parallel text.
#[derive(Clone, Debug)]
pub struct Files {
    parts: Vec<Part>,
    files: Vec<Sides>,
    format: Format,
    encoding: Option<Encoding>,
    blank_rows: bool,
}

/// A file, and for parallel text the file with the other side.
type Sides = (InputFile, Option<InputFile>);

impl Files {
    /// The same files with a record for every row, those with a blank text too, for who needs an answer to each of them. A line of
    /// text is a record of its own then, in the layout [`TextLayout::Lines`]. Blank lines between the rows of a table, between
    /// JSON objects and between sentences of tagged words are no rows.
    #[must_use]
    pub fn with_blank_rows(self) -> Self {
        Self { blank_rows: true, ..self }
    }

    /// The fingerprint of every part as version 0.1.0 made it, of path, size and time of modification: runs that were begun by
    /// it know no other.
    ///
    /// # Errors
    /// If a file is gone.
    pub fn former_fingerprints(&self) -> Result<Vec<u64>, ReadError> {
        self.files.iter().map(former_fingerprint).collect()
    }

    /// Finds the files of `input`.
    pub(super) fn find(input: &Input) -> Result<Self, ReadError> {
        let sources = resolve(&input.paths)?;
        let targets = match &input.format {
            Format::Parallel { target } => resolve(target)?.into_iter().map(Some).collect(),
            _ => vec![None; sources.len()],
        };
        if sources.len() != targets.len() {
            return Err(ReadError::Unpaired { sources: sources.len(), targets: targets.len() });
        }
        // A pair counts as met before only if both sides do: two translations may share a source.
        let mut met = HashSet::new();
        let key = |file: &InputFile| fs::canonicalize(file.content()).unwrap_or_else(|_| file.content().to_owned());
        let mut files: Vec<Sides> = sources.into_iter().zip(targets).collect();
        files.retain(|(source, target)| met.insert((key(source), target.as_ref().map(key))));
        let parts = files.iter().map(part).collect::<Result<_, _>>()?;
        let (format, encoding) = (input.format.clone(), input.encoding);
        Ok(Self { parts, files, format, encoding, blank_rows: false })
    }
}

impl Source for Files {
    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn read(&self, part: usize, bytes: &BytesRead) -> RecordReader {
        let (sides, format, bytes) = (self.files[part].clone(), self.format.clone(), bytes.clone());
        let (encoding, blank_rows) = (self.encoding, self.blank_rows);
        Box::new(iter::once_with(move || open(&sides, format, encoding, blank_rows, &bytes)).flatten())
    }

    fn fingerprint(&self, part: usize, tick: &mut dyn FnMut(u64) -> Result<(), Interrupted>) -> Result<u64, DataError> {
        let (file, target) = &self.files[part];
        let mut hash = XxHash3_64::new();
        for file in iter::once(file).chain(target) {
            hash_content(file, &mut hash, tick)?;
        }
        Ok(hash.finish())
    }

    fn layout(&self) -> String {
        let format = match &self.format {
            // The names of the other files are no more a part of the content than those of the first.
            Format::Parallel { .. } => "parallel".to_owned(),
            format => format!("{format:?}"),
        };
        self.encoding.map_or_else(|| format.clone(), |encoding| format!("{format} in {encoding}"))
    }
}

/// The records of a file.
fn open(
    (file, target): &Sides,
    format: Format,
    encoding: Option<Encoding>,
    blank_rows: bool,
    bytes: &BytesRead,
) -> RecordReader {
    let lines = || Lines::open(file, encoding, bytes);
    let asked = |columns| Asked { columns, blank_rows };
    match format {
        Format::Text { layout: TextLayout::Lines } if blank_rows => records(lines().map(EachLine)),
        Format::Text { layout } => records(lines().map(|lines| Documents::new(lines, layout))),
        Format::Parallel { .. } => {
            let target = target.as_ref().unwrap_or(file);
            records(Pairs::open(file, target, encoding, bytes))
        }
        Format::Jsonl { columns } => records(lines().map(|lines| jsonl::Objects::new(lines, asked(columns)))),
        Format::Squad => records(lines().map(squad::Questions::new)),
        Format::Csv { columns, header, delimiter } => {
            let dialect = Dialect { delimiter: delimiter as u8, quotes: true, header };
            records(lines().map(|lines| table::Rows::new(lines, dialect, asked(columns))))
        }
        Format::Tsv { columns, header } => {
            let dialect = Dialect { delimiter: b'\t', quotes: false, header };
            records(lines().map(|lines| table::Rows::new(lines, dialect, asked(columns))))
        }
        Format::Conll { word_column: word, tag_column: tag } => {
            let columns = conll::TagColumns { word, tag };
            records(lines().map(|lines| conll::Sentences::new(lines, columns)))
        }
        Format::Parquet { columns, class_names } => {
            records(parquet::Rows::open(file, asked(columns), class_names, bytes))
        }
    }
}

/// The rows of a file up to its end, or to an error other than a bad row.
fn records<I>(rows: Result<I, ReadError>) -> RecordReader
where
    I: Iterator<Item = Result<Record, ReadError>> + Send + 'static,
{
    let mut rows = match rows {
        Ok(rows) => rows,
        Err(error) => return Box::new(iter::once(Err(DataError::from(error)))),
    };
    let mut has_ended = false;
    Box::new(iter::from_fn(move || {
        if has_ended {
            return None;
        }
        let row = rows.next();
        has_ended = match &row {
            Some(Err(error)) => !error.is_bad_row(),
            Some(Ok(_)) => false,
            None => true,
        };
        row.map(|row| row.map_err(DataError::from))
    }))
}

/// The files that match `patterns`, in order.
fn resolve(patterns: &[String]) -> Result<Vec<InputFile>, ReadError> {
    let mut resolved = Vec::new();
    for pattern in patterns {
        if pattern == STDIN {
            resolved.push(InputFile::of(Path::new(pattern))?);
            continue;
        }
        let mut files: Vec<Arc<Path>> = Vec::new();
        // A file whose name looks like a pattern is found all the same.
        if Path::new(pattern).exists() {
            below(Path::new(pattern), &mut files)?;
        } else {
            for path in matching(pattern)? {
                below(&path, &mut files)?;
            }
        }
        if files.is_empty() {
            return Err(ReadError::NoFile { pattern: pattern.clone() });
        }
        files.sort();
        resolved.extend(files.iter().map(InputFile::from));
    }
    Ok(resolved)
}

/// Adds the file `path`, or the files below the folder `path`.
fn below(path: &Path, files: &mut Vec<Arc<Path>>) -> Result<(), ReadError> {
    if !path.is_dir() {
        files.push(path.into());
        return Ok(());
    }
    let entries = WalkDir::new(path).follow_links(true).min_depth(1).into_iter();
    for entry in entries.filter_entry(|entry| !is_hidden(entry.file_name())) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(path).to_owned();
            ReadError::List { path, source: error.into() }
        })?;
        if entry.file_type().is_file() {
            files.push(entry.into_path().into());
        }
    }
    Ok(())
}

/// Name and size of a file, for messages and progress.
fn part((file, target): &Sides) -> Result<Part, ReadError> {
    let mut part = Part { name: file.path().display().to_string(), bytes: 0 };
    for file in iter::once(file).chain(target) {
        part.bytes += metadata(file)?.len();
    }
    Ok(part)
}

fn metadata(file: &InputFile) -> Result<Metadata, ReadError> {
    fs::metadata(file.content()).map_err(|source| ReadError::Io { path: file.path().clone(), source })
}

/// Adds the bytes of a file and their number to `hash`.
fn hash_content(
    file: &InputFile,
    hash: &mut XxHash3_64,
    tick: &mut dyn FnMut(u64) -> Result<(), Interrupted>,
) -> Result<(), DataError> {
    if !metadata(file)?.is_file() {
        // A pipe can be read once only, so what comes out of it is never known to be what came before.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        hash.write_u128(now.as_nanos());
        return Ok(());
    }
    let failed = |source| ReadError::Io { path: file.path().clone(), source };
    let mut file = File::open(file.content()).map_err(failed)?;
    let (mut buffer, mut total) = (vec![0; 1 << 20], 0);
    loop {
        let n_bytes = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n_bytes) => n_bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error).into()),
        };
        hash.write(&buffer[..n_bytes]);
        total += n_bytes as u64;
        tick(n_bytes as u64)?;
    }
    hash.write_u64(total);
    Ok(())
}

fn former_fingerprint((file, target): &Sides) -> Result<u64, ReadError> {
    let mut hash = XxHash3_64::new();
    for file in iter::once(file).chain(target) {
        let metadata = metadata(file)?;
        hash.write_u64(metadata.len());
        hash.write_u128(modified_ns(&metadata));
        hash.write(file.path().as_os_str().as_encoded_bytes());
    }
    Ok(hash.finish())
}

/// Time of modification, in nanoseconds since 1970; 0 if unknown.
fn modified_ns(metadata: &Metadata) -> u128 {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    modified.map_or(0, |time| time.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::super::TextLayout;
    use super::super::testing::{self, gzip, write, zstd};
    use super::*;

    const TEXT: Format = Format::Text { layout: TextLayout::Lines };

    /// The files that `patterns` stand for in `folder`.
    fn find(folder: &Path, patterns: &[&str], format: Format) -> Result<Files, DataError> {
        let at = |pattern: &&str| folder.join(pattern).display().to_string();
        Input::new(patterns.iter().map(at).collect(), format).open()
    }

    fn names(folder: &Path, patterns: &[&str]) -> Vec<String> {
        let files = find(folder, patterns, TEXT).unwrap();
        let name = |part: &Part| Path::new(&part.name).strip_prefix(folder).unwrap().display().to_string();
        files.parts().iter().map(name).collect()
    }

    /// The texts of all parts, or messages of errors.
    fn texts(files: &Files) -> Vec<String> {
        let rows = (0..files.parts().len()).flat_map(|part| files.read(part, &BytesRead::default()));
        rows.map(|row| row.map_or_else(|error| error.to_string(), |row| row.text)).collect()
    }

    #[test]
    fn folders_and_patterns_stand_for_sorted_files_without_repetition() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.txt", "x/c.txt", "x/.d.txt", ".x/e.txt", "x/f/g", "a[1].txt"] {
            write(folder.path(), name, "");
        }
        let all = ["a.txt", "a[1].txt", "b.txt", "x/c.txt", "x/f/g"];
        assert_eq!(names(folder.path(), &["."]), all);
        assert_eq!(names(folder.path(), &["x", "*", "a.txt"]), ["x/c.txt", "x/f/g", "a.txt", "a[1].txt", "b.txt"]);
        assert_eq!(names(folder.path(), &["**/*.txt"]), ["a.txt", "a[1].txt", "b.txt", "x/c.txt"]);
        assert_eq!(names(folder.path(), &["a[1].txt", "x/../a.txt", "a.txt"]), ["a[1].txt", "x/../a.txt"]);
        assert_eq!(names(folder.path(), &["x/.d.txt"]), ["x/.d.txt"]);
    }

    #[test]
    fn every_row_is_a_record_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, content: &str, format: Format| {
            write(folder.path(), name, content);
            let files = find(folder.path(), &[name], format).unwrap();
            let rows = |files: Files| files.read(0, &BytesRead::default()).map(Result::unwrap).collect::<Vec<_>>();
            let row = |row: &Record| (row.line, row.text.clone(), row.pair.clone());
            (rows(files.clone()).len(), rows(files.with_blank_rows()).iter().map(row).collect::<Vec<_>>())
        };
        let row = |line, text: &str, pair: Option<&str>| (line, text.to_owned(), pair.map(str::to_owned));
        let lines = [(1, "a"), (2, ""), (3, " \u{a0}"), (4, "b"), (5, "")].map(|(line, text)| row(line, text, None));
        // The lines of a file are one document else.
        assert_eq!(read("a.txt", "a\n\n \u{a0}\r\nb\n\n", TEXT), (1, lines.to_vec()));
        let pairs = [row(2, "a", Some("b")), row(3, "", Some(" ")), row(5, "c", Some("d"))];
        let columns = || testing::columns("t", "p", "", "");
        let csv = Format::Csv { columns: columns(), header: true, delimiter: ',' };
        assert_eq!(read("a.csv", "t,p\na,b\n\"\",\" \"\n\nc,d\n", csv), (2, pairs.to_vec()));
        let tsv = Format::Tsv { columns: testing::columns("t", "", "", ""), header: true };
        assert_eq!(read("a.tsv", "t\tx\n\t1\n", tsv), (0, vec![row(2, "", None)]));
        let jsonl = "{\"t\": \"\", \"p\": \"x\"}\n";
        let format = Format::Jsonl { columns: testing::columns("t", "", "", "") };
        assert_eq!(read("a.jsonl", jsonl, format), (0, vec![row(1, "", None)]));
    }

    #[test]
    fn a_pattern_without_files_is_named() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.txt", "");
        fs::create_dir(folder.path().join("empty")).unwrap();
        for pattern in ["*.csv", "b.txt", "empty"] {
            let error = find(folder.path(), &["a.txt", pattern], TEXT).unwrap_err();
            let wanted =
                format!("{pattern}` matches no file, expected a file, a folder with files, or a pattern such as");
            assert!(error.to_string().contains(&wanted), "{error}");
            assert!(!error.is_bad_row());
        }
        let error = find(folder.path(), &["***"], TEXT).unwrap_err();
        assert!(error.to_string().ends_with("***` is not a pattern") && !error.is_bad_row(), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "store/a", "");
        fs::create_dir(folder.path().join("x")).unwrap();
        std::os::unix::fs::symlink("../store/a", folder.path().join("x/a")).unwrap();
        assert_eq!(names(folder.path(), &["x"]), ["x/a"]);
        std::os::unix::fs::symlink("..", folder.path().join("x/up")).unwrap();
        let error = find(folder.path(), &["x"], TEXT).unwrap_err();
        assert!(error.to_string().starts_with("cannot list `") && !error.is_bad_row(), "{error}");
    }

    fn fingerprint(files: &Files) -> u64 {
        files.fingerprint(0, &mut |_| Ok(())).unwrap()
    }

    #[test]
    fn the_content_decides_on_the_fingerprint_not_the_place_nor_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "a", "rain");
        write(folder.path(), "b", "rain");
        let find = |name: &str| find(folder.path(), &[name], TEXT).unwrap();
        let (content, former) = (fingerprint(&find("a")), find("a").former_fingerprints().unwrap());
        let touch = || File::options().append(true).open(&path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        touch();
        assert_eq!([fingerprint(&find("a")), fingerprint(&find("b"))], [content; 2]);
        assert_ne!(find("a").former_fingerprints().unwrap(), former);
        let touched = find("a").former_fingerprints().unwrap();
        write(folder.path(), "a", "snow");
        touch();
        assert_ne!(fingerprint(&find("a")), content);
        assert_eq!(find("a").former_fingerprints().unwrap(), touched);
    }

    #[test]
    fn a_fingerprint_tells_where_one_side_ends_and_is_interrupted_between_two_reads() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("1", "ab"), ("2", "c"), ("3", "a"), ("4", "bc")] {
            write(folder.path(), name, content);
        }
        let pair = |source: &str, target: &str| {
            let target = vec![folder.path().join(target).display().to_string()];
            find(folder.path(), &[source], Format::Parallel { target }).unwrap()
        };
        assert_ne!(fingerprint(&pair("1", "2")), fingerprint(&pair("3", "4")));
        let (mut bytes, files) = (0, pair("1", "2"));
        files
            .fingerprint(0, &mut |n| {
                bytes += n;
                Ok(())
            })
            .unwrap();
        assert_eq!((bytes, files.parts()[0].bytes), (3, 3));
        let error = files.fingerprint(0, &mut |_| Err(Interrupted)).unwrap_err();
        assert!(matches!(error, DataError::Interrupted(_)), "{error}");
    }

    #[test]
    fn the_layout_names_the_columns_but_no_files() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", "t,u\n1,2\n");
        let csv =
            |text: &str| Format::Csv { columns: testing::columns(text, "", "", ""), header: true, delimiter: ',' };
        let layout = |format: Format| find(folder.path(), &["a"], format).unwrap().layout();
        assert_ne!(layout(csv("t")), layout(csv("u")));
        let target = vec![folder.path().join("a").display().to_string()];
        assert_eq!(layout(Format::Parallel { target }), "parallel");
    }

    #[test]
    fn all_formats_are_read_from_files_however_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let columns = || testing::columns("t", "", "", "");
        let cases = [
            (TEXT, "rain"),
            (Format::Jsonl { columns: columns() }, "{\"t\": \"rain\"}"),
            (Format::Csv { columns: columns(), header: true, delimiter: ';' }, "\u{feff}t;u\nrain;1"),
            (Format::Tsv { columns: columns(), header: true }, "u\tt\n1\train\n"),
            (Format::Parallel { target: vec![folder.path().join("a").display().to_string()] }, "rain\n"),
        ];
        for (format, content) in cases {
            for content in [content.into(), gzip(content), zstd(content)] {
                write(folder.path(), "a", content);
                assert_eq!(texts(&find(folder.path(), &["a"], format.clone()).unwrap()), ["rain"]);
            }
        }
    }

    #[test]
    fn parallel_files_are_paired_in_the_order_given() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("1", "one"), ("2", "two"), ("x", "zwei"), ("y", "eins")] {
            write(folder.path(), name, content);
        }
        let target = |names: &[&str]| {
            let target = names.iter().map(|name| folder.path().join(name).display().to_string()).collect();
            Format::Parallel { target }
        };
        let files = find(folder.path(), &["1", "2"], target(&["y", "x"])).unwrap();
        let pairs: Vec<_> = (0..2)
            .flat_map(|part| files.read(part, &BytesRead::default()))
            .map(|row| row.unwrap().pair.unwrap())
            .collect();
        assert_eq!(pairs, ["eins", "zwei"]);
        assert_eq!(find(folder.path(), &["1", "1"], target(&["y", "x"])).unwrap().parts().len(), 2);
        let error = find(folder.path(), &["1", "2"], target(&["x"])).unwrap_err();
        let wanted =
            "found 2 files of first texts and 1 of second texts, expected equal numbers: they are paired in order";
        assert_eq!(error.to_string(), wanted);
        assert!(!error.is_bad_row());
    }

    #[test]
    fn reading_ends_behind_an_error_that_is_more_than_a_bad_row() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", "{\"u\": [{}], \"v\": [{}]}\n{\"t\": \"rain\"}\n");
        write(folder.path(), "b", "{}\n{\"t\": \"snow\"}\n");
        let columns = super::super::testing::columns("t", "", "", "");
        let files = find(folder.path(), &["a", "b"], Format::Jsonl { columns }).unwrap();
        assert_eq!(files.read(0, &BytesRead::default()).count(), 1);
        assert_eq!(files.read(1, &BytesRead::default()).count(), 2);
        fs::remove_file(folder.path().join("b")).unwrap();
        let rows: Vec<_> = files.read(1, &BytesRead::default()).collect();
        assert!(rows.len() == 1 && !rows[0].as_ref().unwrap_err().is_bad_row());
    }
}
