//! Parquet files, row by row. Only the requested columns are read.

use std::fs::File;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;

use burnformer_core::files::open_regular;
use parquet::basic::Encoding;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::record::{Field, Row};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type, TypePtr};

use super::class_names::{self, ClassNames};
use super::columns::{Asked, Cell, Each, repeated};
use super::input_file::InputFile;
use super::lines::{self, MAX_BYTES};
use super::pages::{self, PAGE_BYTES, Refused};
use super::{Columns, Place, ReadError};
use crate::Record;
use crate::source::BytesRead;

/// The rows of a file as records.
pub(super) struct Rows {
    reader: SerializedFileReader<File>,
    /// The same file, for the headers of pages.
    file: File,
    /// The requested fields, and the columns that they consist of.
    projection: (SchemaDescPtr, Vec<usize>),
    /// Number of the next row group.
    next_group: usize,
    /// The rows of the open row group.
    rows: Option<ReaderIter>,
    columns: Asked,
    /// Names of the classes of label and group.
    class_names: Each<ClassNames>,
    /// Largest page, in bytes.
    page_bytes: u64,
    path: Arc<Path>,
    number: u64,
    /// Number of rows up to the end of the open row group.
    group_end: u64,
    /// Bytes read, and bytes per row: those of the file divided by its rows.
    counter: (BytesRead, u64),
}

impl Rows {
    /// Opens a file. What is read of it is added to `counter`.
    ///
    /// With `names_classes`, classes have the names that the metadata gives their numbers.
    pub(super) fn open(
        file: &InputFile,
        columns: impl Into<Asked>,
        names_classes: bool,
        counter: &BytesRead,
    ) -> Result<Self, ReadError> {
        let (path, content) = (file.path(), file.content());
        let columns = columns.into();
        let io = |source| ReadError::Io { path: path.clone(), source };
        let fail = |source| ReadError::Parquet { path: path.clone(), rows: 0, lost: None, source };
        let mut magic = Vec::new();
        open_regular(content).and_then(|file| file.take(2).read_to_end(&mut magic)).map_err(io)?;
        if magic == [0x1f, 0x8b] {
            let (found, expected) = ("compressed with gzip", "Parquet, which is compressed within");
            return Err(ReadError::WrongKind { path: path.clone(), found, expected, remedy: "decompress it" });
        }
        let file = open_regular(content).map_err(io)?;
        let n_bytes = file.metadata().map_err(io)?.len();
        // Of its own, since a clone of a file shares its position.
        let for_reader = open_regular(content).map_err(io)?;
        let reader = guard(|| SerializedFileReader::new(for_reader)).map_err(fail)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let n_rows = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        for name in columns.names().into_iter().flatten() {
            if !has(schema.root_schema(), name) {
                let columns = schema.columns().iter().map(|column| column.path().string()).collect();
                let (path, column) = (path.clone(), name.to_owned());
                return Err(ReadError::MissingColumn { path, column, columns, delimiter: None });
            }
            let is_asked = |field: &&TypePtr| [name, name.split('.').next().unwrap_or(name)].contains(&field.name());
            let found = schema.root_schema().get_fields().iter().filter(is_asked).map(|field| field.name());
            if let Some(column) = repeated(found) {
                return Err(ReadError::RepeatedColumn { path: path.clone(), column: column.to_owned() });
            }
        }
        let projection = project(&schema, &columns).map_err(fail)?;
        let metadata = reader.metadata().file_metadata().key_value_metadata().filter(|_| names_classes);
        let metadata =
            metadata.and_then(|pairs| pairs.iter().find(|pair| pair.key == class_names::KEY)?.value.as_deref());
        let class_names = columns.names().into_iter().map(|name| ClassNames::of(metadata?, name?)).collect();
        let counter = (counter.clone(), n_bytes / n_rows.max(1));
        let path = path.clone();
        Ok(Self {
            reader,
            file,
            projection,
            next_group: 0,
            rows: None,
            class_names,
            columns,
            page_bytes: PAGE_BYTES,
            path,
            number: 0,
            group_end: 0,
            counter,
        })
    }

