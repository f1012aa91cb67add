//! Files of texts, plain and compressed.

use std::io::Write;
use std::sync::Arc;

use burnformer_core::{Interrupt, Silent};
use burnformer_data::readers::{Format, FormatOptions, Input, TextLayout};
use burnformer_data::source::{OnBadRow, Records};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::Target;
use crate::file::file;

pub(super) const TARGETS: &[Target] = &[
    Target { name: "text", run: text, seeds: texts },
    Target {
        name: "csv",
        run: |bytes| table("a.csv", bytes),
        seeds: || packed(b"text,label\nhi,a\n\"b\n\"\"c\",\"x\"\n"),
    },
    Target { name: "tsv", run: |bytes| table("a.tsv", bytes), seeds: || packed(b"text\tlabel\nhi\ta\n\"b\tx\n") },
    Target { name: "jsonl", run: |bytes| table("a.jsonl", bytes), seeds: json_lines },
    Target {
        name: "conll",
        run: conll,
        seeds: || packed(b"-DOCSTART- -X- O O\n\nMarie\tB-PER\nCurie\tI-PER\n\n# a\nin O\n"),
    },
    Target { name: "parquet", run: |bytes| table("a.parquet", bytes), seeds: parquets },
];

fn read(input: &Input) {
    let Ok(source) = input.open() else { return };
    // Bad rows are passed over, so that the ones behind them are read too.
    for record in Records::new(&source, OnBadRow::Skip, "read", &Silent, &Interrupt::new()) {
        if record.is_err() {
            return;
        }
    }
}

fn text(bytes: &[u8]) {
    file("a.txt", bytes, |path| {
        for layout in [TextLayout::Lines, TextLayout::BlankLines] {
            read(&Input { paths: vec![path.display().to_string()], format: Format::Text { layout } });
        }
    });
}

/// With the columns that the seeds have, and as guessed.
fn table(name: &str, bytes: &[u8]) {
    file(name, bytes, |path| {
        let paths = [path.display().to_string()];
        for label_column in [Some("label".to_owned()), None] {
            let options = FormatOptions { label_column, ..FormatOptions::default() };
            if let Ok(input) = options.input(&paths) {
                read(&input);
            }
        }
    });
}

fn conll(bytes: &[u8]) {
    file("a.conll", bytes, |path| {
        let format = Format::Conll { word_column: 1, tag_column: None };
        read(&Input { paths: vec![path.display().to_string()], format });
    });
}

fn texts() -> Vec<Vec<u8>> {
    let mut seeds = packed("One line.\r\nDeux é.\n\n\u{feff}三\u{85}four".as_bytes());
    seeds.push(vec![b'a'; 4096]);
    seeds
}

fn json_lines() -> Vec<Vec<u8>> {
    packed(
        b"{\"text\":\"a \\ud83d\\ude00\",\"label\":1}\n{\"text\":\"b\",\"label\":\"x\",\"more\":[1,{\"c\":null}]}\n\n",
    )
}

/// The same plain, with gzip and with zstd.
fn packed(plain: &[u8]) -> Vec<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain).expect("memory");
    vec![plain.to_vec(), gzip.finish().expect("memory"), zstd::encode_all(plain, 1).expect("memory")]
}

/// Two rows of two columns of text.
fn parquets() -> Vec<Vec<u8>> {
    let schema = "message schema { required binary text (UTF8); optional binary label (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).expect("memory");
    let mut group = writer.next_row_group().expect("memory");
    while let Some(mut column) = group.next_column().expect("memory") {
        if let ColumnWriter::ByteArrayColumnWriter(writer) = column.untyped() {
            let cells = ["first", "second"].map(ByteArray::from);
            writer.write_batch(&cells, Some(&[1, 1]), None).expect("memory");
        }
        column.close().expect("memory");
    }
    group.close().expect("memory");
    vec![writer.into_inner().expect("memory")]
}
