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
    Target { name: "encodings", run: encodings, seeds: encoded },
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
    Target { name: "squad", run: squad, seeds: questions },
    Target { name: "parquet", run: |bytes| table("a.parquet", bytes), seeds: parquets },
];

fn read(input: &Input) {
    let Ok(source) = input.open() else { return };
    for source in [source.clone(), source.with_blank_rows()] {
        // Bad rows are passed over, so that the ones behind them are read too.
        for record in Records::new(&source, OnBadRow::Skip, "read", &Silent, &Interrupt::new()) {
            if record.is_err() {
                break;
            }
        }
    }
}

fn text(bytes: &[u8]) {
    // The ending alone tells of Brotli.
    file("a.txt.br", bytes, |path| {
        read(&Input::new(vec![path.display().to_string()], Format::Text { layout: TextLayout::Lines }));
    });
    file("a.txt", bytes, |path| {
        for layout in [TextLayout::Lines, TextLayout::BlankLines] {
            read(&Input::new(vec![path.display().to_string()], Format::Text { layout }));
        }
    });
}

/// As text of encodings of each kind: of one byte, of several, with states, in units of two and four bytes.
fn encodings(bytes: &[u8]) {
    file("a.txt", bytes, |path| {
        for name in ["windows-1252", "shift_jis", "gb18030", "iso-2022-jp", "utf-16be", "utf-32le"] {
            let input = Input::new(vec![path.display().to_string()], Format::Text { layout: TextLayout::Lines });
            read(&Input { encoding: name.parse().ok(), ..input });
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
        read(&Input::new(vec![path.display().to_string()], format));
    });
}

fn squad(bytes: &[u8]) {
    file("a.json", bytes, |path| read(&Input::new(vec![path.display().to_string()], Format::Squad)));
}

/// An article, a paragraph, and rows.
fn questions() -> Vec<Vec<u8>> {
    let answer = r#"{"id": 1, "question": "Who?", "answers": [{"text": "Zo\u00eb", "answer_start": 0}]}"#;
    let paragraph = format!(
        r#"{{"context": "Zo\u00eb is in Rome.", "qas": [{answer}, {{"id": 2, "question": "When?", "is_impossible": true}}]}}"#
    );
    let mut seeds =
        packed(format!(r#"{{"version": "2.0", "data": [{{"title": "a", "paragraphs": [{paragraph}]}}]}}"#).as_bytes());
    seeds.push(paragraph.into_bytes());
    let rows = r#"{"context": "Rome", "question": "Where?", "answers": {"text": ["Rome"], "answer_start": [0]}}
{"context": "Rome", "question": "When?", "answers": {"text": [], "answer_start": []}}
"#;
    seeds.push(rows.as_bytes().to_vec());
    seeds
}

fn texts() -> Vec<Vec<u8>> {
    let mut seeds = packed("One line.\r\nDeux é.\n\n\u{feff}三\u{85}four".as_bytes());
    seeds.push(vec![b'a'; 4096]);
    seeds.extend(PACKED.map(<[u8]>::to_vec));
    seeds
}

/// Two lines, compressed with bzip2, xz and Brotli.
const PACKED: [&[u8]; 3] = [
    b"BZh91AY&SY|\xfa\x83x\x00\x00\x03\xc1\x80\x00\x10 !\x98\x80 \x00\"\x03\x1a\x840 Q1J<]\xc9\x14\xe1BA\xf3\xea\r\xe0",
    b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\train\nsnow\n\x00\x00\x00\x0f\xf7!a\xe9h>>\x00\
      \x01\"\n\x15\x1a\xe1g\x1f\xb6\xf3}\x01\x00\x00\x00\x00\x04YZ",
    b"\x1b\t\x00\x00$\x14J\x10E\x8a\xf3 -\x19",
];

/// Two lines in several encodings, with and without a byte order mark.
fn encoded() -> Vec<Vec<u8>> {
    let text = "\u{feff}caf\u{e9} 5 \u{20ac}\n\u{65e5}\u{672c}\u{1f600}\n";
    let units = || text.encode_utf16();
    vec![
        text.as_bytes().to_vec(),
        units().flat_map(u16::to_le_bytes).collect(),
        units().skip(1).flat_map(u16::to_be_bytes).collect(),
        text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
        text.chars().skip(1).flat_map(|c| u32::from(c).to_le_bytes()).collect(),
        b"caf\xe9 \x93noir\x94 5 \x80\n".to_vec(),
        b"\x93\xfa\x96{\x8c\xea\n\x1b$B%F\x1b(B\n\x81\x30\x81\x30\n".to_vec(),
    ]
}

fn json_lines() -> Vec<Vec<u8>> {
    let mut seeds = packed(
        b"{\"text\":\"a \\ud83d\\ude00\",\"label\":1}\n{\"text\":\"b\",\"label\":\"x\",\"more\":[1,{\"c\":null}]}\n\n",
    );
    let others: [&[u8]; 5] = [
        b"[{\"text\": \"a\", \"label\": 1}, {\"text\": \"b]\", \"label\": NaN}\n, 2]\n[]",
        b"{\"n\": 2, \"data\": [{\"text\": \"a\", \"label\": 18446744073709551616}, {\"text\": \"b\", \"label\": -Infinity}]}",
        b"{\n  \"text\": \"a\",\n  \"label\": 1e400\n}\n{\"text\": \"b\", \"label\": 2}\n",
        b"{\"text\": [\"Marie\", \"sings\"], \"label\": [\"B-PER\", \"O\"]}\n",
        b"{\"text\": \"Zo\\u00eb, hi\", \"label\": [[0, 3, \"PER\"]]}\n{\"text\": \"Kim\", \"label\": {\"PER\": {\"Kim\": [[0, 2]]}}}\n",
    ];
    seeds.extend(others.map(<[u8]>::to_vec));
    seeds
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