    /// The next row. The rest of a row group that cannot be read is one error, which says how many rows are lost; the next
    /// group follows.
    fn row(&mut self) -> Result<Option<Row>, ReadError> {
        let refused = match self.row_of_group() {
            Ok(row) => return Ok(row),
            Err(refused) => refused,
        };
        let (path, rows, lost) = (self.path.clone(), self.number, self.group_end - self.number);
        let too_large =
            |what, found, limit| ReadError::TooLargeInside { path: path.clone(), rows, lost, what, found, limit };
        let error = match refused {
            Refused::Page(found) => too_large("bytes in a page", found, self.page_bytes),
            Refused::Values { found, limit } => too_large("elements in the lists of a row group", found, limit),
            Refused::Damaged(source) => ReadError::Parquet { path, rows, lost: Some(lost), source },
            Refused::Io(source) => ReadError::Io { path, source },
        };
        (self.rows, self.number) = (None, self.group_end);
        Err(error)
    }

    /// The next row; the row groups are opened one after the other.
    fn row_of_group(&mut self) -> Result<Option<Row>, Refused> {
        loop {
            if let Some(rows) = &mut self.rows {
                if let Some(row) = guard(|| rows.next().transpose())? {
                    return Ok(Some(row));
                }
                self.rows = None;
            }
            if self.next_group == self.reader.num_row_groups() {
                return Ok(None);
            }
            let (descriptor, columns) = &self.projection;
            let group = self.next_group;
            let metadata = self.reader.metadata().row_group(group);
            self.next_group += 1;
            self.group_end = self.number.saturating_add(u64::try_from(metadata.num_rows()).unwrap_or(0));
            pages::check(&mut self.file, metadata, columns, self.page_bytes)?;
            // Each value of this encoding may be as large as its page.
            let grows = columns.iter().any(|&column| {
                metadata.column(column).encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY)
            });
            let builder = if grows { TreeBuilder::new().with_batch_size(4) } else { TreeBuilder::new() };
            let open = || builder.as_iter(descriptor.clone(), &*self.reader.get_row_group(group)?);
            self.rows = Some(guard(open)?);
        }
    }

    fn record(&self, row: &Row) -> Result<Option<Record>, ReadError> {
        let at = Place::new(&self.path, "row", self.number);
        let cell = |name: Option<&str>| name.map(|name| cell_of(find(row, name), &at)).transpose();
        let mut cells = self.columns.names().into_iter().map(cell).collect::<Result<Each<Cell>, ReadError>>()?;
        for (cell, names) in cells.iter_mut().zip(&self.class_names) {
            if let (Some(found), Some(names)) = (cell.take_if(|_| names.is_some()), names) {
                *cell = Some(names.named(found));
            }
        }
        self.columns.record(at, cells)
    }
}

impl Iterator for Rows {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.row() {
                Ok(None) => return None,
                Ok(Some(row)) => {
                    self.number += 1;
                    self.counter.0.add(self.counter.1);
                    if let Some(record) = self.record(&row).transpose() {
                        return Some(record);
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The result of `read`. The parser panics on some damaged files; the panic becomes an error.
fn guard<T>(read: impl FnOnce() -> ParquetResult<T>) -> ParquetResult<T> {
    panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("the parser gave up on a corrupt file".to_owned())))
}

/// `true` if a field may exist at the dotted `path`. The contents of lists are known only row by row.
fn has(group: &Type, path: &str) -> bool {
    let field = |name: &str| group.get_fields().iter().find(|field| field.name() == name);
    field(path).is_some()
        || path.split_once('.').is_some_and(|(name, rest)| {
            field(name).is_some_and(|field| field.is_group() && (is_list(field) || has(field, rest)))
        })
}

fn is_list(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.logical_type_ref().is_some() || info.converted_type() != parquet::basic::ConvertedType::NONE
}

/// The schema with only those fields that `columns` lie in, and the numbers of the columns they consist of.
fn project(schema: &SchemaDescriptor, columns: &Columns) -> ParquetResult<(SchemaDescPtr, Vec<usize>)> {
    let root = schema.root_schema();
    let is_asked = |field: &str| {
        let lies_in =
            |name: &str| name.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        columns.names().into_iter().flatten().any(lies_in)
    };
    let fields = root.get_fields().iter().filter(|field| is_asked(field.name())).cloned().collect();
    let numbers = (0..schema.num_columns()).filter(|&column| is_asked(schema.get_column_root(column).name()));
    let projection = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    Ok((Arc::new(SchemaDescriptor::new(Arc::new(projection))), numbers.collect()))
}

/// The field at the dotted `path`. A name that contains the dots itself takes precedence.
fn find<'a>(row: &'a Row, path: &str) -> Option<&'a Field> {
    let get = |name: &str| row.get_column_iter().find(|(column, _)| *column == name).map(|(_, field)| field);
    get(path).or_else(|| {
        let (name, rest) = path.split_once('.')?;
        find_in(get(name)?, rest)
    })
}

/// Like [`find`], in what a field holds.
fn find_in<'a>(field: &'a Field, path: &str) -> Option<&'a Field> {
    match field {
        Field::Group(row) => find(row, path),
        Field::ListInternal(list) => {
            let get = |index: &str| list.elements().get(index.parse::<usize>().ok()?);
            get(path).or_else(|| {
                let (index, rest) = path.split_once('.')?;
                find_in(get(index)?, rest)
            })
        }
        _ => None,
    }
}

fn cell_of(field: Option<&Field>, at: &Place) -> Result<Cell, ReadError> {
    Ok(match field {
        None | Some(Field::Null) => Cell::Nothing,
        Some(Field::Str(text)) if text.len() > MAX_BYTES => return Err(too_long(at)),
        Some(Field::Bytes(bytes)) if bytes.len() > MAX_BYTES => return Err(too_long(at)),
        Some(Field::Str(text)) => Cell::Text(lines::check(text.as_bytes(), || at.clone())?.to_owned()),
        // Many writers do not say that their bytes are text.
        Some(Field::Bytes(bytes)) => Cell::Text(lines::check(bytes.data(), || at.clone())?.to_owned()),
        Some(Field::Bool(value)) => Cell::Scalar("a Boolean", value.to_string()),
        Some(Field::Group(row)) => {
            let field = |(name, field): (&String, &Field)| Ok((name.clone(), cell_of(Some(field), at)?));
            Cell::Fields("a struct", row.get_column_iter().map(field).collect::<Result<_, _>>()?)
        }
        Some(Field::ListInternal(list)) => {
            Cell::List(list.elements().iter().map(|item| cell_of(Some(item), at)).collect::<Result<_, _>>()?)
        }
        Some(Field::MapInternal(_)) => Cell::Other("a map"),
        // What pandas writes for a missing value in a column of numbers.
        Some(Field::Float16(value)) if value.is_nan() => Cell::Nothing,
        Some(Field::Float(value)) if value.is_nan() => Cell::Nothing,
        Some(Field::Double(value)) if value.is_nan() => Cell::Nothing,
        Some(Field::Float16(value)) if value.is_infinite() => Cell::Other("an infinite number"),
        Some(Field::Float(value)) if value.is_infinite() => Cell::Other("an infinite number"),
        Some(Field::Double(value)) if value.is_infinite() => Cell::Other("an infinite number"),
        // The crate's own text of a float below zero is in scientific notation, unlike that in JSON.
        Some(Field::Float(value)) => Cell::Scalar("a number", format!("{value:?}")),
        Some(Field::Double(value)) => Cell::Scalar("a number", format!("{value:?}")),
        Some(Field::Date(_) | Field::TimeMillis(_) | Field::TimeMicros(_)) => Cell::Other("a date or a time"),
        Some(Field::TimestampMillis(_) | Field::TimestampMicros(_)) => Cell::Other("a date or a time"),
        Some(number) => Cell::Scalar("a number", number.to_string()),
    })
}

fn too_long(at: &Place) -> ReadError {
    ReadError::TooLong { at: at.clone(), limit: MAX_BYTES }
}

#[cfg(test)]
mod tests {
    use parquet::basic::Compression;
    use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
    use parquet::schema::parser::parse_message_type;

    use super::super::testing::{columns, gzip, shown, write};
    use super::*;

    const SCHEMA: &str = "message rows {
        required binary text (UTF8); optional binary label (UTF8); required int32 class; required double score;
        required boolean good; required group meta { optional binary author (UTF8); }
        required group choices (LIST) { repeated group list { required binary element (UTF8); } }
        required binary raw;
    }";

    /// Writes `$values` with their levels into the next column.
    macro_rules! column {
        ($group:expr, $kind:ty, $values:expr, $defined:expr, $repeated:expr) => {{
            let mut column = $group.next_column().unwrap().unwrap();
            column.typed::<$kind>().write_batch(&$values, $defined, $repeated).unwrap();
            column.close().unwrap();
        }};
    }

    fn bytes(values: &[&str]) -> Vec<ByteArray> {
        values.iter().map(|value| ByteArray::from(*value)).collect()
    }

    fn row_group(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, texts: [&str; 2]) {
        column!(group, ByteArrayType, bytes(&texts), None, None);
        column!(group, ByteArrayType, bytes(&["x"]), Some(&[1, 0]), None);
        column!(group, Int32Type, [-1, 2], None, None);
        column!(group, DoubleType, [-4.0, 0.5], None, None);
        column!(group, BoolType, [true, false], None, None);
        column!(group, ByteArrayType, bytes(&["Ann"]), Some(&[1, 0]), None);
        column!(group, ByteArrayType, bytes(&["one", "two", "three"]), Some(&[1, 1, 1]), Some(&[0, 1, 0]));
        column!(group, ByteArrayType, [ByteArray::from(vec![b'a']), ByteArray::from(vec![b'b', 0xff])], None, None);
    }

    /// A file of two row groups with two rows each.
    fn file() -> Vec<u8> {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
        for texts in [["rain", "snow"], [" ", "hail"]] {
            let mut group = writer.next_row_group().unwrap();
            row_group(&mut group, texts);
            group.close().unwrap();
        }
        writer.into_inner().unwrap()
    }

    /// The rows of a file `a` with this content.
    fn read(content: &[u8], columns: Columns) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "a", content);
        let shown = match Rows::open(&InputFile::from(&path), columns, true, &BytesRead::default()) {
            Ok(rows) => shown(rows),
            Err(error) => shown(std::iter::once(Err(error))),
        };
        shown.into_iter().map(|row| row.replace(&path.display().to_string(), "a")).collect()
    }

    #[test]
    fn rows_come_from_all_row_groups() {
        let rows = [r#"1 "rain""#, r#"2 "snow""#, r#"4 "hail""#];
        assert_eq!(read(&file(), columns("text", "", "", "")), rows);
    }

    #[test]
    fn scalars_structs_and_lists_are_found() {
        let read_all = read(&file(), columns("text", "choices.0", "score", "meta.author"));
        assert_eq!(read_all[0], r#"1 "rain" pair="one" label="-4.0" group="Ann""#);
        assert_eq!(read_all[1], r#"2 "snow" pair="three" label="0.5""#);
        let labels = |name| read(&file(), columns("text", "", name, ""))[0].clone();
        assert_eq!(labels("class"), r#"1 "rain" label="-1""#);
        assert_eq!(labels("good"), r#"1 "rain" label="true""#);
        assert_eq!(read(&file(), columns("raw", "", "", ""))[0], r#"1 "a""#);
    }

    #[test]
    fn labels_are_in_a_list_or_in_columns_of_their_own() {
        let listed = read(&file(), columns("text", "", "choices", ""));
        assert_eq!(listed[..2], [r#"1 "rain" labels=one,two"#, r#"2 "snow" labels=three"#]);
        let flags = |name: &str| {
            let columns = Columns { label_columns: vec![name.to_owned()], ..columns("text", "", "", "") };
            read(&file(), columns)[..2].to_vec()
        };
        assert_eq!(flags("good"), [r#"1 "rain" labels=good"#, r#"2 "snow" labels="#]);
        let error =
            "error: `class` in row 1 of `a` is `-1`, expected 0 or 1, which says whether the text has this label";
        assert_eq!(flags("class")[0], error);
    }

    /// A page of few bytes may stand for gigabytes.
    #[test]
    fn a_large_page_is_refused_before_it_is_decompressed() {
        let schema = Arc::new(parse_message_type("message rows { required binary text; }").unwrap());
        for codec in [Compression::SNAPPY, Compression::ZSTD(Default::default()), Compression::GZIP(Default::default())]
        {
            let properties = WriterProperties::builder().set_compression(codec).set_dictionary_enabled(false);
            let mut writer =
                SerializedFileWriter::new(Vec::new(), schema.clone(), Arc::new(properties.build())).unwrap();
            for length in [3, 100_000] {
                let mut group = writer.next_row_group().unwrap();
                column!(group, ByteArrayType, bytes(&["a".repeat(length).as_str()]), None, None);
                group.close().unwrap();
            }
            let folder = tempfile::tempdir().unwrap();
            let path = write(folder.path(), "a", writer.into_inner().unwrap());
            let rows = |page_bytes| {
                let rows =
                    Rows::open(&InputFile::from(&path), columns("text", "", "", ""), true, &BytesRead::default())
                        .unwrap();
                shown(Rows { page_bytes, ..rows })
            };
            assert_eq!(rows(PAGE_BYTES)[1].len(), 100_004);
            let refused = rows(50_000);
            let error =
                format!("error: `{}` has 100004 bytes in a page behind row 1, expected at most 50000", path.display());
            assert!(refused.len() == 2 && refused[1].starts_with(&error), "{refused:?}");
        }
    }

    #[test]
    fn a_page_that_is_larger_than_it_says_is_refused() {
        let schema = Arc::new(parse_message_type("message rows { required binary text; }").unwrap());
        for codec in [Compression::GZIP(Default::default()), Compression::BROTLI(Default::default())] {
            let properties = WriterProperties::builder().set_compression(codec).set_dictionary_enabled(false);
            let mut writer =
                SerializedFileWriter::new(Vec::new(), schema.clone(), Arc::new(properties.build())).unwrap();
            let mut group = writer.next_row_group().unwrap();
            column!(group, ByteArrayType, bytes(&["a".repeat(100_000).as_str()]), None, None);
            group.close().unwrap();
            let mut content = writer.into_inner().unwrap();
            // The type of the page, and its size: 100,004 bytes, and then 20,000.
            let size = [0x15, 0, 0x15, 0xc8, 0x9a, 0x0c];
            let at = content.windows(size.len()).position(|window| window == size).unwrap();
            content[at + 3..at + 6].copy_from_slice(&[0xc0, 0xb8, 0x02]);
            let folder = tempfile::tempdir().unwrap();
            let file = InputFile::from(write(folder.path(), "a", content));
            let mut rows = Rows::open(&file, columns("text", "", "", ""), true, &BytesRead::default()).unwrap();
            let Some(Err(ReadError::Parquet { source, lost: Some(1), .. })) = rows.next() else { panic!("{codec}") };
            assert!(source.to_string().contains("a page is larger than its header says"), "{source}");
        }
    }

    #[test]
    fn columns_of_one_name_are_refused() {
        let schema =
            Arc::new(parse_message_type("message rows { required int32 text; required int32 text; }").unwrap());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        column!(group, Int32Type, [1], None, None);
        column!(group, Int32Type, [1], None, None);
        group.close().unwrap();
        let read = read(&writer.into_inner().unwrap(), columns("text", "", "", ""));
        assert_eq!(
            read,
            ["error: `a` has several columns `text`, so it is not clear which one is meant: rename or remove all \
                           but one"]
        );
    }

    #[test]
    fn a_bad_row_is_left_alone() {
        let missing = read(&file(), columns("text", "", "label", ""));
        assert_eq!(missing[..2], [r#"1 "rain" label="x""#, "error: row 2 of `a` has no `label`"]);
        assert_eq!(read(&file(), columns("choices.1", "", "", ""))[1], "error: row 2 of `a` has no `choices.1`");
        let error = "error: row 2 of `a` is not UTF-8 from byte 2 on";
        assert_eq!(read(&file(), columns("raw", "", "", ""))[1], error);
        for (name, found) in [("choices", "a list"), ("meta", "a struct"), ("class", "a number"), ("good", "a Boolean")]
        {
            let error = format!("error: `{name}` in row 1 of `a` is {found}, expected text");
            assert_eq!(read(&file(), columns(name, "", "", ""))[0], error);
        }
    }

    #[test]
    fn a_row_group_that_cannot_be_read_loses_its_rows_alone() {
        let mut content = file();
        content[4..12].fill(0xff); // the header of the first page
        let read = read(&content, columns("text", "", "", ""));
        let error = "error: cannot read `a` as Parquet, behind row 0, with the loss of 2 rows";
        assert_eq!(read, [error, r#"4 "hail""#]);
    }

    #[test]
    fn classes_have_the_names_of_the_metadata() {
        let schema = "message rows { required binary text; required int64 label;
            required group words (LIST) { repeated group list { required binary element (UTF8); } }
            required group tags (LIST) { repeated group list { required int64 element; } } }";
        let metadata = r#"{"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
            "tags": {"feature": {"names": ["O", "B-PER"], "_type": "ClassLabel"}, "_type": "List"}}}}"#;
        let metadata = vec![KeyValue::new("huggingface".to_owned(), metadata.to_owned())];
        let properties = WriterProperties::builder().set_key_value_metadata(Some(metadata)).build();
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        column!(group, ByteArrayType, bytes(&["a", "b", "c"]), None, None);
        column!(group, Int64Type, [1, -1, 2], None, None);
        column!(group, ByteArrayType, bytes(&["Anna", "sings", "b", "c"]), Some(&[1, 1, 1, 1]), Some(&[0, 1, 0, 0]));
        column!(group, Int64Type, [1, 0, 0, 5], Some(&[1, 1, 1, 1]), Some(&[0, 1, 0, 0]));
        group.close().unwrap();
        let content = writer.into_inner().unwrap();
        let unnamed = "a number that the metadata of the file has no name for, expected";
        let rows = read(&content, columns("text", "", "label", ""));
        assert_eq!(rows[..2], [r#"1 "a" label="pos""#, "error: row 2 of `a` has no `label`"]);
        assert!(rows[2].contains(unnamed), "{}", rows[2]);
        let rows = read(&content, columns("words", "", "tags", ""));
        assert_eq!(rows[..2], [r#"1 "Anna sings" tags=Anna:B-PER,sings:O"#, r#"2 "b" tags=b:O"#]);
        assert!(rows[2].contains(unnamed), "{}", rows[2]);
        let folder = tempfile::tempdir().unwrap();
        let file = InputFile::from(write(folder.path(), "a", &content));
        let numbered = Rows::open(&file, columns("text", "", "label", ""), false, &BytesRead::default()).unwrap();
        assert_eq!(shown(numbered)[0], r#"1 "a" label="1""#);
    }

    /// As `datasets` writes SQuAD 2.0.
    #[test]
    fn answers_are_lists_within_a_struct() {
        let schema =
            "message rows { required binary id (UTF8); required binary context (UTF8); required binary question (UTF8);
            required group answers {
                required group text (LIST) { repeated group list { required binary element (UTF8); } }
                required group answer_start (LIST) { repeated group list { required int32 element; } } } }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        column!(group, ByteArrayType, bytes(&["q1", "q2", "q3"]), None, None);
        column!(group, ByteArrayType, bytes(&["Zoë is in Rome"; 3]), None, None);
        column!(group, ByteArrayType, bytes(&["Who?", "When?", "Where?"]), None, None);
        column!(group, ByteArrayType, bytes(&["Zoë", "is", "Rome"]), Some(&[1, 1, 0, 1]), Some(&[0, 1, 0, 0]));
        column!(group, Int32Type, [0, 4, 9], Some(&[1, 1, 0, 1]), Some(&[0, 1, 0, 0]));
        group.close().unwrap();
        let rows = read(&writer.into_inner().unwrap(), columns("context", "question", "answers", "id"));
        assert_eq!(
            rows,
            [
                r#"1 "Zoë is in Rome" pair="Who?" group="q1" answers=0..4,5..7"#,
                r#"2 "Zoë is in Rome" pair="When?" group="q2" answers="#,
                "error: row 3 of `a`: the answer `Rome` of question `q3` is not at character 9 of its context, which has \
                 ` Rom` there: it is at 10, set `answer_start` to that",
            ]
        );
    }

    #[test]
    fn what_is_no_number_is_no_class() {
        let schema = "message rows { required binary text; required double score; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        column!(group, ByteArrayType, bytes(&["a", "b", "c"]), None, None);
        column!(group, DoubleType, [f64::NAN, f64::INFINITY, 1.0], None, None);
        group.close().unwrap();
        let content = writer.into_inner().unwrap();
        let infinite = "error: `score` in row 2 of `a` is an infinite number, expected text, a number or a Boolean";
        let labels = read(&content, columns("text", "", "score", ""));
        assert_eq!(labels, ["error: row 1 of `a` has no `score`", infinite, r#"3 "c" label="1.0""#]);
        assert_eq!(read(&content, columns("text", "", "", "score"))[0], r#"1 "a""#);
    }

    #[test]
    fn a_missing_column_is_answered_with_those_there_are() {
        let error = "error: `a` has no column `txt`, it has `text`, `label`, `class`, `score`, `good`, `meta.author`, \
                     `choices.list.element`, `raw`";
        for columns in [columns("txt", "", "", ""), columns("text", "txt", "", "")] {
            assert_eq!(read(&file(), columns), [error]);
        }
        assert!(read(&file(), columns("meta.editor", "", "", ""))[0].contains("no column `meta.editor`"));
        assert!(read(&file(), columns("text.0", "", "", ""))[0].contains("no column `text.0`"));
    }

    #[test]
    fn another_kind_of_file_is_an_error() {
        let gzipped = read(&gzip(file()), columns("text", "", "", ""));
        assert_eq!(
            gzipped,
            ["error: `a` is compressed with gzip, expected Parquet, which is compressed within, decompress it"]
        );
        for content in ["", "rain\nsnow\n", "PAR1PAR1"] {
            let read = read(content.as_bytes(), columns("text", "", "", ""));
            assert_eq!(read, ["error: cannot read `a` as Parquet, behind row 0"]);
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_even_where_the_parser_panics() {
        let whole = file();
        let all = || columns("text", "choices.0", "class", "meta.author");
        let mut damaged: Vec<Vec<u8>> = (0..whole.len()).step_by(20).map(|cut| whole[..cut].to_vec()).collect();
        for index in (0..whole.len()).step_by(whole.len().div_ceil(300)) {
            let mut flipped = whole.clone();
            flipped[index] ^= [0x01, 0x80, 0xff][index % 3];
            damaged.push(flipped);
        }
        for content in damaged {
            assert!(read(&content, all()).len() < 1000);
        }
    }
}
